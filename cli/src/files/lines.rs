//! JSON lines: one value a line, on the disk's side as soon as it is known.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A file that grows by a line at a time.
#[derive(Debug)]
pub(crate) struct JsonLines {
    file: File,
    path: PathBuf,
}

impl JsonLines {
    /// An empty file.
    pub(crate) fn create(path: PathBuf) -> anyhow::Result<Self> {
        let file = File::create(&path).with_context(|| format!("could not write {}", path.display()))?;
        Ok(Self { file, path })
    }

    /// Adds a line, in one write.
    pub(crate) fn push(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.file.write_all(&line).with_context(|| format!("could not write {}", self.path.display()))
    }
}

/// Every line of a file. One that was not finished, as of a run that was killed, is left out.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    let finished = text.rfind('\n').map_or(0, |end| end + 1);
    let lines = text[..finished].lines().enumerate();
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), number + 1))
        })
        .collect()
}
