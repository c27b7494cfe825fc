//! Sums that do not depend on their order (`docs/spec.md`, section 6.1, Round).

use core::iter::Sum;
use core::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// A sum of values in `[-2, 2]`, as an integer multiple of `2^-32`.
///
/// Each value is rounded once, to the nearest multiple of `2^-32`. The additions are exact, so a sum has the same bits
/// for every batch size, thread count and device. The mean of the values is off by at most `2^-33`. A sum of up to
/// 1,000,000,000 values cannot overflow.
///
/// The field is the number of units of `2^-32`. It is the form that reports and checkpoints store.
///
/// ```
/// use recsim_core::model::ExactSum;
/// let sum: ExactSum = [0.1, 0.2, 0.3].map(ExactSum::from_f64).into_iter().sum();
/// assert!((sum.value() - 0.6).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactSum(pub i64);

impl ExactSum {
    /// One value in `[-2, 2]`, rounded to the nearest multiple of `2^-32`, ties to even.
    ///
    /// ```
    /// use recsim_core::model::ExactSum;
    /// assert_eq!(ExactSum::from_f64(1.0), ExactSum(1 << 32));
    /// assert_eq!(ExactSum::from_f64(0.5 / 4_294_967_296.0), ExactSum(0));
    /// ```
    #[inline]
    pub fn from_f64(value: f64) -> Self {
        Self(libm::rint(value * SCALE) as i64)
    }

    /// The sum as an `f64`, rounded to the nearest.
    pub fn value(self) -> f64 {
        self.0 as f64 / SCALE
    }
}

impl Add for ExactSum {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for ExactSum {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sum for ExactSum {
    fn sum<I: Iterator<Item = Self>>(iterator: I) -> Self {
        iterator.fold(Self::default(), Add::add)
    }
}

/// Units in 1: `2^32`.
const SCALE: f64 = 4_294_967_296.0;
