//! Append-only files, whose length and checksum a checkpoint records.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hash;

/// An open file that is only appended to.
#[derive(Debug)]
pub(crate) struct AppendLog {
    file: File,
    path: PathBuf,
    bytes: u64,
    hash: Sha256,
}

/// A position in an [`AppendLog`]: the number of bytes before it, and their checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogPosition {
    pub(crate) bytes: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
}

impl AppendLog {
    /// Creates an empty file, or truncates the one at `path`.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub(crate) fn create(path: PathBuf) -> anyhow::Result<Self> {
        let file = File::create(&path).with_context(|| format!("could not write {}", path.display()))?;
        Ok(Self { file, path, bytes: 0, hash: Sha256::new() })
    }

    /// Opens a file to append at `position`, for which [`LogPosition::check`] has succeeded. Truncates the file there.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub(crate) fn resume(path: PathBuf, position: &LogPosition) -> anyhow::Result<Self> {
        let open = || -> io::Result<_> {
            let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
            let (_, hash) = hash::of((&mut file).take(position.bytes))?;
            file.set_len(position.bytes)?;
            file.seek(SeekFrom::Start(position.bytes))?;
            Ok((file, hash))
        };
        let (file, hash) = open().with_context(|| format!("could not append to {}", path.display()))?;
        Ok(Self { file, path, bytes: position.bytes, hash })
    }

    /// Appends `bytes`, in one write.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| format!("could not write {}", self.path.display()))?;
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
        Ok(())
    }

    /// The position at the end, and a handle of the file. Sync the file before relying on the position.
    ///
    /// # Errors
    /// If the file's handle cannot be duplicated.
    pub(crate) fn position(&self) -> anyhow::Result<(LogPosition, File)> {
        let file = self.file.try_clone().with_context(|| format!("could not share {}", self.path.display()))?;
        Ok((LogPosition { bytes: self.bytes, sha256: hash::text(self.hash.clone()) }, file))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl LogPosition {
    /// Checks that the file at `path` begins with the bytes that were recorded.
    ///
    /// # Errors
    /// What is wrong with the file, in words that follow its name.
    pub(crate) fn check(&self, path: &Path) -> Result<(), String> {
        let actual = super::open(path).and_then(|file| hash::of(file.take(self.bytes)));
        let (bytes, hash) = actual.map_err(|error| format!("cannot be read: {error}"))?;
        if bytes < self.bytes {
            return Err(format!("is too short: it has {bytes} bytes, and had {}", self.bytes));
        }
        if hash::text(hash) != self.sha256 {
            return Err(format!("was changed or damaged: its first {bytes} bytes differ from their checksum"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resumed_log_continues_at_its_position_and_changes_are_detected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = AppendLog::create(path.clone()).unwrap();
        log.push(b"one\n").unwrap();
        let (position, _) = log.position().unwrap();
        log.push(b"lost\n").unwrap();
        assert_eq!(position.check(&path), Ok(()));
        let mut log = AppendLog::resume(path.clone(), &position).unwrap();
        log.push(b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(log.position().unwrap().0.check(&path), Ok(()));
        std::fs::write(&path, b"onf\ntwo\n").unwrap();
        assert!(position.check(&path).unwrap_err().contains("differ from their checksum"));
        std::fs::write(&path, b"one").unwrap();
        assert!(position.check(&path).unwrap_err().contains("too short: it has 3 bytes, and had 4"));
    }
}
