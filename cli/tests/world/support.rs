//! Runs `recsim world` in a temporary directory, and reads the files that it writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use safetensors::SafeTensors;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A temporary directory in which commands run; removed on drop.
pub(crate) struct WorldDir(TempDir);

impl WorldDir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), contents).unwrap();
    }

    /// Runs `recsim world` with `arguments`, split at spaces.
    pub(crate) fn world(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recsim"));
        command.current_dir(self.0.path()).arg("world").args(arguments.split_whitespace());
        command.output().unwrap()
    }

    /// Runs `recsim world` and returns its standard output. Panics if it fails.
    pub(crate) fn succeed(&self, arguments: &str) -> String {
        let output = self.world(arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `recsim world` with wrong input. Panics unless it exits with code 2, prints every one of `expected` to
    /// standard error and nothing to standard output, and changes no file.
    pub(crate) fn refuse(&self, arguments: &str, expected: &[&str]) {
        let before = self.files();
        let output = self.world(arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {message}");
        for text in expected {
            assert!(message.contains(text), "{arguments}: `{text}` is missing in: {message}");
        }
        assert!(!message.contains("panicked"), "{arguments}: {message}");
        assert!(output.stdout.is_empty(), "{arguments}: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(self.files(), before, "{arguments}: files were changed");
    }

    /// All files and folders below, with the files' contents.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                    files.insert(path, Vec::new());
                } else {
                    let contents = std::fs::read(&path).unwrap();
                    files.insert(path, contents);
                }
            }
        }
        files
    }

    pub(crate) fn info(&self, world: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(world).join("world.json")).unwrap()).unwrap()
    }

    pub(crate) fn tensors(&self, world: &str) -> StoredTensors {
        StoredTensors(std::fs::read(self.path(world).join("world.safetensors")).unwrap())
    }
}

/// A world's tensors, read with the safetensors library.
pub(crate) struct StoredTensors(Vec<u8>);

impl StoredTensors {
    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        SafeTensors::deserialize(&self.0).unwrap().tensor(name).unwrap().shape().to_vec()
    }

    pub(crate) fn f32(&self, name: &str) -> Vec<f32> {
        self.words(name, safetensors::Dtype::F32, f32::from_le_bytes)
    }

    pub(crate) fn u32(&self, name: &str) -> Vec<u32> {
        self.words(name, safetensors::Dtype::U32, u32::from_le_bytes)
    }

    fn words<T>(&self, name: &str, dtype: safetensors::Dtype, read: impl Fn([u8; 4]) -> T) -> Vec<T> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), dtype, "{name}");
        tensor.data().as_chunks().0.iter().map(|&word| read(word)).collect()
    }
}

/// Corrects the checksums after a test has changed the files of a world.
pub(crate) fn update_checksums(world: &Path) {
    let tensors = std::fs::read(world.join("world.safetensors")).unwrap();
    let path = world.join("world.json");
    let mut info: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    info["checksums"]["world.safetensors"] = checksum(&tensors).into();
    info["checksums"]["world.json"] = "0".repeat(64).into();
    let text = serde_json::to_string_pretty(&info).unwrap();
    let text = text.replace(&"0".repeat(64), &checksum(text.as_bytes()));
    std::fs::write(path, text).unwrap();
}

pub(crate) fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A `.npy` file of the matrix whose elements are `value(row, column)`.
pub(crate) fn npy(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f32) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}\n");
    let mut bytes = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    for row in 0..rows {
        bytes.extend((0..columns).flat_map(|column| value(row, column).to_le_bytes()));
    }
    bytes
}
