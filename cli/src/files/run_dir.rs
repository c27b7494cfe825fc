//! The folder of a run in progress, and whether its path still leads to it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use same_file::Handle;

/// A run's folder, identified when the run started. Files are written by path: if the folder was moved since, its path
/// may lead to a folder of another process.
#[derive(Clone, Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    handle: Arc<Handle>,
}

impl RunDir {
    /// The folder that is at `path` now.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), handle: Arc::new(Handle::from_path(path)?) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the path still leads to this folder.
    ///
    /// # Errors
    /// If the folder was moved, removed or replaced.
    pub(crate) fn check(&self) -> io::Result<()> {
        if Handle::from_path(&self.path).is_ok_and(|current| current == *self.handle) {
            return Ok(());
        }
        let path = self.path.display();
        Err(io::Error::other(format!("{path} is not the folder that the run started in: it was moved or replaced")))
    }
}
