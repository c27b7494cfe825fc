//! The losses and gradient norms of updates.

use serde::{Deserialize, Serialize};

/// Sums of what updates reported, added in the order of the updates.
///
/// A [`LearningReport`](crate::session::metrics::LearningReport) has the means. The formulas are those of
/// `docs/spec.md`, section 4.7, Update; means run over the minibatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// Updates of the critics.
    pub critic_updates: u64,
    /// Updates of the policy.
    pub policy_updates: u64,
    /// Sum of the critics' losses: `mean((Q1(s, a) - y)^2) + mean((Q2(s, a) - y)^2)`.
    pub critic_loss: f64,
    /// Sum of the actor's losses: `-mean(Q1(s, actor(s))) + action_l2 * mean(actor(s)^2)`.
    pub actor_loss: f64,
    /// Sum of `mean(Q1(s, a))`.
    pub q_value: f64,
    /// Sum of `mean(y)`, the critics' target values.
    pub target_value: f64,
    /// Sum of the global norms of both critics' gradients, before clipping.
    pub critic_gradient_norm: f64,
    /// Sum of the global norms of the actor's gradient, before clipping.
    pub actor_gradient_norm: f64,
}

impl Losses {
    /// Whether every sum is finite. A loss that is NaN or infinite means that learning has diverged.
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
