//! Twin Delayed Deep Deterministic Policy Gradient, TD3 (Fujimoto, van Hoof and Meger, "Addressing Function
//! Approximation Error in Actor-Critic Methods", 2018; `docs/spec.md`, section 4, The agent).
//!
//! This module has the formulas of single values, in the order of an update. Products of matrices are a backend's.
//!
//! | step of an update | here | in a backend |
//! |---|---|---|
//! | sample a minibatch | [`UpdateKeys`], [`replay`] | gather rows |
//! | target policy smoothing | [`smooth_target_action`] | forward pass of the target actor |
//! | clipped double Q-learning | [`target_value`] | forward passes of the target critics |
//! | critic step | [`adam`], [`keep_mask`] | forward and backward pass |
//! | delayed policy update | [`is_policy_update`] | forward and backward pass of actor and critic |
//! | soft update of the targets | [`soft_update`] | one pass over each network |
//!
//! | module or type | contents |
//! |---|---|
//! | [`Td3Config`], [`AgentSpec`] | the settings; the settings checked against a world, with the networks' layouts |
//! | [`AgentState`] | weights, targets, optimizer moments and counters |
//! | [`net`] | where each tensor of a network lies, its name and its initial values |
//! | [`adam`] | the optimizer and gradient clipping |
//! | [`replay`] | indices of the replay buffer |
//! | [`explore`] | exploration of items |
//! | [`Losses`] | what updates report |

pub mod adam;
mod config;
pub mod explore;
mod losses;
pub mod net;
pub mod replay;

pub use config::Td3Config;
pub use losses::Losses;

use crate::model::math::Real;
use crate::model::rng::{Key, Purpose};
use crate::td3::adam::Adam;
use crate::td3::explore::ItemExploration;
use crate::td3::net::{MlpLayout, Weights};
use alloc::vec::Vec;

/// An agent's networks and settings.
///
/// [`Config::plan`](crate::session::config::Config::plan) makes it from a configuration and a world and checks every
/// range. A backend assumes that they hold.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSpec {
    /// The policy: from a state, `[K + D]`, to an action before `tanh` and scaling, `[D]`.
    pub actor: MlpLayout,
    /// The twin critics: from a state and an action, `[K + D + D]`, to a value, `[1]`.
    pub critics: [MlpLayout; 2],
    /// Actions lie in `[-max_action, max_action]`; above 0.
    pub max_action: f64,
    /// The settings of TD3.
    pub td3: Td3Config,
}

impl AgentSpec {
    /// The layouts of the three networks, in the order of [`Network`].
    pub fn layouts(&self) -> [&MlpLayout; 3] {
        [&self.actor, &self.critics[0], &self.critics[1]]
    }

    /// Transitions in a minibatch; at least 1, and at least 2 with BatchNorm.
    pub fn batch_size(&self) -> usize {
        self.td3.batch_size as usize
    }

    /// Transitions that the replay buffer can hold; at least 1.
    pub fn buffer_size(&self) -> usize {
        self.td3.buffer_size as usize
    }

    /// Items near an action that [`Learn::rerank`](crate::backend::Learn::rerank) compares with it; at most the world's
    /// items. 0 turns critic re-ranking off.
    pub fn candidates(&self) -> usize {
        self.td3.candidates as usize
    }

    /// The optimizer's settings, the same for all networks.
    pub fn adam(&self) -> Adam {
        Adam::new(self.td3.learning_rate)
    }

    /// The length of a state, K + D.
    pub fn state_dim(&self) -> usize {
        self.actor.inputs()
    }

    /// The item exploration of the round with this key; `None` if `item_epsilon` is 0.
    pub fn item_exploration(&self, key: Key) -> Option<ItemExploration> {
        let (probability, max_action) = (self.td3.item_epsilon as f32, self.max_action as f32);
        (probability > 0.0).then_some(ItemExploration { key, probability, max_action })
    }

    /// The length of an action, D.
    pub fn action_dim(&self) -> usize {
        self.actor.outputs()
    }

    /// The agent at the start of the run with this seed (`docs/spec.md`, section 4.2, Initialisation): the three
    /// networks' [initial weights](MlpLayout::initial_weights), targets equal to them, moments and counters of 0.
    pub fn initial_agent(&self, seed: u64) -> AgentState {
        let key = Key::new(seed, Purpose::InitialWeights);
        let layouts = self.layouts();
        let networks = [0, 1, 2].map(|n| layouts[n].initial_weights(key.fold_in(n as u64)));
        let zeros = |n: usize| Moments::zeros(networks[n].parameters.len());
        AgentState {
            targets: networks.clone(),
            moments: [zeros(0), zeros(1), zeros(2)],
            networks,
            policy_updates: 0,
            critic_updates: 0,
            losses: Losses::default(),
        }
    }
}

/// One of the three networks. Its value is the index in the arrays of [`AgentState`] and the coordinate of its draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Network {
    /// The policy.
    Actor = 0,
    /// The first critic. The actor's loss and critic re-ranking use this one.
    Critic1 = 1,
    /// The second critic.
    Critic2 = 2,
}

/// Everything that an agent has learned and needs to continue. Arrays are in the order of [`Network`].
#[derive(Clone, Debug, PartialEq)]
pub struct AgentState {
    /// The online networks.
    pub networks: [Weights; 3],
    /// The target networks.
    pub targets: [Weights; 3],
    /// Adam's moments of the online networks' parameters.
    pub moments: [Moments; 3],
    /// Optimizer steps of the actor so far.
    pub policy_updates: u64,
    /// Optimizer steps of the critics so far.
    pub critic_updates: u64,
    /// The losses since the last [`Inspect::take_losses`](crate::backend::Inspect::take_losses).
    pub losses: Losses,
}

impl AgentState {
    /// Whether every parameter, running statistic, moment and loss is finite.
    pub fn is_finite(&self) -> bool {
        let weights =
            self.networks.iter().chain(&self.targets).flat_map(|net| [&net.parameters, &net.running_stats]);
        let moments = self.moments.iter().flat_map(|moments| [&moments.first, &moments.second]);
        weights.chain(moments).flatten().all(|x| x.is_finite()) && self.losses.is_finite()
    }
}

/// Adam's moments of a network's parameters; each `[parameters]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments<T = f32> {
    /// The first moment, a running mean of the gradient.
    pub first: Vec<T>,
    /// The second moment, a running mean of the squared gradient.
    pub second: Vec<T>,
}

impl<T: Real> Moments<T> {
    /// The moments of `len` parameters before the first step, all 0.
    pub fn zeros(len: usize) -> Self {
        Self { first: alloc::vec![T::ZERO; len], second: alloc::vec![T::ZERO; len] }
    }
}

/// One component of an action with exploration noise: `clamp(action + noise, -max_action, max_action)`.
///
/// `noise` is in units of the action: a standard normal draw times `exploration_noise * max_action` (`docs/spec.md`,
/// section 4.4, Acting and exploration noise).
///
/// ```
/// assert_eq!(recsim_core::td3::perturb(0.9_f64, 0.3, 1.0), 1.0);
/// ```
#[inline]
pub fn perturb<T: Real>(action: T, noise: T, max_action: T) -> T {
    (action + noise).clamp(-max_action, max_action)
}

/// Target policy smoothing: one component of the target actor's action with clipped noise (the paper's section 5.3).
///
/// ```text
/// clamp(action + clamp(normal * deviation, -limit, limit), -max_action, max_action)
/// ```
///
/// `normal` is a standard normal draw. `deviation` (`policy_noise * max_action`) and `limit` (`noise_clip *
/// max_action`) are in units of the action and at least 0.
///
/// ```
/// use recsim_core::td3::smooth_target_action;
/// assert_eq!(smooth_target_action(0.25_f64, 10.0, 0.2, 0.5, 1.0), 0.75); // the noise is clipped,
/// assert_eq!(smooth_target_action(0.75_f64, 10.0, 0.2, 0.5, 1.0), 1.0); // and the action
/// ```
#[inline]
pub fn smooth_target_action<T: Real>(action: T, normal: T, deviation: T, limit: T, max_action: T) -> T {
    perturb(action, (normal * deviation).clamp(-limit, limit), max_action)
}

/// Clipped double Q-learning: the critics' target value (the paper's section 4.2).
///
/// ```text
/// y = reward + discount * not_done * min(value_1, value_2)
/// ```
///
/// `value_1` and `value_2` are the target critics' values of the next state and the smoothed target action.
/// `not_done` is 1 for a next state that is not terminal, which every state of this simulator is: an episode ends by
/// truncation.
///
/// ```
/// assert_eq!(recsim_core::td3::target_value(1.0, 0.5, 1.0, 8.0, 4.0), 3.0);
/// ```
#[inline]
pub fn target_value<T: Real>(reward: T, discount: T, not_done: T, value_1: T, value_2: T) -> T {
    reward + discount * not_done * value_1.min(value_2)
}

/// Delayed policy updates: whether update number `update`, counted from 1 through the run, also updates the policy and
/// the targets (the paper's section 5.2).
///
/// `policy_freq` is at least 1. Every update is a policy update if it is 1.
///
/// ```
/// let is_policy_update = |update| recsim_core::td3::is_policy_update(update, 2);
/// assert_eq!([1, 2, 3, 4].map(is_policy_update), [false, true, false, true]);
/// ```
pub fn is_policy_update(update: u64, policy_freq: u32) -> bool {
    update.is_multiple_of(u64::from(policy_freq))
}

/// The soft update of one value of a target network: `target + tau * (online - target)`, with `tau` in `(0, 1]`.
///
/// It applies to parameters and running statistics alike. BatchNorm updates its running statistics with the same
/// formula.
///
/// ```
/// assert_eq!(recsim_core::td3::soft_update(4.0, 8.0, 0.25), 5.0);
/// ```
#[inline]
pub fn soft_update<T: Real>(target: T, online: T, tau: T) -> T {
    target + tau * (online - target)
}

/// Whether a component of an action is saturated: `|component| > 0.99 * max_action`.
///
/// ```
/// use recsim_core::td3::is_saturated;
/// assert_eq!([0.98, 0.995, -0.995].map(|component: f32| is_saturated(component, 1.0)), [false, true, true]);
/// ```
#[inline]
pub fn is_saturated<T: Real>(component: T, max_action: T) -> bool {
    component.abs() > T::from_f64(0.99) * max_action
}

/// The keys of the random draws of one update.
///
/// ```
/// use recsim_core::model::rng::{Key, Purpose};
/// use recsim_core::td3::UpdateKeys;
/// let keys = UpdateKeys::new(7, 1);
/// assert_eq!(keys.sample, Key::new(7, Purpose::ReplaySample).fold_in(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateKeys {
    /// Row `r` of the minibatch is the transition at `index(sample.fold_in(r), len)` of a replay buffer that holds
    /// `len`.
    pub sample: Key,
    /// The noise on dimensions `2j` and `2j + 1` of row `r` is `normal_pair(noise.fold_in(r).fold_in(j))`.
    pub noise: Key,
    /// Which units are dropped; see [`UpdateKeys::dropout_key`].
    pub dropout: Key,
}

impl UpdateKeys {
    /// The keys of update number `update`, counted from 1, in the run with this seed.
    pub fn new(seed: u64, update: u64) -> Self {
        let key = |purpose| Key::new(seed, purpose).fold_in(update);
        Self {
            sample: key(Purpose::ReplaySample),
            noise: key(Purpose::TargetNoise),
            dropout: key(Purpose::Dropout),
        }
    }

    /// The key of the dropout of one hidden layer, counted from 0. [`keep_mask`] takes it with the row folded in.
    pub fn dropout_key(&self, network: Network, layer: usize) -> Key {
        self.dropout.fold_in(network as u64).fold_in(layer as u64)
    }
}

/// Which of four neighbouring units dropout keeps: bit `i` of the result is 1 if unit `4 * column_of_four + i` is kept
/// (`docs/spec.md`, section 4.3, Dropout masks).
///
/// `row` is the layer's [`UpdateKeys::dropout_key`] with the row of the minibatch folded in. Each unit has 16 bits of
/// `row.fold_in(column_of_four)` and is kept if their value is at least `threshold`; see [`dropout_threshold`].
///
/// ```
/// use recsim_core::td3::{Network, UpdateKeys, keep_mask};
/// let row = UpdateKeys::new(7, 1).dropout_key(Network::Actor, 0).fold_in(5);
/// assert_eq!(keep_mask(row, 0, 0), 0b1111); // a threshold of 0 keeps every unit
/// ```
#[inline]
pub fn keep_mask(row: Key, column_of_four: u64, threshold: u16) -> u8 {
    let bits = row.fold_in(column_of_four).bits();
    (0..4).fold(0, |mask, unit| mask | (u8::from((bits >> (16 * unit)) as u16 >= threshold) << unit))
}

/// The factor on a unit that dropout keeps: `65536 / (65536 - threshold)`, at least 1 (inverted dropout).
///
/// It is the inverse of the probability with which [`keep_mask`] keeps a unit, so dropout does not change a unit's
/// expected value.
///
/// ```
/// use recsim_core::td3::{dropout_scale, dropout_threshold};
/// assert_eq!(dropout_scale(dropout_threshold(0.0)), 1.0);
/// assert_eq!(dropout_scale(dropout_threshold(0.75)), 4.0);
/// ```
pub fn dropout_scale(threshold: u16) -> f64 {
    65_536.0 / (65_536.0 - f64::from(threshold))
}

/// The threshold of [`keep_mask`] for a dropout probability in `[0, 1)`: `min(round(probability * 65536), 65535)`,
/// ties away from 0. The probability is rounded to the nearest `2^-16`.
///
/// ```
/// assert_eq!(recsim_core::td3::dropout_threshold(0.5), 32_768);
/// ```
pub fn dropout_threshold(probability: f64) -> u16 {
    libm::round(probability * 65_536.0).min(65_535.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_mask_has_pinned_bits() {
        let keys = UpdateKeys::new(1, 2);
        let masks = |network, layer| {
            let key = keys.dropout_key(network, layer);
            core::array::from_fn(|row| keep_mask(key.fold_in(row as u64), 3, dropout_threshold(0.5)))
        };
        let actual = [(Network::Actor, 0), (Network::Critic1, 1), (Network::Critic2, 2)]
            .map(|(network, layer)| masks(network, layer));
        assert_eq!(actual, PINNED);
    }

    /// Results depend on these masks: they must not change.
    const PINNED: [[u8; 8]; 3] =
        [[6, 5, 0, 14, 13, 0, 14, 13], [12, 5, 3, 15, 7, 0, 5, 3], [3, 3, 6, 4, 9, 6, 10, 9]];
}
