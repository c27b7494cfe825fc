//! `run.json` and `summary.json`: what a run is, and how it ended.

use recsim_core::session::config::Plan;
use recsim_core::world::World;
use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointStats;
use crate::device::DeviceInfo;
use crate::files::timestamp;
use crate::source::Provenance;

/// The content of `run.json`: what is run, on what. Known when the run starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    /// The version of recsim.
    pub(crate) version: String,
    /// When the run started, UTC.
    pub(crate) started: String,
    pub(crate) seed: u64,
    #[serde(flatten)]
    pub(crate) device: DeviceInfo,
    /// Episodes planned, as of the last resumption.
    pub(crate) episodes: u32,
    pub(crate) rounds_per_episode: u32,
    /// Users served in each round.
    pub(crate) users_per_round: usize,
    pub(crate) world: Provenance,
    /// Where the users start and where they should go; absent in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beliefs: Option<BeliefGoal>,
    /// One entry for each time the run was resumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) resumed: Vec<Resumption>,
}

/// The mean initial beliefs of a run's users, and their target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BeliefGoal {
    /// `[K]`: the mean of their initial beliefs.
    pub(crate) initial: Vec<f64>,
    /// `[K]`
    pub(crate) target: Vec<f32>,
}

/// A resumption of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Resumption {
    /// When, UTC.
    pub(crate) at: String,
    /// Rounds completed before.
    pub(crate) rounds: u64,
    #[serde(flatten)]
    pub(crate) device: DeviceInfo,
    /// Settings that changed, `key: old -> new`.
    pub(crate) changes: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Finished,
    Interrupted,
}

/// The content of `summary.json`: what is known when a run has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunEnd {
    pub(crate) status: Status,
    /// When the run ended, UTC.
    pub(crate) ended: String,
    /// The time from the first round to the last file, without the time between an interruption and a resumption.
    pub(crate) wall_seconds: f64,
    /// Checkpoints since the run was last started or resumed.
    #[serde(default)]
    pub(crate) checkpoints: CheckpointStats,
    /// Files and folders of the run, relative to its folder.
    pub(crate) files: Vec<String>,
    /// The path given to `--trace`.
    pub(crate) trace: Option<String>,
}

impl RunRecord {
    /// Every change of a setting, of all resumptions.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.resumed.iter().flat_map(|resumption| resumption.changes.iter().cloned()).collect()
    }

    /// The record of a run that starts now.
    pub(crate) fn new(device: DeviceInfo, provenance: Provenance, world: &World<'_>, plan: &Plan) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: timestamp(),
            seed: plan.seed,
            device,
            episodes: plan.schedule.episodes,
            rounds_per_episode: plan.schedule.rounds_per_episode,
            users_per_round: plan.schedule.users,
            world: provenance,
            beliefs: Some(BeliefGoal {
                initial: world.first_users(plan.schedule.users).mean_beliefs(),
                target: world.target().to_vec(),
            }),
            resumed: Vec::new(),
        }
    }
}
