//! `results/current_user_beliefs.json`: where every user stands.

use std::io::{self, Write};
use std::path::Path;

use recsim_core::backend::Snapshot;
use recsim_core::metrics::pp1_distance;
use recsim_core::world::row;
use serde::Serialize;

use super::{atomic, timestamp};

/// One user's entry.
#[derive(Serialize)]
struct Entry<'a> {
    /// `[K]`
    beliefs: &'a [f32],
    pp1_distance: f64,
    /// `[K]`: `|target_i - beliefs_i|`
    cluster_distances: Vec<f32>,
}

/// Replaces the file at `path` by one line per user of `snapshots`, the batches of all users in their order.
///
/// `ids` names the users of the world. Nothing but one batch at a time is held.
pub(crate) fn write<E: std::error::Error + Send + Sync + 'static>(
    path: &Path,
    episode: u32,
    users: usize,
    ids: &[String],
    target: &[f32],
    snapshots: impl Iterator<Item = Result<Snapshot, E>>,
) -> anyhow::Result<()> {
    atomic::replace(path, |file| {
        write!(file, r#"{{"episode": {episode}, "timestamp": "{}", "total_users": {users}, "#, timestamp())?;
        write!(file, r#""user_beliefs": {{"#)?;
        for batch in snapshots {
            let batch = batch.map_err(io::Error::other)?;
            for (n, user) in batch.users.clone().enumerate() {
                file.write_all(if user == 0 { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *file, &ids[user])?;
                file.write_all(b": ")?;
                serde_json::to_writer(&mut *file, &entry(&batch.belief[row(n, target.len())], target))?;
            }
        }
        file.write_all(b"\n}}\n")
    })
}

fn entry<'a>(beliefs: &'a [f32], target: &[f32]) -> Entry<'a> {
    let cluster_distances = beliefs.iter().zip(target).map(|(belief, most)| (most - belief).abs()).collect();
    Entry { beliefs, pp1_distance: pp1_distance(beliefs, target), cluster_distances }
}
