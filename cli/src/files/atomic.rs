//! Atomic replacement of files: a crash leaves the old file or the new one, complete.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use same_file::Handle;

use super::folder::is_taken;
use crate::error::BadInput;

/// Replaces the file at `path` by what `write` writes.
///
/// # Errors
/// If the file cannot be written or replaced. The old file stays.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> anyhow::Result<()> {
    Replacement::write(path, write)?.commit()
}

/// The new content of a file, synced to the disk as `.NAME.new` beside it. [`Replacement::commit`] renames it to
/// `NAME`. Dropping it before removes it.
#[must_use]
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    /// The temporary file's path, until it is renamed.
    temporary: Option<PathBuf>,
    /// The temporary file, locked so that no other process writes it.
    file: File,
}

impl Replacement {
    /// Writes the temporary file. Creates missing folders. Waits while another process replaces the same file.
    ///
    /// # Errors
    /// If the temporary file cannot be written, or if another process holds it for longer than 20 s.
    pub(crate) fn write(
        path: &Path,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> anyhow::Result<Self> {
        let open = || {
            fs::create_dir_all(folder_of(path))?;
            Self::open(path, lock_waiting)
        };
        let mut replacement = open().with_context(|| format!("could not write {}", path.display()))?;
        replacement.fill(write)?;
        Ok(replacement)
    }

    /// Creates an empty temporary file, to be filled later.
    ///
    /// # Errors
    /// A [`BadInput`] if another process replaces the same file; else as [`Replacement::write`].
    pub(crate) fn claim(path: &Path) -> anyhow::Result<Self> {
        match Self::open(path, lock) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Err(is_taken(path).into()),
            other => other.with_context(|| format!("could not write beside {}", path.display())),
        }
    }

    /// Writes the content, and syncs it to the disk.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub(crate) fn fill(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let fill = || {
            let mut file = BufWriter::with_capacity(1 << 20, self.file.try_clone()?);
            write(&mut file)?;
            file.flush()?;
            self.file.sync_all()
        };
        fill().with_context(|| format!("could not write {}", self.path.display()))
    }

    /// Renames the temporary file to the file's name.
    ///
    /// # Errors
    /// If it cannot be renamed. The old file stays.
    pub(crate) fn commit(mut self) -> anyhow::Result<()> {
        let path = &self.path;
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, path).with_context(|| format!("could not replace {}", path.display()))?;
            sync_folder(folder_of(path));
        }
        // Another process may create the temporary file from now on: `drop` must not remove it.
        self.temporary = None;
        Ok(())
    }

    /// Opens the temporary file, empty and locked by `lock`.
    fn open(path: &Path, lock: impl Fn(&File) -> io::Result<()>) -> io::Result<Self> {
        let temporary = temporary_path(path)?;
        let open_locked = || -> io::Result<File> {
            // A symbolic link is removed, so that its target is not overwritten.
            if temporary.is_symlink() {
                fs::remove_file(&temporary)?;
            }
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&temporary)?;
            lock(&file)?;
            Ok(file)
        };
        let mut file = open_locked()?;
        for _ in 0..MAX_REOPENS {
            // The process that held the lock before has renamed the file or removed it: then the path leads elsewhere.
            let own = Handle::from_file(file.try_clone()?)?;
            if Handle::from_path(&temporary).is_ok_and(|current| current == own) {
                break;
            }
            file = open_locked()?;
        }
        let replacement = Self { path: path.to_owned(), temporary: Some(temporary), file };
        replacement.file.set_len(0)?;
        Ok(replacement)
    }
}

/// Locks a file, without waiting; an error if another process has locked it. Does nothing where the file system has no
/// locks.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
        _ => Ok(()),
    }
}

/// Locks a file, waiting up to [`LOCK_TIMEOUT`] for another process to unlock it.
fn lock_waiting(file: &File) -> io::Result<()> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    while lock(file).is_err() {
        if Instant::now() > deadline {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another program has been writing it for too long",
            ));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // The error that led here is reported already.
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Syncs a folder's names to the disk. Does nothing on platforms that cannot open a folder, and need no sync.
pub(crate) fn sync_folder(path: &Path) {
    let _ = File::open(path).and_then(|folder| folder.sync_all());
}

/// The temporary file for `path`.
fn temporary_path(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(folder_of(path).join(format!(".{}.new", name.to_string_lossy())))
}

/// Checks a path given with `--out`.
///
/// # Errors
/// If its name is too long for a temporary file beside it.
pub(crate) fn check_name(path: &Path) -> Result<(), BadInput> {
    match temporary_path(path).and_then(fs::symlink_metadata) {
        Err(error) if error.kind() == io::ErrorKind::InvalidFilename => {
            Err(BadInput::new(path.display(), format!("cannot be written: {error}"), "give --out a shorter name"))
        }
        _ => Ok(()),
    }
}

/// Whether a file has the name of a [`Replacement`]'s temporary file.
pub(crate) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(".new")
}

/// The folder that contains a file.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Longer than it takes to write any file here.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20);
/// Ends the loop on a file system where a file never compares equal to itself.
const MAX_REOPENS: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_write_leaves_only_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        replace(&path, |file| file.write_all(b"old")).unwrap();
        let failed = replace(&path, |file| file.write_all(b"ne").and(Err(io::Error::other("disk full"))));
        assert!(format!("{:#}", failed.unwrap_err()).contains("disk full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        replace(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    #[cfg(unix)]
    fn temporary_symlink_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["a", "other"].map(|name| folder.path().join(name));
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, temporary_path(&path).unwrap()).unwrap();
        replace(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!((&*fs::read(&path).unwrap(), &*fs::read(&other).unwrap()), (&b"new"[..], &b"precious"[..]));
        assert!(!path.is_symlink());
    }

    #[test]
    fn concurrent_writers_wait_and_readers_see_complete_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        // The temporary file of a process that was killed.
        fs::write(temporary_path(&path).unwrap(), "longer than what is written").unwrap();
        let writers: Vec<_> = (b'a'..=b'd')
            .map(|letter| {
                let path = path.clone();
                thread::spawn(move || {
                    for _ in 0..20 {
                        replace(&path, |file| {
                            (0..10).try_for_each(|_| file.write_all(&[letter; 3]).and_then(|()| file.flush()))
                        })
                        .unwrap();
                    }
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            let Ok(actual) = fs::read(&path) else { continue };
            assert!(actual.len() == 30 && actual.iter().all(|letter| *letter == actual[0]), "{actual:?}");
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn file_is_replaced_only_by_commit() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        replace(&a, |file| file.write_all(b"old")).unwrap();
        let first = Replacement::write(&a, |file| file.write_all(b"new")).unwrap();
        let second = Replacement::write(&b, |file| file.write_all(b"new")).unwrap();
        assert_eq!((&*fs::read(&a).unwrap(), b.exists()), (&b"old"[..], false));
        drop(second);
        first.commit().unwrap();
        assert_eq!((&*fs::read(&a).unwrap(), fs::read_dir(folder.path()).unwrap().count()), (&b"new"[..], 1));
    }
}
