//! Files that are there whole or not at all.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Replaces the file at `path` by what `write` writes, so that a crash leaves the old file or the new one.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> anyhow::Result<()> {
    Replacement::write(path, write)?.commit()
}

/// What shall stand in a file's place: written beside it as `.NAME.new`, and on the disk. It is removed again unless it
/// is put there. Two programs that would replace one file do not mix: the second is refused.
#[must_use]
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    beside: PathBuf,
    /// Locked, as long as it is open.
    _file: File,
    is_placed: bool,
}

impl Replacement {
    /// Writes it. Folders that are missing are made.
    pub(crate) fn write(
        path: &Path,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> anyhow::Result<Self> {
        Self::try_write(path, write).with_context(|| format!("could not write {}", path.display()))
    }

    fn try_write(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<Self> {
        fs::create_dir_all(folder_of(path))?;
        let beside = beside(path)?;
        let file = reserve(&beside)?;
        let replacement = Self { path: path.to_owned(), beside, _file: file.try_clone()?, is_placed: false };
        let mut file = BufWriter::with_capacity(1 << 20, file);
        write(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        Ok(replacement)
    }

    /// Puts it in the file's place.
    pub(crate) fn commit(mut self) -> anyhow::Result<()> {
        let path = &self.path;
        fs::rename(&self.beside, path).with_context(|| format!("could not replace {}", path.display()))?;
        self.is_placed = true;
        sync_folder(folder_of(path));
        Ok(())
    }
}

/// Has the names in a folder reach the disk; a platform that cannot open one needs no such thing.
pub(crate) fn sync_folder(path: &Path) {
    let _ = File::open(path).and_then(|folder| folder.sync_all());
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // Once it has been put in place, what is here is somebody else's; and an error that led here is told already.
        if !self.is_placed {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// An empty file at `path` that nobody else writes to, where the system can lock; what a dead program left is overwritten.
fn reserve(path: &Path) -> io::Result<File> {
    loop {
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another program is writing it"));
        }
        // Whoever had it may have put it in its place before it was locked: then it is no longer to be written to.
        if is_at(&file, path) {
            file.set_len(0)?;
            return Ok(file);
        }
    }
}

/// Whether what is at `path` is this file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |about: io::Result<fs::Metadata>| about.ok().map(|about| (about.dev(), about.ino()));
    number(file.metadata()) == number(path.metadata())
}

/// Elsewhere the lock must do.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Where a file is written before it is put in its place.
pub(crate) fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(folder_of(path).join(format!(".{}.new", name.to_string_lossy())))
}

/// The folder a file lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

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
    fn two_at_once_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let first = Replacement::write(&path, |file| file.write_all(b"first")).unwrap();
        let second = Replacement::write(&path, |file| file.write_all(b"second")).unwrap_err();
        assert!(format!("{second:#}").ends_with("a: another program is writing it"), "{second:#}");
        first.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        fs::write(beside(&path).unwrap(), "of a program that was killed").unwrap();
        replace(&path, |file| file.write_all(b"third")).unwrap();
        assert_eq!((&*fs::read(&path).unwrap(), fs::read_dir(folder.path()).unwrap().count()), (&b"third"[..], 1));
    }

    /// Many writers at once: each is refused or its file was there whole, and at the end it is one of theirs.
    #[test]
    fn whoever_is_not_refused_leaves_a_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let written: usize = std::thread::scope(|scope| {
            let writers = (b'a'..b'e').map(|letter| {
                let path = &path;
                let write = move || replace(path, |file| file.write_all(&[letter; 3000])).is_ok();
                scope.spawn(move || (0..50).filter(|_| write()).count())
            });
            let writers: Vec<_> = writers.collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        let found = fs::read(&path).unwrap();
        assert!(written > 0 && found.len() == 3000 && found.iter().all(|&letter| letter == found[0]));
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
