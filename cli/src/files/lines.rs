//! JSON lines: one value a line, on the disk's side as soon as it is known.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::log::Log;
use crate::error::BadInput;

/// A file that grows by a line at a time.
#[derive(Debug)]
pub(crate) struct JsonLines(pub(crate) Log);

impl JsonLines {
    /// Adds a line, in one write.
    pub(crate) fn push(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.0.push(&line)
    }
}

/// Every line of a file. One that was not finished, as of a run that was killed, is left out.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let mut values = Vec::new();
    each(path, |value| values.push(value))?;
    Ok(values)
}

/// The last finished line of a file; however long the file, one line at a time is held.
pub(crate) fn last<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let mut last = None;
    each(path, |value| last = Some(value))?;
    Ok(last)
}

/// A record of a run that does not say what it should.
pub(crate) fn damaged(place: impl Display, error: &impl Display) -> BadInput {
    BadInput::new(place, format!("this is damaged: {error}"), "restore the file, or repeat the run")
}

/// Every finished line of a file, one at a time.
pub(crate) fn each<T: DeserializeOwned>(path: &Path, mut keep: impl FnMut(T)) -> anyhow::Result<()> {
    let unreadable = || format!("could not read {}", path.display());
    let file = super::open(path).map_err(|error| {
        let problem = format!("cannot be read: {error}");
        BadInput::new(path.display(), problem, "give the folder of a run that is whole")
    })?;
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        file.by_ref().take(LONGEST).read_until(b'\n', &mut line).with_context(unreadable)?;
        let place = || format!("{}:{number}", path.display());
        if line.len() as u64 == LONGEST {
            return Err(damaged(place(), &"the line is too long").into());
        }
        if line.pop() != Some(b'\n') {
            break;
        }
        keep(serde_json::from_slice(&line).map_err(|error| damaged(place(), &error))?);
    }
    Ok(())
}

/// More bytes than a line of a run's records has.
const LONGEST: u64 = 1 << 16;
