//! The files that the command reads and writes, one module per format. `docs/outputs.md` documents their content.

pub(crate) mod append_log;
pub(crate) mod atomic;
pub(crate) mod background;
pub(crate) mod beliefs;
pub(crate) mod embedded_checksum;
pub(crate) mod evaluation;
pub(crate) mod folder;
pub(crate) mod hash;
pub(crate) mod lines;
pub(crate) mod models;
pub(crate) mod run_dir;
pub(crate) mod tensorboard;
pub(crate) mod tensors;
pub(crate) mod trace;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::BadInput;

/// The names of files and folders in a run's folder.
pub(crate) mod names {
    pub(crate) const CONFIG: &str = "config.yaml";
    pub(crate) const RUN: &str = "run.json";
    pub(crate) const ROUNDS: &str = "rounds.jsonl";
    pub(crate) const EPISODES: &str = "episodes.jsonl";
    pub(crate) const SUMMARY: &str = "summary.json";
    pub(crate) const RESULTS: &str = "results";
    pub(crate) const BELIEFS: &str = "results/current_user_beliefs.json";
    pub(crate) const MODELS: &str = "models";
    pub(crate) const TENSORBOARD: &str = "tensorboard";
    pub(crate) const CHECKPOINTS: &str = "checkpoints";
    /// The folders that a run makes in its folder.
    pub(crate) const FOLDERS: [&str; 4] = [RESULTS, MODELS, TENSORBOARD, CHECKPOINTS];
    /// The files in [`MODELS`].
    pub(crate) const MODEL_FILES: [&str; 6] = [
        "actor.safetensors",
        "critic_1.safetensors",
        "critic_2.safetensors",
        "actor_target.safetensors",
        "critic_1_target.safetensors",
        "critic_2_target.safetensors",
    ];
}

/// Opens a regular file for reading.
///
/// # Errors
/// If it cannot be opened or is not a regular file: opening a named pipe would block until a writer comes.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if path.metadata()?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a regular file"))
    }
}

/// The content of a regular file.
///
/// # Errors
/// As [`open`], or if it cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The value in a JSON file of a run.
///
/// # Errors
/// A [`BadInput`] that names the file, if it cannot be read or is not a `T`.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = read(path).map_err(|error| {
        BadInput::new(path.display(), format!("cannot be read: {error}"), "restore the file, or repeat the run")
    })?;
    Ok(parse(&text).map_err(|error| lines::damaged(path.display(), &error))?)
}

/// The value in a JSON text.
///
/// # Errors
/// What is wrong, and at which key.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string())?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// The result of a removal, where a missing file is not an error.
///
/// # Errors
/// Every other error of `removed`.
pub(crate) fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// The time now in UTC, as `2025-01-08 10:30:00`.
pub(crate) fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}
