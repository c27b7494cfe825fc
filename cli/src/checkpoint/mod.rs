//! Checkpoints: all that a run needs to go on, in numbered folders below `checkpoints/`, of which the last two are kept.
//!
//! | in a checkpoint's folder | |
//! |---|---|
//! | `checkpoint.json` | [`About`]: what it is of, how far it had come, how long the run's growing files were |
//! | `agent.safetensors` | networks, targets and moments, by the names that [`recsim_core::session::checkpoint`] gives them |
//! | `users.safetensors` | `beliefs`, `[users, K]` |
//! | `replay-N.rows` | transitions from the run's `N`-th on, counted from 0: see [`rows`] |
//! | `SHA256SUMS` | checksums of these, as `sha256sum -c` reads them; last written |
//!
//! A checkpoint grows in `checkpoints/.next` as its transitions come, and gets its number when all of it is on the disk.
//! Transitions that the one before it has too are the same files under two names, where the file system has links.

mod draft;
mod found;
mod rows;
mod sums;
mod writer;

pub(crate) use found::{Found, check_metrics, newest};
pub(crate) use writer::{Closed, Kept, Writer};

use std::path::{Path, PathBuf};
use std::{fs, io};

use recsim_core::session::checkpoint::CheckpointHeader;
use recsim_core::session::config::Config;
use recsim_core::world::World;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::device;
use crate::files::log::Mark;
use crate::files::{hash, unless_missing};

/// What a checkpoint says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    /// [`FORMAT`].
    format: String,
    /// [`VERSION`] when it was written.
    version: u32,
    /// Of recsim.
    recsim: String,
    /// UTC.
    written: String,
    /// What the run has taken so far.
    pub(crate) wall_seconds: f64,
    pub(crate) device: device::About,
    pub(crate) config: Config,
    /// [`fingerprint`] of the world.
    pub(crate) world: String,
    pub(crate) header: CheckpointHeader,
    /// The run's files that grow, by their names in its folder.
    pub(crate) logs: Vec<(String, Mark)>,
    replay: Vec<Part>,
}

/// What does not change from one checkpoint of a run to the next.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) device: device::About,
    pub(crate) config: Config,
    /// [`fingerprint`] of the world.
    pub(crate) world: String,
}

/// A file of transitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// The number of the first, counted from 0 through the run.
    first: u64,
    rows: u64,
}

impl Part {
    fn name(&self) -> String {
        rows::file_name(self.first)
    }

    fn end(&self) -> u64 {
        self.first.saturating_add(self.rows)
    }
}

/// The SHA-256 of a world's numbers, in hexadecimal: of its tensors' elements in little-endian order, items first.
pub(crate) fn fingerprint(world: &World<'_>) -> String {
    let parts = world.arrays();
    let hash = [parts.item_embedding, parts.item_distance, parts.user_belief, parts.user_embedding, parts.target]
        .into_iter()
        .fold(Sha256::new(), |hash, numbers| update(hash, numbers, f32::to_le_bytes));
    let hash = [parts.item_cluster, parts.user_pretrained]
        .into_iter()
        .fold(hash, |hash, numbers| update(hash, numbers, u32::to_le_bytes));
    hash::text(hash)
}

fn update<T: Copy>(mut hash: Sha256, numbers: &[T], bytes: impl Fn(T) -> [u8; 4]) -> Sha256 {
    let mut piece = Vec::with_capacity(PIECE * 4);
    for numbers in numbers.chunks(PIECE) {
        piece.clear();
        numbers.iter().for_each(|&number| piece.extend(bytes(number)));
        hash.update(&piece);
    }
    hash
}

/// The checkpoints' folders, by their numbers in rising order.
fn numbered(folder: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let number: Option<u32> = name.to_str().and_then(|name| name.parse().ok());
        let is_one = |path: &Path| path.is_dir() && holds_any(path);
        let ours = number.filter(|number| name == *numeral(*number) && is_one(&entry.path()));
        found.extend(ours.map(|number| (number, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// The newest checkpoint in the folder, sound or not.
pub(crate) fn last(folder: &Path) -> Option<PathBuf> {
    numbered(folder).ok()?.pop().map(|(_, path)| path)
}

/// The number of the next checkpoint: above whatever is called as one, be it a checkpoint or not.
fn next_number(folder: &Path) -> io::Result<u32> {
    let mut last = 0_u32;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        last = last.max(name.to_str().and_then(|name| name.parse().ok()).unwrap_or(0));
    }
    let taken = || io::Error::other(format!("`{last}` leaves no number for a checkpoint: give it another name"));
    last.checked_add(1).ok_or_else(taken)
}

/// What the checkpoint of that number is called.
fn numeral(number: u32) -> String {
    format!("{number:06}")
}

/// Removes all checkpoints of a run, and what one that was being written left. Files of others stay.
pub(crate) fn clear(folder: &Path) -> io::Result<()> {
    remove_unfinished(folder)?;
    numbered(folder)?.into_iter().try_for_each(|(_, path)| retire(&path))
}

/// Removes a checkpoint, and nothing that only has a number. Under its number it would be taken for a damaged one, should
/// that be cut short.
fn retire(path: &Path) -> io::Result<()> {
    if !is_ours(path)? {
        return Ok(());
    }
    let old = path.with_file_name(OLD);
    fs::rename(path, &old)?;
    fs::remove_dir_all(&old)
}

/// Removes what a program that was killed left half done.
fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for path in [NEXT, OLD].map(|name| folder.join(name)) {
        let remove = if path.is_dir() { fs::remove_dir_all } else { fs::remove_file };
        unless_missing(remove(&path))?;
    }
    Ok(())
}

/// Whether a folder holds what checkpoints hold, and nothing else but what file managers and systems hide there.
fn is_ours(checkpoint: &Path) -> io::Result<bool> {
    let names: Vec<_> = fs::read_dir(checkpoint)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    let mut names = names.iter().map(|name| name.to_string_lossy());
    Ok(names.all(|name| is_of_a_checkpoint(&name) || name.starts_with('.')))
}

/// Whether a folder holds anything of a checkpoint; one that nobody may look into may do so.
fn holds_any(folder: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(folder) else { return true };
    entries.any(|entry| entry.is_ok_and(|entry| is_of_a_checkpoint(&entry.file_name().to_string_lossy())))
}

/// Whether a checkpoint has a file of that name.
fn is_of_a_checkpoint(name: &str) -> bool {
    [ABOUT, AGENT, USERS, sums::FILE].contains(&name) || rows::is_ours(name)
}

const FORMAT: &str = "recsim-checkpoint";
/// Raised when files change their meaning.
const VERSION: u32 = 1;
const ABOUT: &str = "checkpoint.json";
const AGENT: &str = "agent.safetensors";
const USERS: &str = "users.safetensors";
const BELIEFS: &str = "beliefs";
/// What will be the next checkpoint.
const NEXT: &str = ".next";
/// What was one, and is being removed.
const OLD: &str = ".old";
/// Numbers hashed at a time.
const PIECE: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;
    use recsim_core::world::{SyntheticWorldConfig, WorldArrays, brute_force_lists, generate};

    #[test]
    fn any_number_of_a_world_changes_its_fingerprint() {
        let recipe =
            SyntheticWorldConfig { users: 3, items: 12, clusters: 2, dimensions: 2, pretrained_len: 4, seed: 0 };
        let generated = generate(&recipe, brute_force_lists);
        let (world, parts) = (generated.view().unwrap(), *generated.view().unwrap().arrays());
        let of = |parts: WorldArrays<'_>| fingerprint(&World::new(world.shape(), parts).unwrap());
        let moved = |numbers: &[f32], factor: f32| {
            let mut numbers = numbers.to_vec();
            let last = numbers.last_mut().unwrap();
            *last = *last * factor + f32::MIN_POSITIVE;
            numbers
        };
        let exchanged = |numbers: &[u32]| {
            let mut numbers = numbers.to_vec();
            let (first, other) = (numbers[0], numbers.iter().position(|number| *number != numbers[0]).unwrap());
            numbers[0] = numbers[other];
            numbers[other] = first;
            numbers
        };
        let all = [
            of(WorldArrays { item_embedding: &moved(parts.item_embedding, 2.0), ..parts }),
            of(WorldArrays { item_distance: &moved(parts.item_distance, 2.0), ..parts }),
            of(WorldArrays { item_cluster: &exchanged(parts.item_cluster), ..parts }),
            of(WorldArrays { user_belief: &moved(parts.user_belief, 0.5), ..parts }),
            of(WorldArrays { user_embedding: &moved(parts.user_embedding, 2.0), ..parts }),
            of(WorldArrays { user_pretrained: &exchanged(parts.user_pretrained), ..parts }),
            of(WorldArrays { target: &moved(parts.target, 0.99), ..parts }),
        ];
        assert_eq!(of(parts), fingerprint(&world));
        assert!(!all.contains(&fingerprint(&world)), "{all:?}");
    }
}
