//! How acceptances move a user's beliefs (`docs/spec.md`, section 2.3, Belief update).
//!
//! A belief is the share of the whole catalogue that a user has taken up in one cluster. The target holds each
//! cluster's share of the catalogue.

use nalgebra::{Dim, Storage, StorageMut, Vector};

use crate::model::math::Real;

/// The factor that turns a belief into its share of `target`, in `[0, 1]`: `1 / target`, and 0 if `target` is below the
/// smallest normal `f32` (`2^-126`).
///
/// Networks see scaled beliefs: beliefs start around `1e-4`, and the clusters' targets differ by their sizes
/// (`docs/spec.md`, section 3.1, Order of stages).
///
/// ```
/// assert_eq!(recsim_core::model::belief::scale(0.25), 4.0);
/// assert_eq!(recsim_core::model::belief::scale(0.0), 0.0);
/// ```
#[inline]
pub fn scale(target: f32) -> f32 {
    // The inverse of a subnormal value can overflow.
    if target >= f32::MIN_POSITIVE { 1.0 / target } else { 0.0 }
}

/// Updates `beliefs` (`[K]`, in `[0, target]`) with the items that a user accepted from one slate.
///
/// `accepted[c]` is the number of accepted items of cluster `c`; an expectation may be fractional. `increment` is the
/// share of the catalogue that one item counts for, in `[0, 1]`. If every count is 0, the beliefs do not change.
/// Otherwise, in this order and without fused operations:
///
/// 1. `beliefs[c] = max(beliefs[c] + accepted[c] * increment, 0)`;
/// 2. if the sum of the beliefs, in cluster order, exceeds 1, every belief is divided by it;
/// 3. `beliefs[c] = min(beliefs[c], target[c])`.
///
/// Afterwards the beliefs lie in `[0, target]` and sum to at most 1.
///
/// ```
/// use nalgebra::SVector;
/// let mut beliefs = SVector::from([0.0, 0.0, 0.0, 0.0, 0.001_f64]);
/// let target = SVector::from([0.69958, 0.07083, 0.07386, 0.07219, 0.08353]);
/// recsim_core::model::belief::update(&mut beliefs, &SVector::from([0.0, 0.0, 0.0, 0.0, 3.0]), &target, 0.01);
/// assert!((beliefs[4] - 0.031).abs() < 1e-12);
/// ```
#[inline]
pub fn update<T: Real, D: Dim>(
    beliefs: &mut Vector<T, D, impl StorageMut<T, D>>,
    accepted: &Vector<T, D, impl Storage<T, D>>,
    target: &Vector<T, D, impl Storage<T, D>>,
    increment: T,
) {
    if accepted.iter().all(|&count| count == T::ZERO) {
        return;
    }
    let sum = raise(beliefs, accepted, increment);
    for (belief, &target) in beliefs.iter_mut().zip(target.iter()) {
        if sum > T::ONE {
            *belief /= sum;
        }
        *belief = belief.min(target);
    }
}

/// Step 1 of [`update`]: adds the accepted items to `beliefs` (`[K]`). Returns the sum of the beliefs in cluster order.
///
/// ```
/// use nalgebra::SVector;
/// let mut beliefs = SVector::from([0.5, 0.25_f64]);
/// assert_eq!(recsim_core::model::belief::raise(&mut beliefs, &SVector::from([1.0, 2.0]), 0.25), 1.5);
/// assert_eq!(beliefs, SVector::from([0.75, 0.75]));
/// ```
#[inline]
pub fn raise<T: Real, D: Dim>(
    beliefs: &mut Vector<T, D, impl StorageMut<T, D>>,
    accepted: &Vector<T, D, impl Storage<T, D>>,
    increment: T,
) -> T {
    let mut sum = T::ZERO;
    for (belief, &count) in beliefs.iter_mut().zip(accepted.iter()) {
        *belief = (*belief + count * increment).max(T::ZERO);
        sum += *belief;
    }
    sum
}

/// The distance of the beliefs from the target, both `[K]`: `sum_c |target[c] - beliefs[c]|`, added in cluster order.
///
/// It is 0 at the target. For beliefs in `[0, target]` it is at most the target's sum, hence at most 1 but for
/// rounding.
///
/// ```
/// use nalgebra::SVector;
/// assert_eq!(recsim_core::model::belief::distance(&SVector::from([0.25, 0.0]), &SVector::from([0.5, 0.25])), 0.5);
/// ```
#[inline]
pub fn distance<T: Real, D: Dim>(
    beliefs: &Vector<T, D, impl Storage<T, D>>,
    target: &Vector<T, D, impl Storage<T, D>>,
) -> T {
    let mut sum = T::ZERO;
    for (&belief, &target) in beliefs.iter().zip(target.iter()) {
        sum += (target - belief).abs();
    }
    sum
}
