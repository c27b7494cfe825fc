//! Checkpoints: the state from which a run resumes, in numbered folders below `checkpoints/`. The last two stay.
//!
//! | in a checkpoint's folder | |
//! |---|---|
//! | `checkpoint.json` | [`CheckpointInfo`]: settings, world, device, progress, positions in append-only files |
//! | `agent.safetensors` | networks, targets, Adam moments, with the names of [`recsim_core::session::checkpoint`] |
//! | `users.safetensors` | `beliefs`, `[users, K]` |
//! | `replay-N.rows` | transitions from number `N` of the run on, counted from 0: see [`rows`] |
//! | `SHA256SUMS` | checksums of these files for `sha256sum -c`; written last |
//!
//! A checkpoint is built in `checkpoints/.next`: transitions are appended during the run, and the folder is renamed to
//! its number when all of it is on the disk. Files of transitions that the previous checkpoint has too are hard links,
//! where the file system supports them.

mod builder;
mod checksums;
mod rows;
mod saved;
mod writer;

pub(crate) use saved::{SavedCheckpoint, check_metrics, newest};
pub(crate) use writer::{CheckpointStats, CheckpointWriter, WriterClosed};

use std::path::{Path, PathBuf};
use std::{fs, io};

use recsim_core::session::checkpoint::CheckpointHeader;
use recsim_core::session::config::Config;
use recsim_core::world::World;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::device;
use crate::files::append_log::LogPosition;
use crate::files::{hash, unless_missing};

/// The content of `checkpoint.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointInfo {
    /// [`FORMAT`].
    format: String,
    /// [`VERSION`] when it was written.
    version: u32,
    /// The version of recsim.
    recsim: String,
    /// When it was written, UTC.
    written: String,
    /// The time that the run has taken, without pauses, in seconds.
    pub(crate) wall_seconds: f64,
    pub(crate) device: device::DeviceInfo,
    pub(crate) config: Config,
    /// The world's [`fingerprint`].
    pub(crate) world: String,
    pub(crate) header: CheckpointHeader,
    /// The run's append-only files: path in its folder, and position when the checkpoint was made.
    pub(crate) logs: Vec<(String, LogPosition)>,
    /// In order. Each file continues where the one before it ends.
    replay: Vec<ReplayFile>,
}

/// What all checkpoints of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct RunIdentity {
    pub(crate) device: device::DeviceInfo,
    pub(crate) config: Config,
    /// The world's [`fingerprint`].
    pub(crate) world: String,
}

/// A file of transitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayFile {
    /// The number of its first transition, counted from 0 through the run.
    first: u64,
    rows: u64,
}

impl ReplayFile {
    fn name(&self) -> String {
        rows::file_name(self.first)
    }

    /// The number behind its last transition.
    fn end(&self) -> u64 {
        self.first.saturating_add(self.rows)
    }
}

/// The SHA-256 of a world's arrays in hexadecimal: of their elements in little-endian order, items first.
pub(crate) fn fingerprint(world: &World<'_>) -> String {
    let arrays = world.arrays();
    let hash =
        [arrays.item_embedding, arrays.item_distance, arrays.user_belief, arrays.user_embedding, arrays.target]
            .into_iter()
            .fold(Sha256::new(), |hash, values| update(hash, values, f32::to_le_bytes));
    let hash = [arrays.item_cluster, arrays.user_pretrained]
        .into_iter()
        .fold(hash, |hash, values| update(hash, values, u32::to_le_bytes));
    hash::text(hash)
}

fn update<T: Copy>(mut hash: Sha256, values: &[T], to_bytes: impl Fn(T) -> [u8; 4]) -> Sha256 {
    let mut bytes = Vec::with_capacity(CHUNK_LEN * 4);
    for chunk in values.chunks(CHUNK_LEN) {
        bytes.clear();
        chunk.iter().for_each(|&value| bytes.extend(to_bytes(value)));
        hash.update(&bytes);
    }
    hash
}

/// The checkpoints in a run's folder of checkpoints: number and path, by number.
fn numbered(folder: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut checkpoints = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number: Option<u32> = name.to_str().and_then(|name| name.parse().ok());
        let is_checkpoint = |path: &Path| path.is_dir() && may_hold_checkpoint(path);
        let number = number.filter(|number| name == *folder_name(*number) && is_checkpoint(&entry.path()));
        checkpoints.extend(number.map(|number| (number, entry.path())));
    }
    checkpoints.sort();
    Ok(checkpoints)
}

/// The newest checkpoint in a run's folder of checkpoints, whole or damaged.
pub(crate) fn last(folder: &Path) -> Option<PathBuf> {
    numbered(folder).ok()?.pop().map(|(_, path)| path)
}

/// The number of the next checkpoint: above every number that is a name in the folder, of a checkpoint or not.
fn next_number(folder: &Path) -> io::Result<u32> {
    let mut last = 0_u32;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        last = last.max(name.to_str().and_then(|name| name.parse().ok()).unwrap_or(0));
    }
    let exhausted =
        || io::Error::other(format!("`{last}` leaves no number for a checkpoint: give it another name"));
    last.checked_add(1).ok_or_else(exhausted)
}

/// The name of a checkpoint's folder.
fn folder_name(number: u32) -> String {
    format!("{number:06}")
}

/// Removes all checkpoints of a run, complete or not. Other files stay.
///
/// # Errors
/// If a file cannot be removed.
pub(crate) fn clear(folder: &Path) -> io::Result<()> {
    remove_unfinished(folder)?;
    numbered(folder)?.into_iter().try_for_each(|(_, path)| remove(&path))
}

/// Removes a checkpoint. Does nothing if the folder has other files than a checkpoint. Renames the folder first: if the
/// process is killed in between, what remains must not look like a damaged checkpoint.
fn remove(path: &Path) -> io::Result<()> {
    if !is_ours(path)? {
        return Ok(());
    }
    let old = path.with_file_name(OLD);
    fs::rename(path, &old)?;
    fs::remove_dir_all(&old)
}

/// Removes what a killed process left incomplete.
fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for path in [NEXT, OLD].map(|name| folder.join(name)) {
        let remove = if path.is_dir() { fs::remove_dir_all } else { fs::remove_file };
        unless_missing(remove(&path))?;
    }
    Ok(())
}

/// Whether a folder has only a checkpoint's files and hidden files, which file managers leave.
fn is_ours(checkpoint: &Path) -> io::Result<bool> {
    let names: Vec<_> = fs::read_dir(checkpoint)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    let mut names = names.iter().map(|name| name.to_string_lossy());
    Ok(names.all(|name| is_file_name(&name) || name.starts_with('.')))
}

/// Whether a folder has a file of a checkpoint. True of a folder that cannot be read.
fn may_hold_checkpoint(folder: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(folder) else { return true };
    entries.any(|entry| entry.is_ok_and(|entry| is_file_name(&entry.file_name().to_string_lossy())))
}

/// Whether `name` is the name of a file of a checkpoint.
fn is_file_name(name: &str) -> bool {
    [INFO, AGENT, USERS, checksums::FILE].contains(&name) || rows::is_ours(name)
}

const FORMAT: &str = "recsim-checkpoint";
/// Raised when files change their meaning.
const VERSION: u32 = 1;
const INFO: &str = "checkpoint.json";
const AGENT: &str = "agent.safetensors";
const USERS: &str = "users.safetensors";
/// The tensor in [`USERS`].
const BELIEFS: &str = "beliefs";
/// The folder of a checkpoint that is being built.
const NEXT: &str = ".next";
/// The folder of a checkpoint that is being removed.
const OLD: &str = ".old";
/// Values hashed at a time.
const CHUNK_LEN: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;
    use recsim_core::world::{SyntheticWorldConfig, WorldArrays, brute_force_lists, generate};

    #[test]
    fn fingerprint_changes_with_every_array_of_a_world() {
        let config =
            SyntheticWorldConfig { users: 3, items: 12, clusters: 2, dimensions: 2, pretrained_len: 4, seed: 0 };
        let generated = generate(&config, brute_force_lists);
        let (world, arrays) = (generated.view().unwrap(), *generated.view().unwrap().arrays());
        let of = |arrays: WorldArrays<'_>| fingerprint(&World::new(world.shape(), arrays).unwrap());
        let changed = |values: &[f32], factor: f32| {
            let mut values = values.to_vec();
            let last = values.last_mut().unwrap();
            *last = *last * factor + f32::MIN_POSITIVE;
            values
        };
        let swapped = |values: &[u32]| {
            let mut values = values.to_vec();
            let other = values.iter().position(|value| *value != values[0]).unwrap();
            values.swap(0, other);
            values
        };
        let all = [
            of(WorldArrays { item_embedding: &changed(arrays.item_embedding, 2.0), ..arrays }),
            of(WorldArrays { item_distance: &changed(arrays.item_distance, 2.0), ..arrays }),
            of(WorldArrays { item_cluster: &swapped(arrays.item_cluster), ..arrays }),
            of(WorldArrays { user_belief: &changed(arrays.user_belief, 0.5), ..arrays }),
            of(WorldArrays { user_embedding: &changed(arrays.user_embedding, 2.0), ..arrays }),
            of(WorldArrays { user_pretrained: &swapped(arrays.user_pretrained), ..arrays }),
            of(WorldArrays { target: &changed(arrays.target, 0.99), ..arrays }),
        ];
        assert_eq!(of(arrays), fingerprint(&world));
        assert!(!all.contains(&fingerprint(&world)), "{all:?}");
    }
}
