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
use crate::device::About;
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
    pub(crate) device: About,
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
    /// Reads one, and checks that it fits together.
    pub(crate) fn read(path: &Path) -> Result<Self, BadInput> {
        let refuse = |problem: String, remedy: String| BadInput::new(path.display(), problem, remedy);
        let again = "make it again with `recsim eval --out`";
        let text = super::read(path).map_err(|error| {
            refuse(format!("cannot be read: {error}"), "name a file that can be read".to_owned())
        })?;
        match serde_json::from_slice::<Head>(&text) {
            Ok(Head { format, version, .. }) if format == FORMAT && version == VERSION => {}
            Ok(Head { format, version, command, .. }) if format == FORMAT => {
                let problem =
                    format!("`version` is {version}, and this recsim reads evaluations of version {VERSION}");
                let remedy =
                    command.map_or(again.to_owned(), |command| format!("make it again: {command} --out FILE"));
                return Err(refuse(problem, remedy));
            }
            Ok(Head { format, .. }) => {
                let problem = format!("`format` is `{format}`, not `{FORMAT}`");
                return Err(refuse(problem, format!("give a file that {NOT_OTHERS}")));
            }
            Err(error) => {
                let problem = format!("this is no evaluation, or a damaged one: {error}");
                return Err(refuse(problem, format!("give a file that {NOT_OTHERS}, or make it again")));
            }
        }
        let evaluation: Self =
            parse(&text).map_err(|error| refuse(format!("this is damaged: {error}"), again.to_owned()))?;
        match evaluation.misfit() {
            None => Ok(evaluation),
            Some(key) => {
                let problem = format!("this is damaged: `{key}` does not suit the rest");
                Err(refuse(problem, again.to_owned()))
            }
        }
    }

    /// A key whose values do not suit the number of rounds and clusters, or cannot be counts.
    fn misfit(&self) -> Option<String> {
        let (rounds, clusters) = (self.rounds, self.target.len());
        if clusters == 0 || self.initial_beliefs.len() != clusters {
            return Some("initial_beliefs".to_owned());
        }
        let table = |rows: usize, columns: usize, counts: &ItemCounts| {
            let fits = |table: &[Vec<u64>]| table.len() == rows && table.iter().all(|row| row.len() == columns);
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
                    policy.reliability.bins.iter().all(|bin| bin.shown < MANY && bin.accepted <= bin.shown),
                ),
                ("by_round", table(rounds, clusters, &policy.by_round)),
                ("by_distance", table(clusters, DECILES, &policy.by_distance)),
            ];
            fits.into_iter().find(|(_, fits)| !fits).map(|(key, _)| format!("policies[{n}].{key}"))
        })
    }

    /// Writes it to `path`, or leaves there what there was.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        atomic::replace(path, |file| {
            serde_json::to_writer_pretty(&mut *file, self)?;
            file.write_all(b"\n")
        })
    }
}

/// Where an evaluation goes that is to go to `path`: one that was stopped does not take the place of one that was not.
pub(crate) fn place(path: &Path, interrupted: bool) -> PathBuf {
    let is_whole = || head(path).is_some_and(|head| head.format == FORMAT && !head.interrupted);
    if interrupted && is_whole() { cut_short(path) } else { path.to_owned() }
}

fn cut_short(path: &Path) -> PathBuf {
    path.with_extension("interrupted.json")
}

/// Refuses a file that is there and is no evaluation, and a name that no file can have.
pub(crate) fn check_replaced(path: &Path) -> Result<(), BadInput> {
    atomic::check_name(path)?;
    atomic::check_name(&cut_short(path))?;
    if path.symlink_metadata().is_err() || head(path).is_some_and(|head| head.format == FORMAT) {
        return Ok(());
    }
    let problem = "this is there already, and is no evaluation";
    Err(BadInput::new(path.display(), problem, "give --out another file, or a folder"))
}

fn head(path: &Path) -> Option<Head> {
    serde_json::from_slice(&super::read(path).ok()?).ok()
}

pub(crate) const FORMAT: &str = "recsim evaluation";
/// Raised when a field changes its meaning.
pub(crate) const VERSION: u32 = 2;
/// More items than anybody can show; ten times as many can still be counted.
const MANY: u64 = 1 << 53;
const NOT_OTHERS: &str = "`recsim eval --out` wrote";

/// What tells an evaluation from other files.
#[derive(Deserialize)]
struct Head {
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
    fn a_stopped_evaluation_replaces_stopped_ones_only() {
        let folder = tempfile::tempdir().unwrap();
        let (path, beside) = (folder.path().join("e.json"), folder.path().join("e.interrupted.json"));
        assert_eq!(place(&path, true), path);
        for (interrupted, expected) in [(true, &path), (false, &beside)] {
            fs::write(&path, format!("{{\"format\": \"{FORMAT}\", \"interrupted\": {interrupted}}}")).unwrap();
            assert_eq!((&place(&path, true), &place(&path, false)), (expected, &path));
        }
    }
}
