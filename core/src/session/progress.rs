//! How far a run has come, and when it learns.

use serde::{Deserialize, Serialize};

use crate::backend::StageSeconds;
use crate::model::Tally;
use crate::session::config::{Plan, Schedule};

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunProgress {
    /// Rounds served in the whole run.
    pub rounds: u64,
    /// Transitions brought to the ring.
    pub transitions: u64,
    /// Updates of the critics.
    pub updates: u64,
    /// Items shown.
    pub interactions: u64,
    /// The mean reward of the episode's first round.
    pub first_reward: f64,
    /// The last round, if it is not done.
    #[serde(alias = "suspended")]
    pub paused: Option<PausedRound>,
}

/// A round whose users have been served, and whose updates have not all been made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PausedRound {
    /// Updates that are left.
    #[serde(alias = "updates")]
    pub remaining_updates: u32,
    /// What serving the users came to.
    pub tally: Tally,
    /// What it has taken so far.
    pub seconds: StageSeconds,
}

impl RunProgress {
    /// Rounds that have been reported.
    pub fn reported_rounds(&self) -> u64 {
        self.rounds.saturating_sub(u64::from(self.paused.is_some()))
    }
}

impl Schedule {
    /// Whether a learning session runs after round `rounds`, counted from 1 through the run, when `transitions` have
    /// been brought to the ring.
    pub fn learns_after(&self, rounds: u64, transitions: u64, plan: &Plan) -> bool {
        let held = transitions.min(plan.agent.buffer_size() as u64);
        rounds.is_multiple_of(u64::from(self.train_frequency)) && held >= self.warmup_transitions && held > 0
    }
}
