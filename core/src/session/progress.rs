//! The counters of a run, and the rounds after which it trains.

use serde::{Deserialize, Serialize};

use crate::backend::StageSeconds;
use crate::model::Tally;
use crate::session::config::{Plan, Schedule};

/// The counters of a run. They are part of every checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunProgress {
    /// Rounds served in the run, a paused one included.
    pub rounds: u64,
    /// Transitions inserted into the replay buffer in the run. It may exceed the buffer's size.
    pub transitions: u64,
    /// Updates of the critics in the run.
    pub updates: u64,
    /// Items shown in the run.
    pub interactions: u64,
    /// `average_reward` of the first round of the current episode: the base of `reward_trend`.
    pub first_reward: f64,
    /// The last round, if it was paused before its last update.
    #[serde(alias = "suspended")]
    pub paused: Option<PausedRound>,
}

/// A round whose users have been served and whose updates have not all been made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PausedRound {
    /// Updates that the round still has to make; at least 1.
    #[serde(alias = "updates")]
    pub remaining_updates: u32,
    /// The sums over the round's users.
    pub tally: Tally,
    /// The seconds that the round has taken so far.
    pub seconds: StageSeconds,
}

impl RunProgress {
    /// Rounds that are finished and reported: all but a paused one.
    pub fn reported_rounds(&self) -> u64 {
        self.rounds.saturating_sub(u64::from(self.paused.is_some()))
    }
}

impl Schedule {
    /// Whether training is due after round `rounds`, counted from 1 through the run, when `transitions` transitions
    /// have been inserted into the replay buffer (`docs/spec.md`, section 3.2):
    ///
    /// `rounds % train_frequency == 0 && stored >= warmup_transitions && stored > 0`, with
    /// `stored = min(transitions, buffer_size)`.
    pub fn learns_after(&self, rounds: u64, transitions: u64, plan: &Plan) -> bool {
        let stored = transitions.min(plan.agent.buffer_size() as u64);
        rounds.is_multiple_of(u64::from(self.train_frequency)) && stored >= self.warmup_transitions && stored > 0
    }
}
