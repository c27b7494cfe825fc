//! `results/current_user_beliefs.json`: where every user stands.

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

/// What a belief file comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Means {
    /// After which episode.
    pub(crate) episode: u32,
    /// `[K]`
    pub(crate) beliefs: Vec<f64>,
    /// `[K]`: as beliefs never pass it, it is a belief and its distance.
    pub(crate) target: Vec<f64>,
}

/// The means of the file at `path`, of which only one user at a time is held in memory.
pub(crate) fn means(path: &Path) -> anyhow::Result<Means> {
    let file = super::open(path).with_context(|| format!("could not read {}", path.display()))?;
    let read = serde_json::from_reader(BufReader::new(file));
    let Beliefs { episode, user_beliefs: Sums { users, beliefs, target } } =
        read.map_err(|error| damaged(path.display(), &error))?;
    let mean = |sums: Vec<f64>| sums.into_iter().map(|sum| sum / users as f64).collect();
    Ok(Means { episode, beliefs: mean(beliefs), target: mean(target) })
}

/// The file, as far as it is read.
#[derive(Deserialize)]
struct Beliefs {
    episode: u32,
    user_beliefs: Sums,
}

/// Its users, added up.
#[derive(Default)]
struct Sums {
    users: u64,
    beliefs: Vec<f64>,
    target: Vec<f64>,
}

impl<'de> Deserialize<'de> for Sums {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Adding)
    }
}

/// Adds users up as they come.
struct Adding;

impl<'de> Visitor<'de> for Adding {
    type Value = Sums;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("users and their beliefs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sums, A::Error> {
        /// What counts of a user.
        #[derive(Deserialize)]
        struct User {
            beliefs: Vec<f64>,
            cluster_distances: Vec<f64>,
        }
        let mut sums = Sums::default();
        while let Some((_, user)) = map.next_entry::<IgnoredAny, User>()? {
            let User { beliefs, cluster_distances } = user;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_has_its_means() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("beliefs.json");
        let ids = ["a", "b"].map(str::to_owned);
        write(&path, 3, &ids, &[0.5, 0.25], &[0.5, 0.0, 0.25, 0.125]).unwrap();
        let means = means(&path).unwrap();
        assert_eq!(means, Means { episode: 3, beliefs: vec![0.375, 0.0625], target: vec![0.5, 0.25] });
    }
}
