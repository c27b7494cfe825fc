//! Exploration by items: now and then a user is recommended what lies around some item of the catalogue, whatever the policy
//! says. Noise alone turns an action by a few degrees, and in many dimensions hardly ever towards another cluster.

use crate::model::rng::{Key, index, uniform};
use crate::model::slate::score;

/// How users are made to explore in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ItemExploration {
    /// User `u` (the index in the world) draws from `key.fold_in(u)`: see [`explored_item`].
    pub key: Key,
    /// The share of users, in `[0, 1]`.
    pub probability: f32,
    /// Actions lie in plus or minus this.
    pub max_action: f32,
}

/// The item that a user is to explore, if one: each of `items` with the same probability, `share` in all.
///
/// ```
/// use recsim_core::td3::explore::explored_item;
/// use recsim_core::model::rng::{Key, Purpose};
/// let user = |n| Key::new(0, Purpose::ExplorationItem).fold_in(n);
/// assert_eq!((0..1000).filter(|&n| explored_item(user(n), 0.25, 7).is_some()).count(), 259);
/// assert_eq!((explored_item(user(0), 0.0, 7), explored_item(user(0), 1.0, 1)), (None, Some(0)));
/// ```
#[inline]
pub fn explored_item(user: Key, share: f32, items: u64) -> Option<u64> {
    (uniform(user) < share).then(|| index(user.fold_in(1), items))
}

/// Makes `action` (`[D]`) the one that points where an item's `row` does, of a root mean square of half of `max_action`
/// before it is clipped. Of a row without a direction it is zero.
///
/// `action[i] = clamp(row[i] * (max_action / 2 * sqrt(D) / |row|), -max_action, max_action)`, with `|row|` by
/// [`score`]'s order: the same bits on every backend.
///
/// ```
/// let mut action = [0.0; 4];
/// recsim_core::td3::explore::action_toward(&[3.0, 0.0, 4.0, 0.0], 1.0, &mut action);
/// assert_eq!(action, [0.6, 0.0, 0.8, 0.0]);
/// ```
#[inline]
pub fn action_toward(row: &[f32], max_action: f32, action: &mut [f32]) {
    let length = libm::sqrtf(score(row, row));
    let reach = max_action * 0.5 * libm::sqrtf(row.len() as f32);
    let factor = if length > 0.0 { reach / length } else { 0.0 };
    for (action, &x) in action.iter_mut().zip(row) {
        *action = (x * factor).clamp(-max_action, max_action);
    }
}
