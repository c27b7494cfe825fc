//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use same_file::Handle;

use super::folder::is_taken;
use crate::error::BadInput;

/// Replaces the file at `path` by what `write` writes, so that a crash leaves the old file or the new one.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> anyhow::Result<()> {
    Replacement::write(path, write)?.commit()
}

/// What shall stand in a file's place: written beside it as `.NAME.new`, and on the disk. It is removed again unless it
/// is put there.
#[must_use]
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    /// Where it is until then.
    beside: Option<PathBuf>,
    /// Locked for as long, so that no two programs write there.
    file: File,
}

impl Replacement {
    /// Writes it. Folders that are missing are made, and whoever else is about to replace the file is waited for.
    pub(crate) fn write(
        path: &Path,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> anyhow::Result<Self> {
        let open = || {
            fs::create_dir_all(folder_of(path))?;
            Self::open(path, wait_for)
        };
        let mut replacement = open().with_context(|| format!("could not write {}", path.display()))?;
        replacement.fill(write)?;
        Ok(replacement)
    }

    /// Keeps the place for what will be written later; refuses if somebody else has it.
    pub(crate) fn claim(path: &Path) -> anyhow::Result<Self> {
        match Self::open(path, lock) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Err(is_taken(path).into()),
            other => other.with_context(|| format!("could not write beside {}", path.display())),
        }
    }

    /// Writes what shall be in it.
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

    /// Puts it in the file's place.
    pub(crate) fn commit(mut self) -> anyhow::Result<()> {
        let path = &self.path;
        if let Some(beside) = &self.beside {
            fs::rename(beside, path).with_context(|| format!("could not replace {}", path.display()))?;
            sync_folder(folder_of(path));
        }
        // What is there from now on is somebody else's.
        self.beside = None;
        Ok(())
    }

    /// Opens it, empty and locked.
    fn open(path: &Path, lock: impl Fn(&File) -> io::Result<()>) -> io::Result<Self> {
        let beside = beside(path)?;
        let locked = || -> io::Result<File> {
            // A link to somebody else's file is not followed.
            if beside.is_symlink() {
                fs::remove_file(&beside)?;
            }
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&beside)?;
            lock(&file)?;
            Ok(file)
        };
        let mut file = locked()?;
        for _ in 0..TRIES {
            // Whoever had it before has put it in its place, or removed it.
            let own = Handle::from_file(file.try_clone()?)?;
            if Handle::from_path(&beside).is_ok_and(|there| there == own) {
                break;
            }
            file = locked()?;
        }
        let replacement = Self { path: path.to_owned(), beside: Some(beside), file };
        replacement.file.set_len(0)?;
        Ok(replacement)
    }
}

/// Locks a file; an error if somebody else has locked it. A system that cannot lock files has to do without.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
        _ => Ok(()),
    }
}

/// The same, but that whoever has it gets the time to write what he has.
fn wait_for(file: &File) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    while lock(file).is_err() {
        if Instant::now() > until {
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
        // An error that led here is told already.
        if let Some(beside) = &self.beside {
            let _ = fs::remove_file(beside);
        }
    }
}

/// Has the names in a folder reach the disk; a platform that cannot open one needs no such thing.
pub(crate) fn sync_folder(path: &Path) {
    let _ = File::open(path).and_then(|folder| folder.sync_all());
}

/// Where a file is written before it is put in its place.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(folder_of(path).join(format!(".{}.new", name.to_string_lossy())))
}

/// Refuses a name, given with `--out`, that is too long for a file to be written beside it.
pub(crate) fn check_name(path: &Path) -> Result<(), BadInput> {
    match beside(path).and_then(fs::symlink_metadata) {
        Err(error) if error.kind() == io::ErrorKind::InvalidFilename => {
            Err(BadInput::new(path.display(), format!("cannot be written: {error}"), "give --out a shorter name"))
        }
        _ => Ok(()),
    }
}

/// Whether a file is called as one that shall stand in another's place.
pub(crate) fn is_beside(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(".new")
}

/// The folder a file lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Longer than any file here takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// As many others may be waited for; where files never seem to be themselves, somebody must write at last.
const TRIES: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        replace(&path, |file| file.write_all(b"old")).unwrap();
        let fails = replace(&path, |file| file.write_all(b"ne").and(Err(io::Error::other("disk full"))));
        assert!(format!("{:#}", fails.unwrap_err()).contains("disk full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        replace(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    #[cfg(unix)]
    fn no_link_is_followed_to_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["a", "other"].map(|name| folder.path().join(name));
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, beside(&path).unwrap()).unwrap();
        replace(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!((&*fs::read(&path).unwrap(), &*fs::read(&other).unwrap()), (&b"new"[..], &b"precious"[..]));
        assert!(!path.is_symlink());
    }

    #[test]
    fn whoever_writes_the_same_file_waits_and_no_two_are_mixed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        // A dead program's rest is nobody's.
        fs::write(beside(&path).unwrap(), "longer than what is written").unwrap();
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
            let Ok(found) = fs::read(&path) else { continue };
            assert!(found.len() == 30 && found.iter().all(|letter| *letter == found[0]), "{found:?}");
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_replaced_before_it_is_committed() {
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
