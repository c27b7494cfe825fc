//! What a round came to, summed over users.

use core::ops::AddAssign;

use nalgebra::{Dim, Storage, Vector};

use super::Fixed;
use crate::belief::distance;
use crate::reward::{alignment, engagement};

/// Counts and sums over users, of one round. Tallies of different users add up, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Users served.
    pub users: u64,
    /// Items shown.
    pub shown: u64,
    /// Items accepted.
    pub accepted: u64,
    /// Users nearer to the target than with their initial beliefs, by [`distance`].
    pub improved: u64,
    /// Components of actions.
    pub components: u64,
    /// Those [`saturated`](crate::td3::saturated) in the policy's action, before noise.
    pub saturated: u64,
    /// Rewards, in units of `max_reward`.
    pub reward: Fixed,
    /// Summed distances to the target after the round.
    pub distance: Fixed,
    /// [`engagement`] after the round.
    pub engagement: Fixed,
    /// [`alignment`] after the round.
    pub alignment: Fixed,
    /// Their product, user by user.
    pub score: Fixed,
}

impl Tally {
    /// One user's part: `accepted` of `shown` items, a reward, and where the beliefs (`[K]`) began and are.
    pub fn of_user<D: Dim>(
        shown: usize,
        accepted: usize,
        reward_share: f64,
        initial: &Vector<f32, D, impl Storage<f32, D>>,
        beliefs: &Vector<f32, D, impl Storage<f32, D>>,
        target: &Vector<f32, D, impl Storage<f32, D>>,
    ) -> Self {
        let far = distance(beliefs, target);
        let (engaged, aligned) = (engagement(beliefs, target), alignment(beliefs, target));
        Self {
            users: 1,
            shown: shown as u64,
            accepted: accepted as u64,
            improved: u64::from(far < distance(initial, target)),
            components: 0,
            saturated: 0,
            reward: Fixed::of(reward_share),
            distance: Fixed::of(f64::from(far)),
            engagement: Fixed::of(f64::from(engaged)),
            alignment: Fixed::of(f64::from(aligned)),
            score: Fixed::of(f64::from(engaged * aligned)),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.users += other.users;
        self.shown += other.shown;
        self.accepted += other.accepted;
        self.improved += other.improved;
        self.components += other.components;
        self.saturated += other.saturated;
        self.reward += other.reward;
        self.distance += other.distance;
        self.engagement += other.engagement;
        self.alignment += other.alignment;
        self.score += other.score;
    }
}
