//! One line a round, one line an episode.

use serde::{Deserialize, Serialize};

use core::ops::AddAssign;

use crate::backend::StageSeconds;
use crate::td3::Losses;

/// What is known after a round: a line of `rounds.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// Counted from 1.
    pub episode: u32,
    /// In the episode, from 1.
    pub round: u32,
    /// Users served.
    pub users: u64,
    /// Share of shown items that were accepted.
    pub acceptance_rate: f64,
    /// Users nearer to the target than when the episode began.
    pub improved: u64,
    /// Their share.
    pub improved_share: f64,
    /// Mean over users.
    pub average_reward: f64,
    /// `average_reward` minus that of the episode's first round.
    pub reward_trend: f64,
    /// Sum over users.
    pub total_reward: f64,
    /// Mean summed distance to the target after the round.
    pub mean_distance: f64,
    /// Mean engagement after the round.
    pub engagement: f64,
    /// Mean alignment after the round.
    pub alignment: f64,
    /// Mean of engagement times alignment.
    pub combined_score: f64,
    /// Share of the policy's action components beyond 0.99 of `max_action`, before noise.
    pub action_saturation: f64,
    /// Interactions (items shown) in the run so far.
    pub total_interactions: u64,
    /// Updates made in the run so far.
    pub updates: u64,
    /// What learning after this round reported; none where none was due.
    pub learning: Option<LearningReport>,
    /// Where the time went.
    pub seconds: StageSeconds,
    /// Users served per second of the round.
    pub user_steps_per_second: f64,
}

/// Means over the updates of a learning session, or of all sessions in an episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearningReport {
    /// Updates of the critics.
    pub critic_updates: u64,
    /// Updates of the policy.
    pub policy_updates: u64,
    /// Mean critic loss.
    pub critic_loss: f64,
    /// Mean actor loss; none if the policy did not move.
    pub actor_loss: Option<f64>,
    /// Mean value of the sampled actions.
    pub q_value: f64,
    /// Mean of what the critics should have said.
    pub target_value: f64,
    /// Mean norm of the critics' gradient, before it is clipped.
    pub critic_gradient_norm: f64,
    /// Mean norm of the actor's, before it is clipped; none if the policy did not move.
    pub actor_gradient_norm: Option<f64>,
}

/// What is known after an episode: a line of `episodes.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeReport {
    /// Counted from 1.
    pub episode: u32,
    /// Share of shown items that were accepted.
    pub acceptance_rate: f64,
    /// Users nearer to the target than when the episode began.
    pub improved: u64,
    /// Their share.
    pub improved_share: f64,
    /// Mean per user and round.
    pub average_reward: f64,
    /// Sum over users and rounds.
    pub total_reward: f64,
    /// Mean reward per user in the last round minus that in the first.
    pub reward_trend: f64,
    /// What values stand for, as it came: the mean over rounds of the discounted sum of average rewards from the round on.
    /// The last round's reward is taken to go on for ever, as an episode's end is a time limit and values run past it. To
    /// be compared with [`LearningReport::q_value`]. None at a discount of 1, where it has no bound.
    #[serde(alias = "realised_return")]
    pub discounted_return: Option<f64>,
    /// Mean summed distance to the target before the first round.
    pub initial_distance: f64,
    /// And after the last.
    pub mean_distance: f64,
    /// Mean engagement at the end.
    pub engagement: f64,
    /// Mean alignment at the end.
    pub alignment: f64,
    /// Mean of engagement times alignment at the end.
    pub combined_score: f64,
    /// Mean over the rounds.
    pub action_saturation: f64,
    /// Interactions in the run so far.
    pub total_interactions: u64,
    /// Updates in the run so far.
    pub updates: u64,
    /// What the episode's learning reported; none where there was none.
    pub learning: Option<LearningReport>,
    /// Where the time went.
    pub seconds: StageSeconds,
    /// Users served per second of the episode.
    pub user_steps_per_second: f64,
}

impl LearningReport {
    /// The means; none if nothing was learned.
    pub fn from_losses(losses: &Losses) -> Option<Self> {
        let critics = (losses.critic_updates > 0).then_some(losses.critic_updates as f64)?;
        let policy = (losses.policy_updates > 0).then_some(losses.policy_updates as f64);
        Some(Self {
            critic_updates: losses.critic_updates,
            policy_updates: losses.policy_updates,
            critic_loss: losses.critic_loss / critics,
            actor_loss: policy.map(|updates| losses.actor_loss / updates),
            q_value: losses.q_value / critics,
            target_value: losses.target_value / critics,
            critic_gradient_norm: losses.critic_gradient_norm / critics,
            actor_gradient_norm: policy.map(|updates| losses.actor_gradient_norm / updates),
        })
    }
}

impl AddAssign<&LearningReport> for Losses {
    /// The sums that the means were made from.
    fn add_assign(&mut self, report: &LearningReport) {
        let (critics, policy) = (report.critic_updates as f64, report.policy_updates as f64);
        self.critic_updates += report.critic_updates;
        self.policy_updates += report.policy_updates;
        self.critic_loss += report.critic_loss * critics;
        self.actor_loss += report.actor_loss.unwrap_or(0.0) * policy;
        self.q_value += report.q_value * critics;
        self.target_value += report.target_value * critics;
        self.critic_gradient_norm += report.critic_gradient_norm * critics;
        self.actor_gradient_norm += report.actor_gradient_norm.unwrap_or(0.0) * policy;
    }
}
