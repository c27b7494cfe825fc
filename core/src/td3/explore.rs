//! Exploration of items: in each round, some users get the action that points at a random item (`docs/spec.md`, section
//! 4.6, Item exploration).
//!
//! Gaussian noise turns an action by a few degrees. In many dimensions it hardly ever turns it towards another cluster;
//! item exploration does. The second function, [`action_toward`], also makes the candidates of critic re-ranking
//! (section 4.5).

use crate::model::rng::{Key, index, uniform};
use crate::model::slate::score;

/// The item exploration of one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ItemExploration {
    /// The key of the round. User `u`, an index in the world, draws from `key.fold_in(u)`; see [`explored_item`].
    pub key: Key,
    /// The probability that a user explores an item, in `[0, 1]`.
    pub probability: f32,
    /// Actions lie in `[-max_action, max_action]`; above 0.
    pub max_action: f32,
}

/// The item that a user explores, in `0..items`, or `None` if the user follows the policy.
///
/// A user explores with the given `probability`, in `[0, 1]`: if `uniform(user) < probability`. The item is
/// `index(user.fold_in(1), items)`; every item is equally likely.
///
/// ```
/// use recsim_core::td3::explore::explored_item;
/// use recsim_core::model::rng::{Key, Purpose};
/// let user = |n| Key::new(0, Purpose::ExplorationItem).fold_in(n);
/// assert_eq!((0..1000).filter(|&n| explored_item(user(n), 0.25, 7).is_some()).count(), 259);
/// assert_eq!((explored_item(user(0), 0.0, 7), explored_item(user(0), 1.0, 1)), (None, Some(0)));
/// ```
#[inline]
pub fn explored_item(user: Key, probability: f32, items: u64) -> Option<u64> {
    (uniform(user) < probability).then(|| index(user.fold_in(1), items))
}

/// Sets `action` (`[D]`) to the action that points at an item: its `row` (`[D]`, as it is scored), scaled to a root
/// mean square of half of `max_action` and clipped. A row of zeros gives a zero action.
///
/// ```text
/// action[i] = clamp(row[i] * f, -max_action, max_action)
/// f         = (max_action * 0.5 * sqrt(D)) / sqrt(score(row, row)), and 0 if the divisor is 0
/// ```
///
/// All of it is `f32`, with the order of [`score`], so every backend returns the same bits (`docs/spec.md`, section
/// 4.5).
///
/// ```
/// let mut action = [0.0; 4];
/// recsim_core::td3::explore::action_toward(&[3.0, 0.0, 4.0, 0.0], 1.0, &mut action);
/// assert_eq!(action, [0.6, 0.0, 0.8, 0.0]);
/// ```
#[inline]
pub fn action_toward(row: &[f32], max_action: f32, action: &mut [f32]) {
    let length = libm::sqrtf(score(row, row));
    let target_length = max_action * 0.5 * libm::sqrtf(row.len() as f32);
    let factor = if length > 0.0 { target_length / length } else { 0.0 };
    for (action, &x) in action.iter_mut().zip(row) {
        *action = (x * factor).clamp(-max_action, max_action);
    }
}
