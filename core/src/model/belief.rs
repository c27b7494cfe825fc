//! How acceptances move a user's beliefs: `spec` section 2, *Belief update*.

use nalgebra::{Dim, Storage, StorageMut, Vector};

use crate::model::math::Real;

/// What a belief is multiplied by so that networks see the share of its `target` that is reached, 0 to 1: beliefs begin
/// around `1e-4`, and clusters' targets are as unlike as their sizes. 0 where the target is (as good as) 0.
///
/// ```
/// assert_eq!(recsim_core::model::belief::scale(0.25), 4.0);
/// assert_eq!(recsim_core::model::belief::scale(0.0), 0.0);
/// ```
#[inline]
pub fn scale(target: f32) -> f32 {
    // The inverse of a subnormal number may be none.
    if target >= f32::MIN_POSITIVE { 1.0 / target } else { 0.0 }
}

/// Moves `beliefs` (`[K]`) by what a user accepted on one slate.
///
/// `accepted[c]` is the number of items of cluster `c` that were taken (a fraction, where an expectation is wanted).
/// If it is 0 in every cluster the beliefs stay as they are. Otherwise, in this order and without fusing:
///
/// 1. `beliefs[c] += accepted[c] * increment`, and negatives become 0;
/// 2. if the sum, taken in cluster order, exceeds 1, every belief is divided by it;
/// 3. `beliefs[c] = min(beliefs[c], target[c])`.
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
    for (belief, &most) in beliefs.iter_mut().zip(target.iter()) {
        if sum > T::ONE {
            *belief /= sum;
        }
        *belief = belief.min(most);
    }
}

/// The first step of [`update`]: raises the beliefs by what was accepted, and returns their sum, in cluster order.
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

/// The summed distance `sum_i |target_i - beliefs_i|`, in cluster order; 0 at the target.
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
    for (&belief, &most) in beliefs.iter().zip(target.iter()) {
        sum += (most - belief).abs();
    }
    sum
}
