//! Twin Delayed DDPG (Fujimoto, van Hoof and Meger, 2018), in the paper's order. What is a formula of one number stands
//! here; what is a product of matrices is a backend's.

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

/// An agent's networks and settings, checked against a world by [`Config::plan`](crate::session::config::Config::plan).
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSpec {
    /// The policy: state to action before tanh and scaling.
    pub actor: MlpLayout,
    /// The twin critics: state and action to value.
    pub critics: [MlpLayout; 2],
    /// Actions lie in `[-max_action, max_action]`; above 0.
    pub max_action: f64,
    /// The settings, all in their ranges.
    pub td3: Td3Config,
}

impl AgentSpec {
    /// The networks, in [`Network`]'s order.
    pub fn layouts(&self) -> [&MlpLayout; 3] {
        [&self.actor, &self.critics[0], &self.critics[1]]
    }

    /// Transitions in a minibatch; at least 1, and 2 with BatchNorm.
    pub fn batch_size(&self) -> usize {
        self.td3.batch_size as usize
    }

    /// Transitions that the replay buffer holds; at least 1.
    pub fn buffer_size(&self) -> usize {
        self.td3.buffer_size as usize
    }

    /// Items near an action that [`Learn::rerank`](crate::backend::Learn::rerank) lets the critic compare; at most the
    /// world's.
    pub fn candidates(&self) -> usize {
        self.td3.candidates as usize
    }

    /// The optimizer of all networks.
    pub fn adam(&self) -> Adam {
        Adam::new(self.td3.learning_rate)
    }

    /// Length of a state.
    pub fn state_dim(&self) -> usize {
        self.actor.inputs()
    }

    /// How users explore items in the round of this key, if any do.
    pub fn item_exploration(&self, key: Key) -> Option<ItemExploration> {
        let (probability, max_action) = (self.td3.item_epsilon as f32, self.max_action as f32);
        (probability > 0.0).then_some(ItemExploration { key, probability, max_action })
    }

    /// Length of an action.
    pub fn action_dim(&self) -> usize {
        self.actor.outputs()
    }

    /// The agent a run with this seed begins with: three networks, and targets equal to them.
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

/// Which network: the index into [`AgentState`]'s arrays, and the coordinate of its dropout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Network {
    /// The policy.
    Actor = 0,
    /// The first critic, whose value the policy climbs.
    Critic1 = 1,
    /// The second critic.
    Critic2 = 2,
}

/// Everything an agent has learned and needs to go on learning.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentState {
    /// Actor and critics.
    pub networks: [Weights; 3],
    /// Their slowly following targets.
    pub targets: [Weights; 3],
    /// Adam's moments of their parameters.
    pub moments: [Moments; 3],
    /// Optimizer steps of the actor so far.
    pub policy_updates: u64,
    /// Optimizer steps of the critics so far.
    pub critic_updates: u64,
    /// What its updates reported and nobody has asked for yet.
    pub losses: Losses,
}

impl AgentState {
    /// Whether every weight, statistic, moment and loss is a finite number.
    pub fn is_finite(&self) -> bool {
        let weights =
            self.networks.iter().chain(&self.targets).flat_map(|net| [&net.parameters, &net.running_stats]);
        let moments = self.moments.iter().flat_map(|moments| [&moments.first, &moments.second]);
        weights.chain(moments).flatten().all(|x| x.is_finite()) && self.losses.is_finite()
    }
}

/// Adam's running moments of a parameter buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments<T = f32> {
    /// Of the gradient.
    pub first: Vec<T>,
    /// Of its square.
    pub second: Vec<T>,
}

impl<T: Real> Moments<T> {
    /// No memory of any gradient.
    pub fn zeros(length: usize) -> Self {
        Self { first: alloc::vec![T::ZERO; length], second: alloc::vec![T::ZERO; length] }
    }
}

/// An action with noise on it, in plus or minus `max_action`. `noise` is in the action's own units.
///
/// ```
/// assert_eq!(recsim_core::td3::perturb(0.9_f64, 0.3, 1.0), 1.0);
/// ```
#[inline]
pub fn perturb<T: Real>(action: T, noise: T, max_action: T) -> T {
    (action + noise).clamp(-max_action, max_action)
}

/// Target policy smoothing: the target actor's action under clipped noise. `normal` is a standard normal draw.
///
/// `clip(action + clip(normal * deviation, ±limit), ±max_action)`
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

/// Clipped double Q-learning: what a critic should have said.
///
/// `y = reward + discount * not_done * min(value_1, value_2)`, the values being the target critics' at the next state
/// and the smoothed target action. `not_done` is 1 in this simulator: the last round is a time limit, not an end.
///
/// ```
/// assert_eq!(recsim_core::td3::target_value(1.0, 0.5, 1.0, 8.0, 4.0), 3.0);
/// ```
#[inline]
pub fn target_value<T: Real>(reward: T, discount: T, not_done: T, value_1: T, value_2: T) -> T {
    reward + discount * not_done * value_1.min(value_2)
}

/// Whether update number `update`, counted from 1 through the run, also moves the policy and the targets.
///
/// ```
/// let moves = |update| recsim_core::td3::is_policy_update(update, 2);
/// assert_eq!([1, 2, 3, 4].map(moves), [false, true, false, true]);
/// ```
pub fn is_policy_update(update: u64, policy_freq: u32) -> bool {
    update.is_multiple_of(u64::from(policy_freq))
}

/// A target's parameter or statistic follows its online network's: `target + tau * (online - target)`.
///
/// ```
/// assert_eq!(recsim_core::td3::soft_update(4.0, 8.0, 0.25), 5.0);
/// ```
#[inline]
pub fn soft_update<T: Real>(target: T, online: T, tau: T) -> T {
    target + tau * (online - target)
}

/// Whether a component of an action counts as saturated: beyond 0.99 of `max_action`.
///
/// ```
/// use recsim_core::td3::is_saturated;
/// assert_eq!([0.98, 0.995, -0.995].map(|component: f32| is_saturated(component, 1.0)), [false, true, true]);
/// ```
#[inline]
pub fn is_saturated<T: Real>(component: T, max_action: T) -> bool {
    component.abs() > T::from_f64(0.99) * max_action
}

/// The draws of one update, each by its own coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateKeys {
    /// Row `r` learns from transition `index(sample.fold_in(r), held)`.
    pub sample: Key,
    /// Row `r`'s noise is `normal_pair(noise.fold_in(r).fold_in(pair))`.
    pub noise: Key,
    /// Which units are dropped: see [`UpdateKeys::dropout_key`].
    pub dropout: Key,
}

impl UpdateKeys {
    /// The draws of update number `update`, counted from 1 through the run.
    pub fn new(seed: u64, update: u64) -> Self {
        let key = |purpose| Key::new(seed, purpose).fold_in(update);
        Self {
            sample: key(Purpose::ReplaySample),
            noise: key(Purpose::TargetNoise),
            dropout: key(Purpose::Dropout),
        }
    }

    /// The stream of a hidden layer's dropout: [`keep_mask`] of it by row and column.
    pub fn dropout_key(&self, network: Network, layer: usize) -> Key {
        self.dropout.fold_in(network as u64).fold_in(layer as u64)
    }
}

/// Four neighbouring units' fates at once: bit `i` of the result is set if unit `4 * column_of_four + i` is kept. `row` is the
/// row's stream of its layer's, [`UpdateKeys::dropout_key`].
///
/// Each unit has 16 of the key's bits, and is kept if they are at least `threshold`: see [`dropout_threshold`].
#[inline]
pub fn keep_mask(row: Key, column_of_four: u64, threshold: u16) -> u8 {
    let bits = row.fold_in(column_of_four).bits();
    (0..4).fold(0, |mask, unit| mask | (u8::from((bits >> (16 * unit)) as u16 >= threshold) << unit))
}

/// What a kept unit is multiplied by so that dropping keeps its expectation: the inverse of the probability that
/// [`keep_mask`] keeps it, which is the configured one to the nearest `2^-16`.
///
/// ```
/// use recsim_core::td3::{dropout_scale, dropout_threshold};
/// assert_eq!(dropout_scale(dropout_threshold(0.0)), 1.0);
/// assert_eq!(dropout_scale(dropout_threshold(0.75)), 4.0);
/// ```
pub fn dropout_scale(threshold: u16) -> f64 {
    65_536.0 / (65_536.0 - f64::from(threshold))
}

/// The threshold of [`keep_mask`] for a share of dropped units, to the nearest `2^-16`.
pub fn dropout_threshold(share: f64) -> u16 {
    libm::round(share * 65_536.0).min(65_535.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_keeps_its_units() {
        let keys = UpdateKeys::new(1, 2);
        let kept_of = |network, layer| {
            let key = keys.dropout_key(network, layer);
            core::array::from_fn(|row| keep_mask(key.fold_in(row as u64), 3, dropout_threshold(0.5)))
        };
        let found = [(Network::Actor, 0), (Network::Critic1, 1), (Network::Critic2, 2)]
            .map(|(network, layer)| kept_of(network, layer));
        assert_eq!(found, KEPT);
    }

    /// Results rest on these: they must not change.
    const KEPT: [[u8; 8]; 3] =
        [[6, 5, 0, 14, 13, 0, 14, 13], [12, 5, 3, 15, 7, 0, 5, 3], [3, 3, 6, 4, 9, 6, 10, 9]];
}
