//! Files that only grow, so that what a checkpoint knew of one can be found again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hash;

/// A file that grows at its end.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    path: PathBuf,
    bytes: u64,
    hash: Sha256,
}

/// How far a [`Log`] had come: its first bytes, by their checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    pub(crate) bytes: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
}

impl Log {
    /// An empty file.
    pub(crate) fn create(path: PathBuf) -> anyhow::Result<Self> {
        let file = File::create(&path).with_context(|| format!("could not write {}", path.display()))?;
        Ok(Self { file, path, bytes: 0, hash: Sha256::new() })
    }

    /// Goes on at a mark, which [`Mark::check`] has found to be the file's; what stands behind it is cut off.
    pub(crate) fn resume(path: PathBuf, mark: &Mark) -> anyhow::Result<Self> {
        let open = || -> io::Result<_> {
            let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
            let (_, hash) = hash::of((&mut file).take(mark.bytes))?;
            file.set_len(mark.bytes)?;
            file.seek(SeekFrom::Start(mark.bytes))?;
            Ok((file, hash))
        };
        let (file, hash) = open().with_context(|| format!("could not go on with {}", path.display()))?;
        Ok(Self { file, path, bytes: mark.bytes, hash })
    }

    /// Adds `bytes`, in one write.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| format!("could not write {}", self.path.display()))?;
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
        Ok(())
    }

    /// How far it has come, and the file, of which that much must be on the disk before anybody relies on it.
    pub(crate) fn mark(&self) -> anyhow::Result<(Mark, File)> {
        let file = self.file.try_clone().with_context(|| format!("could not share {}", self.path.display()))?;
        Ok((Mark { bytes: self.bytes, sha256: hash::text(self.hash.clone()) }, file))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Mark {
    /// What is wrong with the file at `path`, in words that follow its name, if its first bytes are not these.
    pub(crate) fn check(&self, path: &Path) -> Result<(), String> {
        let found = super::open(path).and_then(|file| hash::of(file.take(self.bytes)));
        let (bytes, found) = found.map_err(|error| format!("cannot be read: {error}"))?;
        if bytes < self.bytes {
            return Err(format!("is too short: it has {bytes} bytes, and had {}", self.bytes));
        }
        if hash::text(found) != self.sha256 {
            return Err(format!("was changed or damaged: its first {bytes} bytes differ from their checksum"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_on_where_it_was_and_knows_when_it_is_not_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::create(path.clone()).unwrap();
        log.push(b"one\n").unwrap();
        let (mark, _) = log.mark().unwrap();
        log.push(b"lost\n").unwrap();
        assert_eq!(mark.check(&path), Ok(()));
        let mut log = Log::resume(path.clone(), &mark).unwrap();
        log.push(b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(log.mark().unwrap().0.check(&path), Ok(()));
        std::fs::write(&path, b"onf\ntwo\n").unwrap();
        assert!(mark.check(&path).unwrap_err().contains("differ from their checksum"));
        std::fs::write(&path, b"one").unwrap();
        assert!(mark.check(&path).unwrap_err().contains("too short: it has 3 bytes, and had 4"));
    }
}
