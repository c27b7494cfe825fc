//! The reward of one step (`docs/spec.md`, section 2.4, Reward).

use nalgebra::{Dim, Storage, Vector};

use crate::model::math::Real;

/// Which of the three rewards is paid. The table of [`Reward::of`] has the formulas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RewardForm<T> {
    /// Pays the distance that clusters came nearer to the target, if the score rose by the threshold. Otherwise 0.
    Strict,
    /// If a cluster came nearer, pays that distance, plus a bonus if the score rose by the threshold. Otherwise pays a
    /// share of the score if it was held, and a negative reward if it fell.
    Hybrid {
        /// The share of the score that is paid if no cluster came nearer and the score held. In units of reward.
        maintenance_factor: T,
        /// The bonus if a cluster came nearer and the score rose by the threshold. In units of reward.
        exploration_bonus: T,
    },
    /// Pays the change of the distance to the target.
    ///
    /// It is a potential-based shaping reward (Ng, Harada and Russell, 1999). Its sum over an episode depends only on
    /// the first and the last beliefs, so a user who is moved away and back earns nothing.
    Potential,
}

/// The score of beliefs that [`RewardForm::Strict`] and [`RewardForm::Hybrid`] compare before and after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeliefScore {
    /// [`engagement`] times [`alignment`], in `[0, 1]`.
    Combined,
    /// `1 - sum_c |target[c] - beliefs[c]| / sum_c target[c]`, in `[0, 1]` but for rounding.
    Distance,
}

/// The rule that rewards one user's step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reward<T> {
    /// The form of the reward.
    pub kind: RewardForm<T>,
    /// The score of beliefs.
    pub score: BeliefScore,
    /// The reward of one unit of distance or score; at least 0.
    pub scale: T,
    /// The reward is clamped to `[-max, max]`; above 0.
    pub max: T,
    /// The rise of the score that counts as an improvement; at least 0.
    pub improvement_threshold: T,
}

impl<T: Real> Reward<T> {
    /// The reward, in `[-max, max]`, of moving a user's beliefs from `before` to `after`.
    ///
    /// `before`, `after` and `target` are `[K]`, and both beliefs lie in `[0, target]`. With `d[c] = |target[c] -
    /// b[c]|`, `gain = sum_c max(0, d_before[c] - d_after[c])` and `delta = score(after) - score(before)`, and sums
    /// in cluster order:
    ///
    /// | form | reward before the clamp |
    /// |---|---|
    /// | strict | `scale * gain` if `delta >= improvement_threshold`, else 0 |
    /// | hybrid, some `d[c]` fell | `scale * gain`, plus `exploration_bonus` if `delta >= improvement_threshold` |
    /// | hybrid, none fell, `delta > -improvement_threshold` | `maintenance_factor * score(after)` |
    /// | hybrid, otherwise | `scale * delta` |
    /// | potential | `scale * (sum_c d_before[c] - sum_c d_after[c])` |
    ///
    /// ```
    /// use nalgebra::SVector;
    /// use recsim_core::model::reward::{RewardForm, Reward, BeliefScore};
    /// let kind = RewardForm::Hybrid { maintenance_factor: 0.7, exploration_bonus: 0.2 };
    /// let reward =
    ///     Reward { kind, score: BeliefScore::Combined, scale: 100.0, max: 100.0, improvement_threshold: 0.01 };
    /// let target = SVector::from([0.75, 0.25]);
    /// // Three items of the first cluster gain 1 each. The score rises from 0 to 0.03 * cos(beliefs, target).
    /// let reward = reward.of(&SVector::from([0.0, 0.0]), &SVector::from([0.03, 0.0]), &target);
    /// assert!((reward - (3.0 + 0.2_f64)).abs() < 1e-9);
    /// ```
    pub fn of<D: Dim>(
        &self,
        before: &Vector<T, D, impl Storage<T, D>>,
        after: &Vector<T, D, impl Storage<T, D>>,
        target: &Vector<T, D, impl Storage<T, D>>,
    ) -> T {
        let (mut gain, mut distance_before, mut distance_after) = (T::ZERO, T::ZERO, T::ZERO);
        let mut any_fell = false;
        for ((&b, &a), &t) in before.iter().zip(after.iter()).zip(target.iter()) {
            let (d_before, d_after) = ((t - b).abs(), (t - a).abs());
            distance_before += d_before;
            distance_after += d_after;
            any_fell |= d_after < d_before;
            gain += (d_before - d_after).max(T::ZERO);
        }
        let reward = match self.kind {
            RewardForm::Potential => self.scale * (distance_before - distance_after),
            RewardForm::Strict => {
                let delta = self.score.of(after, target) - self.score.of(before, target);
                if delta >= self.improvement_threshold { self.scale * gain } else { T::ZERO }
            }
            RewardForm::Hybrid { maintenance_factor, exploration_bonus } => {
                let score_after = self.score.of(after, target);
                let delta = score_after - self.score.of(before, target);
                if any_fell {
                    let bonus = if delta >= self.improvement_threshold { exploration_bonus } else { T::ZERO };
                    self.scale * gain + bonus
                } else if delta > -self.improvement_threshold {
                    maintenance_factor * score_after
                } else {
                    self.scale * delta
                }
            }
        };
        reward.clamp(-self.max, self.max)
    }

    /// An upper bound on the absolute value of every reward, but for rounding; above 0.
    ///
    /// A user's distance and score change by at most 1 in a step, so the bound is
    ///
    /// ```text
    /// min(scale, max)                                                       strict and potential
    /// min(max(scale + |exploration_bonus|, |maintenance_factor|), max)      hybrid
    /// ```
    ///
    /// and at least `2^-126`. [`Tally`](crate::model::Tally) sums rewards in units of it, so that a `max` that clamps
    /// nothing costs no digits.
    ///
    /// ```
    /// use recsim_core::model::reward::{BeliefScore, Reward, RewardForm};
    /// let reward = Reward {
    ///     kind: RewardForm::Potential, score: BeliefScore::Distance, scale: 100.0, max: 1e6,
    ///     improvement_threshold: 0.0,
    /// };
    /// assert_eq!(reward.bound(), 100.0_f32);
    /// ```
    pub fn bound(&self) -> T {
        let reachable = match self.kind {
            RewardForm::Strict | RewardForm::Potential => self.scale,
            RewardForm::Hybrid { maintenance_factor, exploration_bonus } => {
                (self.scale + exploration_bonus.abs()).max(maintenance_factor.abs())
            }
        };
        reachable.min(self.max).max(T::from_f64(f64::from(f32::MIN_POSITIVE)))
    }
}

impl BeliefScore {
    /// The score of `beliefs` (`[K]`, in `[0, target]`): at most 1, and 1 at the target but for rounding.
    ///
    /// ```
    /// use nalgebra::SVector;
    /// use recsim_core::model::reward::BeliefScore;
    /// let (beliefs, target) = (SVector::from([0.5, 0.0]), SVector::from([0.5, 0.5_f64]));
    /// assert_eq!(BeliefScore::Distance.of(&beliefs, &target), 0.5);
    /// assert!((BeliefScore::Combined.of(&beliefs, &target) - 0.5 * 0.5_f64.sqrt()).abs() < 1e-15);
    /// ```
    pub fn of<T: Real, D: Dim>(
        self,
        beliefs: &Vector<T, D, impl Storage<T, D>>,
        target: &Vector<T, D, impl Storage<T, D>>,
    ) -> T {
        match self {
            Self::Combined => engagement(beliefs, target) * alignment(beliefs, target),
            Self::Distance => T::ONE - crate::model::belief::distance(beliefs, target) / sum(target),
        }
    }
}

/// How much of the target a user has taken up: `min(sum_c b[c] / sum_c target[c], 1)`, in `[0, 1]` for `b >= 0`.
///
/// ```
/// use nalgebra::SVector;
/// use recsim_core::model::reward::engagement;
/// assert_eq!(engagement(&SVector::from([0.25, 0.0]), &SVector::from([0.5, 0.5])), 0.25);
/// ```
#[inline]
pub fn engagement<T: Real, D: Dim>(
    beliefs: &Vector<T, D, impl Storage<T, D>>,
    target: &Vector<T, D, impl Storage<T, D>>,
) -> T {
    (sum(beliefs) / sum(target)).min(T::ONE)
}

/// How well the proportions of the beliefs match the target's: their cosine, clamped to `[0, 1]`.
///
/// `clamp(sum_c b[c] t[c] / (sqrt(sum_c b[c]^2) * sqrt(sum_c t[c]^2)), 0, 1)` with `t = target`; 0 if the divisor is 0.
/// The clamp also removes rounding errors, which exceed one ulp where squares are subnormal.
///
/// ```
/// use nalgebra::SVector;
/// use recsim_core::model::reward::alignment;
/// let target = SVector::from([0.6, 0.3_f64]);
/// assert!((alignment(&SVector::from([0.2, 0.1]), &target) - 1.0).abs() < 1e-15);
/// assert_eq!(alignment(&SVector::from([0.0, 0.0]), &target), 0.0);
/// ```
#[inline]
pub fn alignment<T: Real, D: Dim>(
    beliefs: &Vector<T, D, impl Storage<T, D>>,
    target: &Vector<T, D, impl Storage<T, D>>,
) -> T {
    let (mut dot, mut bb, mut tt) = (T::ZERO, T::ZERO, T::ZERO);
    for (&b, &t) in beliefs.iter().zip(target.iter()) {
        dot += b * t;
        bb += b * b;
        tt += t * t;
    }
    let norms = bb.sqrt() * tt.sqrt();
    if norms > T::ZERO { (dot / norms).clamp(T::ZERO, T::ONE) } else { T::ZERO }
}

/// The sum in index order.
#[inline]
fn sum<T: Real, D: Dim>(values: &Vector<T, D, impl Storage<T, D>>) -> T {
    let mut sum = T::ZERO;
    for &value in values.iter() {
        sum += value;
    }
    sum
}
