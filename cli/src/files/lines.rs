//! JSON lines files: one value a line.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::append_log::AppendLog;
use crate::error::BadInput;

/// A JSON lines file that is appended to.
#[derive(Debug)]
pub(crate) struct JsonLines(pub(crate) AppendLog);

impl JsonLines {
    /// Appends a line, in one write.
    ///
    /// # Errors
    /// If `value` has no JSON form or the file cannot be written.
    pub(crate) fn push(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.0.push(&line)
    }
}

/// The values of every complete line of a file. An incomplete last line is ignored: a killed run leaves one.
///
/// # Errors
/// As [`each`].
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let mut values = Vec::new();
    each(path, |value| values.push(value))?;
    Ok(values)
}

/// The value of the last complete line of a file. Holds one line at a time in memory.
///
/// # Errors
/// As [`each`].
pub(crate) fn last<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let mut last = None;
    each(path, |value| last = Some(value))?;
    Ok(last)
}

/// The error of a run's record that is damaged. `location` is a file, or a file and a line.
pub(crate) fn damaged(location: impl Display, error: &impl Display) -> BadInput {
    BadInput::new(location, format!("this is damaged: {error}"), "restore the file, or repeat the run")
}

/// Calls `visit` with the value of every complete line of a file, in order.
///
/// # Errors
/// If the file cannot be read, or if a line is too long or not a `T`. Names the line.
pub(crate) fn each<T: DeserializeOwned>(path: &Path, mut visit: impl FnMut(T)) -> anyhow::Result<()> {
    let unreadable = || format!("could not read {}", path.display());
    let file = super::open(path).map_err(|error| {
        let problem = format!("cannot be read: {error}");
        BadInput::new(path.display(), problem, "give the folder of a run that is whole")
    })?;
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        file.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).with_context(unreadable)?;
        let location = || format!("{}:{number}", path.display());
        if line.len() as u64 == MAX_LINE_BYTES {
            return Err(damaged(location(), &"the line is too long").into());
        }
        if line.pop() != Some(b'\n') {
            break;
        }
        visit(serde_json::from_slice(&line).map_err(|error| damaged(location(), &error))?);
    }
    Ok(())
}

/// Above the length of any line that a run writes.
const MAX_LINE_BYTES: u64 = 1 << 16;
