//! What a run leaves behind, one file per format (`spec` section 6).

pub(crate) mod atomic;
pub(crate) mod background;
pub(crate) mod beliefs;
pub(crate) mod evaluation;
pub(crate) mod folder;
pub(crate) mod hash;
pub(crate) mod home;
pub(crate) mod lines;
pub(crate) mod log;
pub(crate) mod models;
pub(crate) mod seal;
pub(crate) mod tables;
pub(crate) mod tensorboard;
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
    /// All that lies below a run's folder lies in these.
    pub(crate) const FOLDERS: [&str; 4] = [RESULTS, MODELS, TENSORBOARD, CHECKPOINTS];
    /// In the folder of models.
    pub(crate) const MODEL_FILES: [&str; 6] = [
        "actor.safetensors",
        "critic_1.safetensors",
        "critic_2.safetensors",
        "actor_target.safetensors",
        "critic_1_target.safetensors",
        "critic_2_target.safetensors",
    ];
}

/// A file of a run or a world, to be read. Whoever opens a pipe in its place would wait for a writer for ever.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if path.metadata()?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no file"))
    }
}

/// All that is in such a file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The value in a JSON file of a run.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = read(path).map_err(|error| {
        BadInput::new(path.display(), format!("cannot be read: {error}"), "restore the file, or repeat the run")
    })?;
    Ok(parse(&text).map_err(|error| lines::damaged(path.display(), &error))?)
}

/// The value in a JSON text, or what is wrong with it, and at which key.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string())?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// The removal of something that need not be there.
pub(crate) fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// The time in UTC, as `2025-01-08 10:30:00`.
pub(crate) fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}
