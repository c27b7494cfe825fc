//! The command under test, and a run small enough for a test.
#![allow(dead_code, reason = "each test program uses its own share")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A world of 40 users and 120 items, a small agent that soon learns, 2 episodes of 4 rounds.
pub(crate) const TINY: &str = "\
training:
  episodes: 2
  rounds_per_episode: 4
  warmup_transitions: 40
  batch_size: 16
td3:
  hidden_sizes: [12, 8]
  batch_size: 8
  gradient_steps: 4
recommendation:
  rl_list_size: 4
  total_recommendations: 8
experiment:
  seed: 5
world:
  users: 40
  items: 120
  clusters: 3
  dimensions: 6
";

/// A folder that goes away, with `tiny.yaml` in it.
pub(crate) struct TestDir(tempfile::TempDir);

impl TestDir {
    pub(crate) fn new() -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        dir.write("tiny.yaml", TINY);
        dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The command, to be run in this folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recsim"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Trains on the tiny configuration into `out`, and expects success.
    pub(crate) fn train(&self, out: &str, more: &[&str]) -> Output {
        let arguments = [&["train", "--config", "tiny.yaml", "--out", out], more].concat();
        let output = self.run(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        output
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn json_lines(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A safetensors file's tensor as little-endian `f32`, with its shape.
pub(crate) fn floats(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<f32>) {
    let (shape, bytes) = tensor(bytes, name);
    (shape, bytes.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect())
}

/// A safetensors file's tensor as bytes, with its shape.
pub(crate) fn tensor(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<u8>) {
    let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    (tensor.shape().to_vec(), tensor.data().to_vec())
}

/// Every file below a folder.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Says that a test did not run, which is an error where `RECSIM_NEEDS_FAULTS` is set: there it must.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("RECSIM_NEEDS_FAULTS").is_none(), "a test would be skipped: {why}");
    eprintln!("SKIPPED: {why}");
}
