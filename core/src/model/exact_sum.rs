//! Sums that do not depend on their order.

use core::iter::Sum;
use core::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// A sum of numbers in `[-2, 2]`, each rounded to a multiple of `2^-32` and then added exactly.
///
/// Integers add in any order to the same sum, so a total is the same for every batch size, thread count and device.
/// A mean is off by at most `2^-33`. A thousand million numbers fit.
///
/// ```
/// use recsim_core::model::ExactSum;
/// let sum: ExactSum = [0.1, 0.2, 0.3].map(ExactSum::from_f64).into_iter().sum();
/// assert!((sum.value() - 0.6).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactSum(pub i64);

impl ExactSum {
    /// The number, to the nearest multiple of `2^-32`, halves to even.
    #[inline]
    pub fn from_f64(number: f64) -> Self {
        Self(libm::rint(number * SCALE) as i64)
    }

    /// The sum as a floating-point number.
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

const SCALE: f64 = 4_294_967_296.0;
