//! What is reported after a round, a training session and an episode (`docs/spec.md`, sections 6.1 to 6.3).

use serde::{Deserialize, Serialize};

use core::ops::AddAssign;

use crate::backend::StageSeconds;
use crate::td3::Losses;

/// The metrics of one round: a line of `rounds.jsonl`.
///
/// `d_c = |target_c - b_c|` is a user's distance to the target in cluster c, with the beliefs `b` after the round.
/// Means and shares are over the users served, unless another set is named. Sums over users are exact, so no value
/// depends on the batches or on the number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// The episode, from 1.
    pub episode: u32,
    /// The round in the episode, from 1.
    pub round: u32,
    /// Users served.
    pub users: u64,
    /// Accepted items / shown items, in `[0, 1]`.
    pub acceptance_rate: f64,
    /// Users with a smaller `sum_c d_c` than with their initial beliefs.
    pub improved: u64,
    /// `improved / users`, in `[0, 1]`.
    pub improved_share: f64,
    /// `total_reward / users`, in `[-max_reward, max_reward]`.
    pub average_reward: f64,
    /// `average_reward` minus that of the episode's first round.
    pub reward_trend: f64,
    /// The sum of the users' [rewards](crate::model::reward::Reward).
    pub total_reward: f64,
    /// Mean of `sum_c d_c`, in `[0, sum target]`. 0 means that every user has reached the target.
    pub mean_distance: f64,
    /// Mean of [`engagement`](crate::model::reward::engagement), `min(sum b / sum target, 1)`, in `[0, 1]`.
    pub engagement: f64,
    /// Mean of [`alignment`](crate::model::reward::alignment), the cosine of beliefs and target, in `[0, 1]`.
    pub alignment: f64,
    /// Mean of engagement times alignment, user by user, in `[0, 1]`. It does not depend on
    /// `reward.use_combined_metric`.
    pub combined_score: f64,
    /// The share of the policy's action components beyond 0.99 of `max_action`, in `[0, 1]`, before exploration noise
    /// ([`is_saturated`](crate::td3::is_saturated)).
    pub action_saturation: f64,
    /// Items shown in the run so far.
    pub total_interactions: u64,
    /// Updates made in the run so far.
    pub updates: u64,
    /// The metrics of the training session after this round; `None` if training was not due.
    pub learning: Option<LearningReport>,
    /// Seconds by stage.
    pub seconds: StageSeconds,
    /// `users / seconds.total`.
    pub user_steps_per_second: f64,
}

/// Means over the updates of a training session, or of all sessions in an episode (`docs/spec.md`, sections 4.7 and
/// 6.2). Inner means are over the minibatch, y are its target values, and pi is the actor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearningReport {
    /// Updates of the critics; at least 1.
    pub critic_updates: u64,
    /// Updates of the policy.
    pub policy_updates: u64,
    /// Mean of `mean((Q1(s, a) - y)^2) + mean((Q2(s, a) - y)^2)`, in squared units of reward; at least 0. CleanRL logs
    /// half of it as `qf_loss`.
    pub critic_loss: f64,
    /// Mean of `-mean(Q1(s, pi(s))) + action_l2 mean(pi(s)^2)`, in units of reward; `None` without an update of the
    /// policy.
    pub actor_loss: Option<f64>,
    /// Mean of `Q1(s, a)`, in units of reward.
    pub q_value: f64,
    /// Mean of the target values y, in units of reward.
    pub target_value: f64,
    /// Mean Euclidean norm of the gradient of both critics together, before clipping; at least 0.
    pub critic_gradient_norm: f64,
    /// Mean Euclidean norm of the actor's gradient, before clipping; `None` without an update of the policy.
    pub actor_gradient_norm: Option<f64>,
}

/// The metrics of one episode: a line of `episodes.jsonl`.
///
/// Rates are means over rounds, totals are sums, and states are those after the last round. Keys that [`RoundReport`]
/// has too are defined there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeReport {
    /// The episode, from 1.
    pub episode: u32,
    /// Mean over rounds, in `[0, 1]`.
    pub acceptance_rate: f64,
    /// Users that ended nearer to the target than they started.
    pub improved: u64,
    /// `improved / users`, in `[0, 1]`.
    pub improved_share: f64,
    /// Mean over rounds, per user.
    pub average_reward: f64,
    /// Sum over rounds and users.
    pub total_reward: f64,
    /// `average_reward` of the last round minus that of the first.
    pub reward_trend: f64,
    /// The return that [`LearningReport::q_value`] estimates, in units of reward; `None` at a discount of 1, where it
    /// has no bound.
    ///
    /// It is the mean over rounds of the discounted sum of the average rewards from that round on. An episode ends by
    /// truncation and values bootstrap past it, so the last round's reward is continued for ever. With the average
    /// rewards `r[1]` to `r[R]`:
    ///
    /// ```text
    /// G[R + 1] = r[R] / (1 - discount)
    /// G[n]     = r[n] + discount * G[n + 1]
    /// discounted_return = (G[1] + ... + G[R]) / R
    /// ```
    #[serde(alias = "realised_return")]
    pub discounted_return: Option<f64>,
    /// Mean of `sum_c d_c` before the first round.
    pub initial_distance: f64,
    /// Mean of `sum_c d_c` after the last round.
    pub mean_distance: f64,
    /// Mean engagement after the last round, in `[0, 1]`.
    pub engagement: f64,
    /// Mean alignment after the last round, in `[0, 1]`.
    pub alignment: f64,
    /// Mean of engagement times alignment after the last round, in `[0, 1]`.
    pub combined_score: f64,
    /// Mean over rounds, in `[0, 1]`.
    pub action_saturation: f64,
    /// Items shown in the run so far.
    pub total_interactions: u64,
    /// Updates made in the run so far.
    pub updates: u64,
    /// Means over all updates of the episode; `None` if there was none.
    pub learning: Option<LearningReport>,
    /// Seconds by stage, summed over rounds.
    pub seconds: StageSeconds,
    /// Users served in all rounds / `seconds.total`.
    pub user_steps_per_second: f64,
}

impl LearningReport {
    /// Divides the sums of `losses` by the numbers of updates. Returns `None` if there was no update.
    ///
    /// ```
    /// use recsim_core::session::metrics::LearningReport;
    /// use recsim_core::td3::Losses;
    /// let losses = Losses { critic_updates: 4, critic_loss: 2.0, ..Losses::default() };
    /// let report = LearningReport::from_losses(&losses).expect("there are updates");
    /// assert_eq!((report.critic_loss, report.actor_loss), (0.5, None));
    /// assert_eq!(LearningReport::from_losses(&Losses::default()), None);
    /// ```
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
    /// Adds the sums that the report's means stand for: each mean times its number of updates.
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
