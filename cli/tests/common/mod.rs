//! The command under test, and a run small enough for a test.
#![allow(dead_code, reason = "each test program uses some of the functions")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A world of 40 users and 120 items, a small agent that trains after a round, 2 episodes of 4 rounds.
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

/// A temporary directory that contains `tiny.yaml`; removed on drop.
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

    /// The command with its working directory set to this directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recsim"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs `recsim train` with the tiny configuration and the output folder `out`. Panics if it fails.
    pub(crate) fn train(&self, out: &str, options: &[&str]) -> Output {
        let arguments = [&["train", "--config", "tiny.yaml", "--out", out], options].concat();
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

/// Shape and values of an `f32` tensor in a safetensors file.
pub(crate) fn floats(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<f32>) {
    let (shape, bytes) = tensor(bytes, name);
    (shape, bytes.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect())
}

/// Shape and bytes of a tensor in a safetensors file.
pub(crate) fn tensor(bytes: &[u8], name: &str) -> (Vec<usize>, Vec<u8>) {
    let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    (tensor.shape().to_vec(), tensor.data().to_vec())
}

/// All files below a folder: relative path and content.
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

/// Reports that a test was skipped. Panics if `RECSIM_NEEDS_FAULTS` is set, which requires every test to run.
pub(crate) fn skipped(reason: &str) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    assert!(std::env::var_os("RECSIM_NEEDS_FAULTS").is_none(), "{name} would be skipped: {reason}");
    // Not `eprintln!`, which the test harness captures.
    let _ = writeln!(std::io::stderr(), "skipped: {}::{name}: {reason}", env!("CARGO_CRATE_NAME"));
}
