//! `run.json` and `summary.json`: what was run, and how it ended.

use recsim_core::session::config::Plan;
use recsim_core::world::World;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Kept;
use crate::device::About;
use crate::files::timestamp;
use crate::source::Provenance;

/// What was run, on what: known when it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Of recsim.
    pub(crate) version: String,
    /// UTC.
    pub(crate) started: String,
    pub(crate) seed: u64,
    #[serde(flatten)]
    pub(crate) device: About,
    pub(crate) episodes: u32,
    pub(crate) rounds_per_episode: u32,
    /// Users served in a round.
    pub(crate) users_per_round: usize,
    pub(crate) world: Provenance,
    /// Whom it steers; none in the record of an older recsim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beliefs: Option<Steered>,
    /// Where it was gone on with after a stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) resumed: Vec<Resumption>,
}

/// Where the users of a run begin, and where they are to go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Steered {
    /// `[K]`: the mean of their beliefs.
    pub(crate) initial: Vec<f64>,
    /// `[K]`
    pub(crate) target: Vec<f32>,
}

/// A run gone on with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Resumption {
    /// UTC.
    pub(crate) at: String,
    /// Rounds that were done.
    pub(crate) rounds: u64,
    #[serde(flatten)]
    pub(crate) device: About,
    /// Settings that are other than they were.
    pub(crate) changes: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Finished,
    Interrupted,
}

/// What is known when a run has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) status: Status,
    /// UTC.
    pub(crate) ended: String,
    /// From the first round to the last file, without the time between a stop and going on.
    pub(crate) wall_seconds: f64,
    /// What checkpoints came to since it was last begun or gone on with.
    #[serde(default)]
    pub(crate) checkpoints: Kept,
    /// In the run's folder.
    pub(crate) files: Vec<String>,
    /// As it was given to `--trace`.
    pub(crate) trace: Option<String>,
}

impl Run {
    /// Every setting that it was ever allowed to change.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.resumed.iter().flat_map(|again| again.changes.iter().cloned()).collect()
    }

    /// A run that begins now.
    pub(crate) fn new(device: About, provenance: Provenance, world: &World<'_>, plan: &Plan) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: timestamp(),
            seed: plan.seed,
            device,
            episodes: plan.schedule.episodes,
            rounds_per_episode: plan.schedule.rounds_per_episode,
            users_per_round: plan.schedule.users,
            world: provenance,
            beliefs: Some(Steered {
                initial: world.first_users(plan.schedule.users).mean_beliefs(),
                target: world.target().to_vec(),
            }),
            resumed: Vec::new(),
        }
    }
}
