//! The counts and sums of one round over users (`docs/spec.md`, section 6.1, Round).

use core::ops::AddAssign;

use nalgebra::{Dim, Storage, Vector};
use serde::{Deserialize, Serialize};

use super::ExactSum;
use crate::model::belief::distance;
use crate::model::reward::{Reward, alignment, engagement};

/// Counts and sums over the users of one round.
///
/// Tallies of different users add up with `+=`. The sums are [`ExactSum`]s, so the order of the additions and the size
/// of the batches do not matter. Every value of a user is an `f32` and follows the round's belief update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Users that were served.
    pub users: u64,
    /// Items on the users' slates.
    pub shown: u64,
    /// Items that users accepted.
    pub accepted: u64,
    /// Users whose [`distance`] to the target is smaller than that of their initial beliefs.
    pub improved: u64,
    /// Components of the policy's actions, counted before noise: users times D, or 0 if no policy acted.
    pub components: u64,
    /// Components that are saturated: beyond 0.99 of `max_action` (`recsim_core::td3::is_saturated`).
    pub saturated: u64,
    /// The sum of the rewards, in units of [`Reward::bound`].
    pub reward: ExactSum,
    /// The sum of the [`distance`]s to the target.
    pub distance: ExactSum,
    /// The sum of the [`engagement`]s.
    pub engagement: ExactSum,
    /// The sum of the [`alignment`]s.
    pub alignment: ExactSum,
    /// The sum of each user's engagement times alignment.
    pub score: ExactSum,
}

impl Tally {
    /// The tally of one user.
    ///
    /// `accepted` of the `shown` items were accepted. `rule` gave the `reward`. `initial` are the user's beliefs at the
    /// start of the episode and `beliefs` those after the round; both and `target` are `[K]`. The action's components
    /// are not counted.
    ///
    /// ```
    /// use nalgebra::SVector;
    /// use recsim_core::model::Tally;
    /// use recsim_core::model::reward::{RewardForm, Reward, BeliefScore};
    /// let rule = Reward {
    ///     kind: RewardForm::Potential, score: BeliefScore::Distance, scale: 100.0, max: 50.0,
    ///     improvement_threshold: 0.0,
    /// };
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
        let distance_now = distance(beliefs, target);
        let (engagement, alignment) = (engagement(beliefs, target), alignment(beliefs, target));
        Self {
            users: 1,
            shown: shown as u64,
            accepted: accepted as u64,
            improved: u64::from(distance_now < distance(initial, target)),
            components: 0,
            saturated: 0,
            reward: ExactSum::from_f64(f64::from(reward) / f64::from(rule.bound())),
            distance: ExactSum::from_f64(f64::from(distance_now)),
            engagement: ExactSum::from_f64(f64::from(engagement)),
            alignment: ExactSum::from_f64(f64::from(alignment)),
            score: ExactSum::from_f64(f64::from(engagement * alignment)),
        }
    }

    /// The sum of the rewards. `rule` is the rule that gave them.
    pub fn total_reward(&self, rule: &Reward<f32>) -> f64 {
        self.reward.value() * f64::from(rule.bound())
    }

    /// Accepted items divided by shown items, in `[0, 1]`; NaN if no item was shown.
    pub fn acceptance_rate(&self) -> f64 {
        self.accepted as f64 / self.shown as f64
    }

    /// `sum / users`: the mean of a sum over users.
    #[cfg(feature = "alloc")]
    pub(crate) fn per_user(&self, sum: f64) -> f64 {
        sum / self.users as f64
    }

    /// Saturated components divided by all components, in `[0, 1]`; 0 if no policy acted.
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
    fn total_reward_is_exact_for_any_clamp() {
        let (initial, beliefs, target) =
            (SVector::from([0.0, 0.0]), SVector::from([0.2, 0.1]), SVector::from([0.6, 0.4]));
        for max in [100.0, 1e6, 1e30, f32::MAX] {
            for kind in [
                RewardForm::Strict,
                RewardForm::Potential,
                RewardForm::Hybrid { maintenance_factor: 0.7, exploration_bonus: 0.2 },
            ] {
                let rule =
                    Reward { kind, score: BeliefScore::Combined, scale: 100.0, max, improvement_threshold: 0.01 };
                let reward = rule.of(&initial, &beliefs, &target);
                assert!(reward > 29.0 && reward <= rule.bound());
                let total = Tally::of_user(20, 3, &rule, reward, &initial, &beliefs, &target).total_reward(&rule);
                assert!((total - f64::from(reward)).abs() <= f64::from(rule.bound()) / 4e9, "{max}: {total}");
            }
        }
    }
}
