//! What learning reported, summed over updates.

use serde::{Deserialize, Serialize};

/// Sums over updates, in their order; [`LearningReport`](crate::session::metrics::LearningReport) has the means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// Updates of the critics.
    pub critic_updates: u64,
    /// Updates of the policy.
    pub policy_updates: u64,
    /// `MSE(Q1, y) + MSE(Q2, y)`.
    pub critic_loss: f64,
    /// `-mean Q1(s, actor(s)) + action_l2 * mean a²`.
    pub actor_loss: f64,
    /// Mean of Q1 over the batch.
    pub q_value: f64,
    /// Mean of y over the batch.
    pub target_value: f64,
    /// Norm of both critics' gradient, before it is clipped.
    pub critic_gradient_norm: f64,
    /// Norm of the actor's gradient, before it is clipped.
    pub actor_gradient_norm: f64,
}

impl Losses {
    /// Whether every sum is a finite number.
    pub fn is_finite(&self) -> bool {
        [
            self.critic_loss,
            self.actor_loss,
            self.q_value,
            self.target_value,
            self.critic_gradient_norm,
            self.actor_gradient_norm,
        ]
        .iter()
        .all(|sum| sum.is_finite())
    }
}
