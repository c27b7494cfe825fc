//! The settings of TD3, as a configuration has them under the key `td3`.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The settings of TD3. [`Config::check`](crate::session::config::Config::check) checks their ranges.
///
/// The table has the names of CleanRL's TD3 where they differ.
///
/// | field | CleanRL |
/// |---|---|
/// | `discount` | `gamma` |
/// | `policy_freq` | `policy_frequency` |
///
/// ```
/// use recsim_core::td3::Td3Config;
/// let config = Td3Config { discount: 0.9, hidden_sizes: vec![256, 256], ..Td3Config::default() };
/// assert_eq!((config.tau, config.batch_size), (0.005, 512));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Td3Config {
    /// The discount per round, in `[0, 1]`.
    pub discount: f64,
    /// The rate of the soft update of the target networks, in `(0, 1]`.
    pub tau: f64,
    /// The standard deviation of the noise on the target policy's action, in units of `max_action`; at least 0.
    pub policy_noise: f64,
    /// The noise on the target policy's action is clipped to `[-noise_clip, noise_clip]`, in units of `max_action`; at
    /// least 0.
    pub noise_clip: f64,
    /// The policy and the targets are updated at every `policy_freq`-th update; at least 1.
    pub policy_freq: u32,
    /// Transitions in a minibatch; at least 1, and at least 2 with `batch_norm`.
    pub batch_size: u32,
    /// Adam's learning rate, of all networks; above 0.
    pub learning_rate: f64,
    /// Updates in each training session.
    pub gradient_steps: u32,
    /// The standard deviation of the noise on actions while collecting, in units of `max_action`; at least 0.
    pub exploration_noise: f64,
    /// The probability that a user, in a round of collecting, explores a random item instead of the policy's action, in
    /// `[0, 1]`.
    #[serde(alias = "exploration_items")]
    pub item_epsilon: f64,
    /// The items near the policy's action that the first critic compares with it; 0 turns critic re-ranking off.
    pub candidates: u32,
    /// Whether networks see each belief as its share of the target.
    #[serde(alias = "scale_beliefs")]
    pub normalize_beliefs: bool,
    /// Transitions that the replay buffer holds, from 1 to `2^32 - 1`.
    #[serde(alias = "replay_capacity")]
    pub buffer_size: u64,
    /// Gradients are clipped to this global norm; above 0.
    #[serde(alias = "grad_clip_norm")]
    pub max_grad_norm: f64,
    /// The weight of the mean squared action in the actor's loss, which keeps `tanh` out of saturation; at least 0.
    pub action_l2: f64,
    /// The widths of the hidden layers of all networks: at most 16, each from 1 to 65,536.
    #[serde(alias = "hidden")]
    pub hidden_sizes: Vec<u32>,
    /// Whether every hidden layer has BatchNorm.
    pub batch_norm: bool,
    /// The probability that dropout drops a hidden unit in training mode, in `[0, 1)`.
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
