//! `results/current_user_beliefs.json`: where every user stands.

use std::io::Write;
use std::path::Path;

use recsim_core::metrics::pp1_distance;
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

/// Replaces the file at `path` by one line per user of `beliefs`, `[users, K]`. `ids` names the users of the world.
pub(crate) fn write(
    path: &Path,
    episode: u32,
    ids: &[String],
    target: &[f32],
    beliefs: &[f32],
) -> anyhow::Result<()> {
    atomic::replace(path, |file| {
        let users = beliefs.len() / target.len();
        write!(file, r#"{{"episode": {episode}, "timestamp": "{}", "total_users": {users}, "#, timestamp())?;
        write!(file, r#""user_beliefs": {{"#)?;
        for (user, (id, beliefs)) in ids.iter().zip(beliefs.chunks_exact(target.len())).enumerate() {
            file.write_all(if user == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut *file, id)?;
            file.write_all(b": ")?;
            serde_json::to_writer(&mut *file, &entry(beliefs, target))?;
        }
        file.write_all(b"\n}}\n")
    })
}

fn entry<'a>(beliefs: &'a [f32], target: &[f32]) -> Entry<'a> {
    let cluster_distances = beliefs.iter().zip(target).map(|(belief, most)| (most - belief).abs()).collect();
    Entry { beliefs, pp1_distance: pp1_distance(beliefs, target), cluster_distances }
}
