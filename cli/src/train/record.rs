//! `run.json` and `summary.json`: what was run, and how it ended.

use recsim_core::config::Plan;
use serde::{Deserialize, Serialize};

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
    /// From the first round to the last file.
    pub(super) wall_seconds: f64,
    /// In the run's folder.
    pub(super) files: Vec<String>,
    /// As it was given to `--trace`.
    pub(super) trace: Option<String>,
}

impl Run {
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
        }
    }
}
