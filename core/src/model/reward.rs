//! What a step is worth: `spec` section 2, *Reward*.

use nalgebra::{Dim, Storage, Vector};

use crate::model::math::Real;

/// Which of the three rewards is paid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RewardForm<T> {
    /// Improvements only, and only where the score rose by at least the threshold.
    Strict,
    /// Improvements, a bonus where the score rose, a share of the score where a user is kept at it, a loss otherwise.
    Hybrid {
        /// The share of the score paid where nothing improved and the score held.
        maintenance_factor: T,
        /// Added where something improved and the score rose by at least the threshold.
        exploration_bonus: T,
    },
    /// `scale * (sum d_before - sum d_after)`: it telescopes over an episode and so cannot be farmed.
    Potential,
}

/// What "how good are these beliefs" means to [`RewardForm::Strict`] and [`RewardForm::Hybrid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeliefScore {
    /// Engagement times alignment.
    Combined,
    /// `1 - sum d_i / sum target_i`.
    Distance,
}

/// The reward of one user's step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reward<T> {
    /// Which form.
    pub kind: RewardForm<T>,
    /// Which score.
    pub score: BeliefScore,
    /// What a unit of distance is worth; at least 0.
    pub scale: T,
    /// The reward is clamped to `[-max, max]`; above 0.
    pub max: T,
    /// The rise of the score that counts as one; at least 0.
    pub improvement_threshold: T,
}

impl<T: Real> Reward<T> {
    /// The reward, in `[-max, max]`, of moving a user from `before` to `after` (both `[K]`, in `[0, target]`).
    ///
    /// With `d_i = |target_i - b_i|` and sums in cluster order:
    ///
    /// | form | reward before the clamp |
    /// |---|---|
    /// | strict | `scale * sum max(0, d_before - d_after)` if `delta >= threshold`, else 0 |
    /// | hybrid, some `d_i` fell | the same sum, plus the bonus if `delta >= threshold` |
    /// | hybrid, none fell, `delta > -threshold` | `maintenance_factor * score(after)` |
    /// | hybrid, otherwise | `scale * delta` |
    /// | potential | `scale * (sum d_before - sum d_after)` |
    ///
    /// ```
    /// use nalgebra::SVector;
    /// use recsim_core::model::reward::{RewardForm, Reward, BeliefScore};
    /// let kind = RewardForm::Hybrid { maintenance_factor: 0.7, exploration_bonus: 0.2 };
    /// let reward =
    ///     Reward { kind, score: BeliefScore::Combined, scale: 100.0, max: 100.0, improvement_threshold: 0.01 };
    /// let target = SVector::from([0.75, 0.25]);
    /// // Three items of the first cluster, each worth 1; and the score rises from 0 to 0.03 * cos(b, target).
    /// let reward = reward.of(&SVector::from([0.0, 0.0]), &SVector::from([0.03, 0.0]), &target);
    /// assert!((reward - (3.0 + 0.2_f64)).abs() < 1e-9);
    /// ```
    pub fn of<D: Dim>(
        &self,
        before: &Vector<T, D, impl Storage<T, D>>,
        after: &Vector<T, D, impl Storage<T, D>>,
        target: &Vector<T, D, impl Storage<T, D>>,
    ) -> T {
        let (mut gained, mut far_before, mut far_after) = (T::ZERO, T::ZERO, T::ZERO);
        let mut any_fell = false;
        for ((&b, &a), &t) in before.iter().zip(after.iter()).zip(target.iter()) {
            let (d_before, d_after) = ((t - b).abs(), (t - a).abs());
            far_before += d_before;
            far_after += d_after;
            any_fell |= d_after < d_before;
            gained += (d_before - d_after).max(T::ZERO);
        }
        let reward = match self.kind {
            RewardForm::Potential => self.scale * (far_before - far_after),
            RewardForm::Strict => {
                let delta = self.score.of(after, target) - self.score.of(before, target);
                if delta >= self.improvement_threshold { self.scale * gained } else { T::ZERO }
            }
            RewardForm::Hybrid { maintenance_factor, exploration_bonus } => {
                let reached = self.score.of(after, target);
                let delta = reached - self.score.of(before, target);
                if any_fell {
                    let bonus = if delta >= self.improvement_threshold { exploration_bonus } else { T::ZERO };
                    self.scale * gained + bonus
                } else if delta > -self.improvement_threshold {
                    maintenance_factor * reached
                } else {
                    self.scale * delta
                }
            }
        };
        reward.clamp(-self.max, self.max)
    }
}

impl<T: Real> Reward<T> {
    /// What no reward's magnitude exceeds but by its roundings; above 0. It is far below `max` where that is so large
    /// that it clamps nothing: no user's distance to a target can fall or rise by more than 1, nor can the score.
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
    /// How good `beliefs` are, at most 1, which is reached at the target.
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

/// How much a user has taken up: `min(sum b / sum target, 1)`, in `[0, 1]`.
#[inline]
pub fn engagement<T: Real, D: Dim>(
    beliefs: &Vector<T, D, impl Storage<T, D>>,
    target: &Vector<T, D, impl Storage<T, D>>,
) -> T {
    (sum(beliefs) / sum(target)).min(T::ONE)
}

/// How well its shares match the target's: `max(0, cos(b, target))`, and 0 where a length is 0. In `[0, 1]`: what roundings
/// would add is cut off, which is an ulp, and more than 1 itself where squares are so small that they lose their bits.
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
    let lengths = bb.sqrt() * tt.sqrt();
    if lengths > T::ZERO { (dot / lengths).clamp(T::ZERO, T::ONE) } else { T::ZERO }
}

#[inline]
fn sum<T: Real, D: Dim>(values: &Vector<T, D, impl Storage<T, D>>) -> T {
    let mut sum = T::ZERO;
    for &value in values.iter() {
        sum += value;
    }
    sum
}
