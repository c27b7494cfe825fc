//! Twin Delayed DDPG (Fujimoto, van Hoof and Meger, 2018), in the paper's order. What is a formula of one number stands
//! here; what is a product of matrices is a backend's.

pub mod adam;
mod config;
pub mod explore;
mod losses;
pub mod net;
pub mod replay;

pub use config::Td3;
pub use losses::Losses;

use crate::model::math::Real;
use crate::model::rng::{Key, Purpose};
use crate::td3::adam::Adam;
use crate::td3::explore::Trial;
use crate::td3::net::{Layout, Weights};
use alloc::vec::Vec;

/// How the agent learns.
#[derive(Clone, Debug, PartialEq)]
pub struct Learner {
    /// The policy: state to action before tanh and scaling.
    pub actor: Layout,
    /// The twin critics: state and action to value.
    pub critics: [Layout; 2],
    /// What a reward one round later is worth now, in `[0, 1]`.
    pub discount: f64,
    /// The share by which targets follow, in `(0, 1]`.
    pub tau: f64,
    /// Standard deviation of the noise on the target policy's action, in units of `max_action`; at least 0.
    pub policy_noise: f64,
    /// Where that noise is clipped, in units of `max_action`; at least 0.
    pub noise_clip: f64,
    /// The policy moves at every that many updates; at least 1.
    pub policy_freq: u32,
    /// Transitions an update learns from; at least 1, and 2 with BatchNorm.
    pub batch_size: usize,
    /// Adam's step size; above 0.
    pub learning_rate: f64,
    /// The global norm gradients are clipped to, above 0: over the actor, and over both critics together.
    pub grad_clip_norm: f64,
    /// Weight of the mean squared action in the actor's loss; at least 0.
    pub action_l2: f64,
    /// The share of hidden units dropped while learning, in `[0, 1)`.
    pub dropout: f64,
    /// Standard deviation of the noise on actions while collecting, in units of `max_action`; at least 0.
    pub exploration_noise: f64,
    /// Share of users that explore an item while collecting, in `[0, 1]`.
    pub exploration_items: f64,
    /// Items near an action that the critic is asked about ([`Learn::refine`](crate::backend::Learn::refine)); at most the
    /// world's.
    pub candidates: usize,
    /// Actions lie in plus or minus this; above 0.
    pub max_action: f64,
    /// Transitions the ring holds; at least 1.
    pub replay_capacity: usize,
}

impl Learner {
    /// The networks, in [`Network`]'s order.
    pub fn layouts(&self) -> [&Layout; 3] {
        [&self.actor, &self.critics[0], &self.critics[1]]
    }

    /// The optimizer of all networks.
    pub fn adam(&self) -> Adam {
        Adam::new(self.learning_rate)
    }

    /// Length of a state.
    pub fn state(&self) -> usize {
        self.actor.inputs()
    }

    /// How users explore items in the round of this key, if any do.
    pub fn trial(&self, key: Key) -> Option<Trial> {
        let (share, max_action) = (self.exploration_items as f32, self.max_action as f32);
        (share > 0.0).then_some(Trial { key, share, max_action })
    }

    /// Length of an action.
    pub fn action(&self) -> usize {
        self.actor.outputs()
    }

    /// The agent a run with this seed begins with: three networks, and targets equal to them.
    pub fn initial(&self, seed: u64) -> AgentState {
        let key = Key::new(seed, Purpose::Initial);
        let layouts = self.layouts();
        let networks = [0, 1, 2].map(|n| layouts[n].initial(key.with(n as u64)));
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
        let weights = self.networks.iter().chain(&self.targets).flat_map(|net| [&net.parameters, &net.statistics]);
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
/// use recsim_core::td3::smooth;
/// assert_eq!(smooth(0.25_f64, 10.0, 0.2, 0.5, 1.0), 0.75); // the noise is clipped,
/// assert_eq!(smooth(0.75_f64, 10.0, 0.2, 0.5, 1.0), 1.0); // and the action
/// ```
#[inline]
pub fn smooth<T: Real>(action: T, normal: T, deviation: T, limit: T, max_action: T) -> T {
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
/// let moves = |update| recsim_core::td3::policy_moves(update, 2);
/// assert_eq!([1, 2, 3, 4].map(moves), [false, true, false, true]);
/// ```
pub fn policy_moves(update: u64, policy_freq: u32) -> bool {
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
/// use recsim_core::td3::saturated;
/// assert_eq!([0.98, 0.995, -0.995].map(|component: f32| saturated(component, 1.0)), [false, true, true]);
/// ```
#[inline]
pub fn saturated<T: Real>(component: T, max_action: T) -> bool {
    component.abs() > T::from_f64(0.99) * max_action
}

/// The draws of one update, each by its own coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateKeys {
    /// Row `r` learns from transition `index(sample.with(r), held)`.
    pub sample: Key,
    /// Row `r`'s noise is `normal_pair(noise.with(r).with(pair))`.
    pub noise: Key,
    /// Which units are dropped: see [`UpdateKeys::dropout_of`].
    pub dropout: Key,
}

impl UpdateKeys {
    /// The draws of update number `update`, counted from 1 through the run.
    pub fn new(seed: u64, update: u64) -> Self {
        let key = |purpose| Key::new(seed, purpose).with(update);
        Self { sample: key(Purpose::Sample), noise: key(Purpose::TargetNoise), dropout: key(Purpose::Dropout) }
    }

    /// The stream of a hidden layer's dropout: [`kept`] of it by row and column.
    pub fn dropout_of(&self, network: Network, layer: usize) -> Key {
        self.dropout.with(network as u64).with(layer as u64)
    }
}

/// Four neighbouring units' fates at once: bit `i` of the result is set if unit `4 * column_of_four + i` is kept. `row` is the
/// row's stream of its layer's, [`UpdateKeys::dropout_of`].
///
/// Each unit has 16 of the key's bits, and is kept if they are at least `threshold`: see [`dropout_threshold`].
#[inline]
pub fn kept(row: Key, column_of_four: u64, threshold: u16) -> u8 {
    let bits = row.with(column_of_four).bits();
    (0..4).fold(0, |kept, unit| kept | (u8::from((bits >> (16 * unit)) as u16 >= threshold) << unit))
}

/// What a kept unit is multiplied by so that dropping keeps its expectation: the inverse of the probability that
/// [`kept`] keeps it, which is the configured one to the nearest `2^-16`.
///
/// ```
/// use recsim_core::td3::{dropout_boost, dropout_threshold};
/// assert_eq!(dropout_boost(dropout_threshold(0.0)), 1.0);
/// assert_eq!(dropout_boost(dropout_threshold(0.75)), 4.0);
/// ```
pub fn dropout_boost(threshold: u16) -> f64 {
    65_536.0 / (65_536.0 - f64::from(threshold))
}

/// The threshold of [`kept`] for a share of dropped units, to the nearest `2^-16`.
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
            let key = keys.dropout_of(network, layer);
            core::array::from_fn(|row| kept(key.with(row as u64), 3, dropout_threshold(0.5)))
        };
        let found = [(Network::Actor, 0), (Network::Critic1, 1), (Network::Critic2, 2)]
            .map(|(network, layer)| kept_of(network, layer));
        assert_eq!(found, KEPT);
    }

    /// Results rest on these: they must not change.
    const KEPT: [[u8; 8]; 3] =
        [[6, 5, 0, 14, 13, 0, 14, 13], [12, 5, 3, 15, 7, 0, 5, 3], [3, 3, 6, 4, 9, 6, 10, 9]];
}
