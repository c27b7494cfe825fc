//! Files that are there whole or not at all.

use std::fs::{self, File};
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
/// is put there.
#[must_use]
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    beside: PathBuf,
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
        let file = File::create(&beside)?;
        let replacement = Self { path: path.to_owned(), beside };
        let mut file = BufWriter::with_capacity(1 << 20, file);
        write(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        Ok(replacement)
    }

    /// Puts it in the file's place.
    pub(crate) fn commit(self) -> anyhow::Result<()> {
        let path = &self.path;
        fs::rename(&self.beside, path).with_context(|| format!("could not replace {}", path.display()))?;
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
        // Once it has been put in place there is nothing here; and an error that led here is told already.
        let _ = fs::remove_file(&self.beside);
    }
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
