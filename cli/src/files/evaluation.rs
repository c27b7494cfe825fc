//! `evaluation.json`: the results of `recsim eval`.

use std::io::Write;
use std::path::{Path, PathBuf};

use recsim_core::eval::PolicyMetrics;
use recsim_core::eval::breakdown::{DECILES, ItemCounts};
use recsim_core::eval::reliability::Reliability;
use recsim_core::eval::resample::Interval;
use recsim_core::session::config::Config;
use serde::{Deserialize, Serialize};

use super::{atomic, parse};
use crate::device::DeviceInfo;
use crate::error::BadInput;
use crate::source::Provenance;

/// The file's name in a folder.
pub(crate) const NAME: &str = "evaluation.json";

/// An evaluation. The same command writes the same bytes but for `timestamp`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evaluation {
    /// [`FORMAT`].
    pub(crate) format: String,
    /// The version of the format: [`VERSION`] when it was written.
    pub(crate) version: u32,
    /// The version of recsim that wrote it.
    pub(crate) recsim: String,
    /// When it was written, UTC.
    pub(crate) timestamp: String,
    /// The command that repeats it, without `--out`.
    pub(crate) command: String,
    /// Whether it was stopped before all seeds were finished.
    pub(crate) interrupted: bool,
    pub(crate) device: DeviceInfo,
    pub(crate) world: Provenance,
    /// Every setting, as resolved.
    pub(crate) config: Config,
    /// The seeds that are finished.
    pub(crate) seeds: Vec<u64>,
    /// Users served in every round.
    pub(crate) users: usize,
    /// Rounds of an episode.
    pub(crate) rounds: usize,
    /// Items of a slate that a policy selects.
    #[serde(alias = "chosen")]
    pub(crate) rl_slots: usize,
    /// Items of a slate.
    #[serde(alias = "shown")]
    pub(crate) slate_len: usize,
    /// Bootstrap resamples behind each interval.
    pub(crate) resamples: usize,
    /// Blocks of users that a resample draws from.
    pub(crate) blocks: usize,
    /// The users' mean summed distance to the target before the first round.
    pub(crate) initial_distance: f64,
    /// `[K]`: the users' mean beliefs before the first round.
    pub(crate) initial_beliefs: Vec<f64>,
    /// `[K]`: the target beliefs.
    pub(crate) target: Vec<f32>,
    /// The largest distance of any item to its cluster's centre. `by_distance` counts by tenths of it.
    pub(crate) farthest: f32,
    /// The smallest area first.
    pub(crate) policies: Vec<PolicyResults>,
    /// Every two policies, the better one first.
    pub(crate) pairs: Vec<PolicyPair>,
}

/// The results of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyResults {
    /// Its name, as given to `--policies`.
    pub(crate) policy: String,
    #[serde(flatten)]
    pub(crate) metrics: PolicyMetrics<Interval>,
    pub(crate) curves: Curves,
    /// Acceptances by their predicted probability, over all seeds.
    pub(crate) reliability: Reliability,
    /// `[rounds][K]`: mean beliefs after each round, over all seeds.
    pub(crate) beliefs: Vec<Vec<f64>>,
    /// `[rounds][K]`: items by round and cluster, over all seeds.
    pub(crate) by_round: ItemCounts,
    /// `[K][10]`: items by cluster and tenth of `farthest`, over all seeds.
    pub(crate) by_distance: ItemCounts,
}

/// `[rounds]`: a value for each round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Curves {
    /// Mean summed distance to the target after the round.
    pub(crate) distance: Vec<Interval>,
    /// Share of the shown items that were accepted, in 0 to 1.
    pub(crate) acceptance: Vec<Interval>,
}

/// Two policies, compared on the same resamples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyPair {
    pub(crate) first: String,
    pub(crate) second: String,
    /// The probability that a user's area is smaller under the first policy than under the second with the same seed.
    /// Ties count half.
    #[serde(alias = "improvement")]
    pub(crate) probability_of_improvement: Interval,
    /// Each metric of the first minus that of the second.
    pub(crate) difference: PolicyMetrics<Interval>,
}

impl Evaluation {
    /// Reads an evaluation, and checks that its arrays have consistent lengths.
    ///
    /// # Errors
    /// If the file cannot be read, is not an evaluation, or is damaged.
    pub(crate) fn read(path: &Path) -> Result<Self, BadInput> {
        let refuse = |problem: String, remedy: String| BadInput::new(path.display(), problem, remedy);
        let again = "make it again with `recsim eval --out`";
        let text = super::read(path).map_err(|error| {
            refuse(format!("cannot be read: {error}"), "name a file that can be read".to_owned())
        })?;
        match serde_json::from_slice::<EvaluationHead>(&text) {
            Ok(EvaluationHead { format, version, .. }) if format == FORMAT && version == VERSION => {}
            Ok(EvaluationHead { format, version, command, .. }) if format == FORMAT => {
                let problem =
                    format!("`version` is {version}, and this recsim reads evaluations of version {VERSION}");
                let remedy =
                    command.map_or(again.to_owned(), |command| format!("make it again: {command} --out FILE"));
                return Err(refuse(problem, remedy));
            }
            Ok(EvaluationHead { format, .. }) => {
                let problem = format!("`format` is `{format}`, not `{FORMAT}`");
                return Err(refuse(problem, format!("give a file that {WRITER}")));
            }
            Err(error) => {
                let problem = format!("this is no evaluation, or a damaged one: {error}");
                return Err(refuse(problem, format!("give a file that {WRITER}, or make it again")));
            }
        }
        let evaluation: Self =
            parse(&text).map_err(|error| refuse(format!("this is damaged: {error}"), again.to_owned()))?;
        match evaluation.inconsistent_key() {
            None => Ok(evaluation),
            Some(key) => {
                let problem = format!("this is damaged: `{key}` is inconsistent with the rest");
                Err(refuse(problem, again.to_owned()))
            }
        }
    }

    /// The first key whose array has another length than the rounds and clusters ask for, or whose counts are
    /// impossible.
    fn inconsistent_key(&self) -> Option<String> {
        let (rounds, clusters) = (self.rounds, self.target.len());
        if clusters == 0 || self.initial_beliefs.len() != clusters {
            return Some("initial_beliefs".to_owned());
        }
        let has_shape = |rows: usize, columns: usize, counts: &ItemCounts| {
            let fits = |counts: &[Vec<u64>]| counts.len() == rows && counts.iter().all(|row| row.len() == columns);
            fits(&counts.shown) && fits(&counts.accepted)
        };
        self.policies.iter().enumerate().find_map(|(n, policy)| {
            let beliefs = &policy.beliefs;
            let fits = [
                ("curves.distance", policy.curves.distance.len() == rounds),
                ("curves.acceptance", policy.curves.acceptance.len() == rounds),
                ("beliefs", beliefs.len() == rounds && beliefs.iter().all(|row| row.len() == clusters)),
                (
                    "reliability",
                    policy.reliability.bins.iter().all(|bin| bin.shown < MAX_COUNT && bin.accepted <= bin.shown),
                ),
                ("by_round", has_shape(rounds, clusters, &policy.by_round)),
                ("by_distance", has_shape(clusters, DECILES, &policy.by_distance)),
            ];
            fits.into_iter().find(|(_, fits)| !fits).map(|(key, _)| format!("policies[{n}].{key}"))
        })
    }

    /// Replaces the file at `path`.
    ///
    /// # Errors
    /// If it cannot be written. The old file stays.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        atomic::replace(path, |file| {
            serde_json::to_writer_pretty(&mut *file, self)?;
            file.write_all(b"\n")
        })
    }
}

/// The file that an evaluation is written to if `--out` names `path`. An interrupted evaluation does not replace a
/// complete one, and is written beside it.
pub(crate) fn output_path(path: &Path, interrupted: bool) -> PathBuf {
    let is_complete = || head(path).is_some_and(|head| head.format == FORMAT && !head.interrupted);
    if interrupted && is_complete() { interrupted_path(path) } else { path.to_owned() }
}

fn interrupted_path(path: &Path) -> PathBuf {
    path.with_extension("interrupted.json")
}

/// Checks whether an evaluation may be written to `path`.
///
/// # Errors
/// If there is a file that is not an evaluation, or if no file can have the name.
pub(crate) fn check_replaced(path: &Path) -> Result<(), BadInput> {
    atomic::check_name(path)?;
    atomic::check_name(&interrupted_path(path))?;
    if path.symlink_metadata().is_err() || head(path).is_some_and(|head| head.format == FORMAT) {
        return Ok(());
    }
    let problem = "this is there already, and is no evaluation";
    Err(BadInput::new(path.display(), problem, "give --out another file, or a folder"))
}

fn head(path: &Path) -> Option<EvaluationHead> {
    serde_json::from_slice(&super::read(path).ok()?).ok()
}

pub(crate) const FORMAT: &str = "recsim evaluation";
/// Raised when a field changes its meaning.
pub(crate) const VERSION: u32 = 2;
/// Above any real count of items. Ten such counts can be added without overflow.
const MAX_COUNT: u64 = 1 << 53;
const WRITER: &str = "`recsim eval --out` wrote";

/// The keys that identify an evaluation of any version.
#[derive(Deserialize)]
struct EvaluationHead {
    format: String,
    #[serde(default)]
    version: u32,
    #[serde(default)]
    command: Option<String>,
    #[serde(default)]
    interrupted: bool,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn interrupted_evaluation_replaces_only_interrupted_ones() {
        let folder = tempfile::tempdir().unwrap();
        let (path, beside) = (folder.path().join("e.json"), folder.path().join("e.interrupted.json"));
        assert_eq!(output_path(&path, true), path);
        for (interrupted, expected) in [(true, &path), (false, &beside)] {
            fs::write(&path, format!("{{\"format\": \"{FORMAT}\", \"interrupted\": {interrupted}}}")).unwrap();
            assert_eq!((&output_path(&path, true), &output_path(&path, false)), (expected, &path));
        }
    }
}
