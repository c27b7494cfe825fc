//! `results/current_user_beliefs.json`: the beliefs of every user.

use std::fmt;
use std::io::{BufReader, Write};
use std::path::Path;

use anyhow::Context;
use recsim_core::session::metrics::pp1_distance;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::lines::damaged;
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

/// The means of a belief file over its users.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MeanBeliefs {
    /// The episode after which the file was written.
    pub(crate) episode: u32,
    /// `[K]`
    pub(crate) beliefs: Vec<f64>,
    /// `[K]`: the mean of belief + distance. Beliefs never exceed the target.
    pub(crate) target: Vec<f64>,
}

/// The means of the file at `path`. Holds one user at a time in memory.
///
/// # Errors
/// If the file cannot be read, is damaged or has no user.
pub(crate) fn means(path: &Path) -> anyhow::Result<MeanBeliefs> {
    let file = super::open(path).with_context(|| format!("could not read {}", path.display()))?;
    let read = serde_json::from_reader(BufReader::new(file));
    let BeliefFile { episode, user_beliefs: BeliefSums { users, beliefs, target } } =
        read.map_err(|error| damaged(path.display(), &error))?;
    let mean = |sums: Vec<f64>| sums.into_iter().map(|sum| sum / users as f64).collect();
    Ok(MeanBeliefs { episode, beliefs: mean(beliefs), target: mean(target) })
}

/// The keys of the file that are read.
#[derive(Deserialize)]
struct BeliefFile {
    episode: u32,
    user_beliefs: BeliefSums,
}

/// Sums over the users of the file.
#[derive(Default)]
struct BeliefSums {
    users: u64,
    beliefs: Vec<f64>,
    target: Vec<f64>,
}

impl<'de> Deserialize<'de> for BeliefSums {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SumUsers)
    }
}

/// Sums users as they are parsed.
struct SumUsers;

impl<'de> Visitor<'de> for SumUsers {
    type Value = BeliefSums;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("users and their beliefs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BeliefSums, A::Error> {
        /// The keys of a user's entry that are read.
        #[derive(Deserialize)]
        struct UserBeliefs {
            beliefs: Vec<f64>,
            cluster_distances: Vec<f64>,
        }
        let mut sums = BeliefSums::default();
        while let Some((_, user)) = map.next_entry::<IgnoredAny, UserBeliefs>()? {
            let UserBeliefs { beliefs, cluster_distances } = user;
            if sums.users == 0 {
                (sums.beliefs, sums.target) = (vec![0.0; beliefs.len()], vec![0.0; beliefs.len()]);
            }
            if beliefs.len() != sums.beliefs.len() || cluster_distances.len() != beliefs.len() {
                return Err(A::Error::custom("users differ in their number of clusters"));
            }
            sums.users += 1;
            for (cluster, (belief, distance)) in beliefs.into_iter().zip(cluster_distances).enumerate() {
                sums.beliefs[cluster] += belief;
                sums.target[cluster] += belief + distance;
            }
        }
        if sums.users == 0 || sums.beliefs.is_empty() {
            Err(A::Error::custom("there is no user"))
        } else {
            Ok(sums)
        }
    }
}

/// Replaces the file at `path` by one with a line per user of `beliefs`, `[users, K]`. `target` is `[K]`, and
/// `ids` are the ids of the world's users, at least as many.
///
/// # Errors
/// If the file cannot be written. The old file stays.
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
    let cluster_distances = beliefs.iter().zip(target).map(|(belief, target)| (target - belief).abs()).collect();
    Entry { beliefs, pp1_distance: pp1_distance(beliefs, target), cluster_distances }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_a_written_file_are_exact() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("beliefs.json");
        let ids = ["a", "b"].map(str::to_owned);
        write(&path, 3, &ids, &[0.5, 0.25], &[0.5, 0.0, 0.25, 0.125]).unwrap();
        let means = means(&path).unwrap();
        assert_eq!(means, MeanBeliefs { episode: 3, beliefs: vec![0.375, 0.0625], target: vec![0.5, 0.25] });
    }
}
