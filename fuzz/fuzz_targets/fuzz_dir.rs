//! A temporary folder for the files that a target reads: in memory if the system has `/dev/shm`.
#![allow(dead_code, reason = "not every target writes files itself")]

use std::path::{Path, PathBuf};

pub struct FuzzDir(tempfile::TempDir);

impl FuzzDir {
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("recsim-fuzz-").tempdir_in(parent);
        Self(folder.expect("a folder for the files"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file is written");
        path
    }
}
