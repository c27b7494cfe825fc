//! What a round came to, summed over users.

use core::ops::AddAssign;

use nalgebra::{Dim, Storage, Vector};
use serde::{Deserialize, Serialize};

use super::ExactSum;
use crate::model::belief::distance;
use crate::model::reward::{Reward, alignment, engagement};

/// Counts and sums over users, of one round. Tallies of different users add up, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Those [`is_saturated`](crate::td3::is_saturated) in the policy's action, before noise.
    pub saturated: u64,
    /// Rewards, in units of [`Reward::bound`].
    pub reward: ExactSum,
    /// Summed distances to the target after the round.
    pub distance: ExactSum,
    /// [`engagement`] after the round.
    pub engagement: ExactSum,
    /// [`alignment`] after the round.
    pub alignment: ExactSum,
    /// Their product, user by user.
    pub score: ExactSum,
}

impl Tally {
    /// One user's part: `accepted` of `shown` items, a `reward` by `rule`, and where the beliefs (`[K]`) began and are.
    ///
    /// ```
    /// use nalgebra::SVector;
    /// use recsim_core::model::Tally;
    /// use recsim_core::model::reward::{RewardForm, Reward, BeliefScore};
    /// let rule =
    ///     Reward { kind: RewardForm::Potential, score: BeliefScore::Distance, scale: 100.0, max: 50.0, improvement_threshold: 0.0 };
    /// let (initial, beliefs) = (SVector::from([0.0, 0.0]), SVector::from([0.25, 0.0]));
    /// let tally = Tally::of_user(20, 5, &rule, 25.0, &initial, &beliefs, &SVector::from([0.5, 0.5]));
    /// assert_eq!((tally.acceptance_rate(), tally.improved, tally.distance.value()), (0.25, 1, 0.75));
    /// assert_eq!((tally.total_reward(&rule), tally.engagement.value()), (25.0, 0.25));
    /// ```
    pub fn of_user<D: Dim>(
        shown: usize,
        accepted: usize,
        rule: &Reward<f32>,
        reward: f32,
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
            reward: ExactSum::from_f64(f64::from(reward) / f64::from(rule.bound())),
            distance: ExactSum::from_f64(f64::from(far)),
            engagement: ExactSum::from_f64(f64::from(engaged)),
            alignment: ExactSum::from_f64(f64::from(aligned)),
            score: ExactSum::from_f64(f64::from(engaged * aligned)),
        }
    }

    /// The sum of the rewards, which `rule` gave.
    pub fn total_reward(&self, rule: &Reward<f32>) -> f64 {
        self.reward.value() * f64::from(rule.bound())
    }

    /// Share of shown items that were accepted.
    pub fn acceptance_rate(&self) -> f64 {
        self.accepted as f64 / self.shown as f64
    }

    /// `sum / users`.
    #[cfg(feature = "alloc")]
    pub(crate) fn per_user(&self, sum: f64) -> f64 {
        sum / self.users as f64
    }

    /// Share of action components that are saturated; 0 if nobody acted.
    pub fn action_saturation(&self) -> f64 {
        if self.components == 0 { 0.0 } else { self.saturated as f64 / self.components as f64 }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reward::{BeliefScore, RewardForm};
    use nalgebra::SVector;

    #[test]
    fn rewards_are_counted_however_large_the_clamp_is() {
        let (start, here, target) =
            (SVector::from([0.0, 0.0]), SVector::from([0.2, 0.1]), SVector::from([0.6, 0.4]));
        for max in [100.0, 1e6, 1e30, f32::MAX] {
            for kind in [
                RewardForm::Strict,
                RewardForm::Potential,
                RewardForm::Hybrid { maintenance_factor: 0.7, exploration_bonus: 0.2 },
            ] {
                let rule =
                    Reward { kind, score: BeliefScore::Combined, scale: 100.0, max, improvement_threshold: 0.01 };
                let reward = rule.of(&start, &here, &target);
                assert!(reward > 29.0 && reward <= rule.bound());
                let total = Tally::of_user(20, 3, &rule, reward, &start, &here, &target).total_reward(&rule);
                assert!((total - f64::from(reward)).abs() <= f64::from(rule.bound()) / 4e9, "{max}: {total}");
            }
        }
    }
}
