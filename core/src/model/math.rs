//! The scalar type of the formulas and the logistic function.
//!
//! Transcendental functions always come from `libm`, so the same input gives the same bits on every platform. The
//! functions of `std` (and of `num-traits` with its `std` feature) are the platform's own and differ.

use core::fmt::{Debug, Display};
use core::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// A real number that the formulas compute with: `f32` in every backend, `f64` in tests and in the reference backend
/// where more digits are needed.
///
/// Every operation of this trait rounds as IEEE 754 says, or as the pinned version of `libm` does. `min`, `max` and
/// `clamp` return `self` when both values are equal, so they also define the sign of a zero.
///
/// ```
/// use recsim_core::model::math::Real;
/// fn mean<T: Real>(values: &[T]) -> T {
///     values.iter().fold(T::ZERO, |sum, &value| sum + value) / T::from_f64(values.len() as f64)
/// }
/// assert_eq!((mean(&[1.0_f32, 2.0]), mean(&[1.0_f64, 2.0])), (1.5, 1.5));
/// ```
pub trait Real:
    nalgebra::Scalar
    + Copy
    + PartialOrd
    + Debug
    + Display
    + Default
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// The value 0.
    const ZERO: Self;
    /// The value 1.
    const ONE: Self;
    /// The value nearest to `x`, ties to even.
    fn from_f64(x: f64) -> Self;
    /// The same value in double precision. It is exact.
    fn to_f64(self) -> f64;
    /// `e^self`, with the bits of `libm`.
    fn exp(self) -> Self;
    /// `tanh(self)`, in `[-1, 1]`, with the bits of `libm`.
    fn tanh(self) -> Self;
    /// The correctly rounded square root; NaN below 0.
    fn sqrt(self) -> Self;
    /// `self * factor + term`, rounded once (a fused multiply-add).
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;

    /// The smaller of two values; `self` when they are equal or `other` is NaN.
    #[inline]
    fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
    /// The larger of two values; `self` when they are equal or `other` is NaN.
    #[inline]
    fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
    /// `min(max(self, low), high)`: the value of `[low, high]` nearest to `self`. NaN stays NaN.
    #[inline]
    fn clamp(self, low: Self, high: Self) -> Self {
        self.max(low).min(high)
    }
}

/// The logistic function, in `[0, 1]` (`docs/spec.md`, section 2.2, Acceptance).
///
/// ```text
/// sigmoid(x) = 1 / (1 + exp(-x))        for x >= 0
///            = exp(x) / (1 + exp(x))    for x < 0
/// ```
///
/// Neither branch overflows for a finite `x`. For `x >= 0` in `f32`, the value never falls from one number to the next.
///
/// ```
/// use recsim_core::model::math::sigmoid;
/// assert_eq!(sigmoid(0.0_f32), 0.5);
/// assert!((sigmoid(2.0_f64) - 0.880797).abs() < 1e-6);
/// assert_eq!(sigmoid(f32::MAX), 1.0);
/// assert_eq!(sigmoid(-f32::MAX), 0.0);
/// ```
#[inline]
pub fn sigmoid<T: Real>(x: T) -> T {
    if x >= T::ZERO {
        T::ONE / (T::ONE + (-x).exp())
    } else {
        let e = x.exp();
        e / (T::ONE + e)
    }
}

macro_rules! real {
    ($t:ty, $exp:ident, $underflow:literal, $tanh:ident, $sqrt:ident, $fma:ident) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline]
            fn exp(self) -> Self {
                // The bits are those of `libm`, whose path for these values divides to raise a floating-point flag.
                // That division is many times slower when the quotient is not a normal number.
                if self < $underflow { 0.0 } else { libm::$exp(self) }
            }
            #[inline]
            fn tanh(self) -> Self {
                libm::$tanh(self)
            }
            #[inline]
            fn sqrt(self) -> Self {
                // Both round correctly. Compilers vectorize only the one of `std`.
                #[cfg(feature = "std")]
                return <$t>::sqrt(self);
                #[cfg(not(feature = "std"))]
                libm::$sqrt(self)
            }
            #[inline]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                libm::$fma(self, factor, term)
            }
            #[inline]
            fn abs(self) -> Self {
                <$t>::abs(self)
            }
        }
    };
}
real!(f32, expf, -104.0, tanhf, sqrtf, fmaf);
real!(f64, exp, -746.0, tanh, sqrt, fma);

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn exp_has_the_bits_of_libm_where_it_underflows() {
        for power in
            [-1e30_f64, -1e4, -746.1, -746.0, -745.2, -745.0, -104.1, -104.0, -103.9, -88.0, -1.0, 0.0, 90.0]
        {
            assert_eq!(Real::exp(power).to_bits(), libm::exp(power).to_bits(), "{power}");
            let power = power as f32;
            assert_eq!(Real::exp(power).to_bits(), libm::expf(power).to_bits(), "{power}");
        }
        assert!(Real::exp(f32::NAN).is_nan() && Real::exp(f64::NAN).is_nan());
        assert_eq!((Real::exp(f32::NEG_INFINITY), Real::exp(f64::NEG_INFINITY)), (0.0, 0.0));
    }
}
