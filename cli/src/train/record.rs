//! `run.json` and `summary.json`: what was run, and how it ended.

use recsim_core::config::Plan;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Kept;
use crate::device::About;
use crate::files::timestamp;
use crate::source::Provenance;

/// What was run, on what: known when it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    /// Of recsim.
    pub(super) version: String,
    /// UTC.
    pub(super) started: String,
    pub(super) seed: u64,
    #[serde(flatten)]
    pub(super) device: About,
    pub(super) episodes: u32,
    pub(super) rounds_per_episode: u32,
    /// Users served in a round.
    pub(super) users_per_round: usize,
    pub(super) world: Provenance,
    /// Where it was gone on with after a stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) resumed: Vec<Resumption>,
}

/// A run gone on with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Resumption {
    /// UTC.
    pub(super) at: String,
    /// Rounds that were done.
    pub(super) rounds: u64,
    #[serde(flatten)]
    pub(super) device: About,
    /// Settings that are other than they were.
    pub(super) changes: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Finished,
    Interrupted,
}

/// What is known when a run has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) status: Status,
    /// UTC.
    pub(super) ended: String,
    /// From the first round to the last file, without the time between a stop and going on.
    pub(super) wall_seconds: f64,
    /// What checkpoints came to since it was last begun or gone on with.
    #[serde(default)]
    pub(super) checkpoints: Kept,
    /// In the run's folder.
    pub(super) files: Vec<String>,
    /// As it was given to `--trace`.
    pub(super) trace: Option<String>,
}

impl Run {
    /// Every setting that it was ever allowed to change.
    pub(super) fn changes(&self) -> Vec<String> {
        self.resumed.iter().flat_map(|again| again.changes.iter().cloned()).collect()
    }

    /// A run that begins now.
    pub(super) fn new(device: About, world: Provenance, plan: &Plan) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: timestamp(),
            seed: plan.seed,
            device,
            episodes: plan.schedule.episodes,
            rounds_per_episode: plan.schedule.rounds,
            users_per_round: plan.schedule.users,
            world,
            resumed: Vec::new(),
        }
    }
}
