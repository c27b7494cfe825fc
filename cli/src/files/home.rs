//! The folder of a run that goes on, whatever its name is by now.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use same_file::Handle;

/// A folder as it was when the run began. Files are written by their paths: if it has been moved since, those may lie in
/// somebody else's.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    path: PathBuf,
    folder: Arc<Handle>,
}

impl Home {
    /// The folder that is at the path now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), folder: Arc::new(Handle::from_path(path)?) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// An error if it is there no longer.
    pub(crate) fn look(&self) -> io::Result<()> {
        if Handle::from_path(&self.path).is_ok_and(|there| there == *self.folder) {
            return Ok(());
        }
        let path = self.path.display();
        Err(io::Error::other(format!("{path} is another folder than the run began in: it was moved, or replaced")))
    }
}
