//! The settings of TD3, as a configuration file has them.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The settings of TD3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Td3Config {
    /// What a reward one round later is worth now, in `[0, 1]`.
    pub discount: f64,
    /// The share by which a target network follows its online network, in `(0, 1]`.
    pub tau: f64,
    /// Standard deviation of the noise on the target policy's action, in units of `max_action`.
    pub policy_noise: f64,
    /// That noise is clipped to plus or minus this, in units of `max_action`.
    pub noise_clip: f64,
    /// The policy moves at every that many updates.
    pub policy_freq: u32,
    /// Transitions an update learns from.
    pub batch_size: u32,
    /// Adam's step size, for all networks.
    pub learning_rate: f64,
    /// Updates in a learning session.
    pub gradient_steps: u32,
    /// Standard deviation of the noise on actions while collecting, in units of `max_action`.
    pub exploration_noise: f64,
    /// Share of users that, while collecting, explore an item of the catalogue in place of what the policy says.
    #[serde(alias = "exploration_items")]
    pub item_epsilon: f64,
    /// Items near the policy's action among which, and the action itself, the first critic chooses; 0 leaves it to the policy.
    pub candidates: u32,
    /// Whether networks see beliefs as shares of their targets.
    #[serde(alias = "scale_beliefs")]
    pub normalize_beliefs: bool,
    /// Transitions the replay ring holds.
    #[serde(alias = "replay_capacity")]
    pub buffer_size: u64,
    /// Gradients are scaled down to this global norm.
    #[serde(alias = "grad_clip_norm")]
    pub max_grad_norm: f64,
    /// Weight of the mean squared action in the actor's loss: keeps tanh out of saturation.
    pub action_l2: f64,
    /// Widths of the hidden layers, of all networks.
    #[serde(alias = "hidden")]
    pub hidden_sizes: Vec<u32>,
    /// Whether hidden layers are batch-normalised.
    pub batch_norm: bool,
    /// The share of hidden units dropped while learning, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for Td3Config {
    fn default() -> Self {
        Self {
            discount: 0.5,
            tau: 0.005,
            policy_noise: 0.2,
            noise_clip: 0.5,
            policy_freq: 2,
            batch_size: 512,
            learning_rate: 3e-4,
            gradient_steps: 50,
            exploration_noise: 0.1,
            item_epsilon: 0.2,
            candidates: 0,
            normalize_beliefs: true,
            buffer_size: 1_000_000,
            max_grad_norm: 1.0,
            action_l2: 0.01,
            hidden_sizes: alloc::vec![512, 512, 256],
            batch_norm: true,
            dropout: 0.1,
        }
    }
}
