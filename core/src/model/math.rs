//! The scalar type of the formulas, and the two functions they share.
//!
//! Transcendental functions come from `libm` whatever the platform, so that the same input gives the same bits
//! everywhere; `std` (and `num-traits` with its `std` feature) would pick the platform's own.

use core::fmt::{Debug, Display};
use core::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// A real number the formulas compute with: `f32` in every backend, `f64` where the reference wants more digits.
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
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The nearest value to `x`.
    fn from_f64(x: f64) -> Self;
    /// The same value, in double precision.
    fn to_f64(self) -> f64;
    /// `e^self`, by libm.
    fn exp(self) -> Self;
    /// `tanh(self)`, by libm.
    fn tanh(self) -> Self;
    /// The correctly rounded square root.
    fn sqrt(self) -> Self;
    /// `self * factor + term`, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// The magnitude.
    fn abs(self) -> Self;

    /// The smaller of two numbers; `self` when they are equal.
    #[inline]
    fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
    /// The larger of two numbers; `self` when they are equal.
    #[inline]
    fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
    /// `self`, or the end of `[low, high]` that it lies beyond.
    #[inline]
    fn clamp(self, low: Self, high: Self) -> Self {
        self.max(low).min(high)
    }
}

/// The logistic function `1 / (1 + e^-x)`, evaluated so that no finite `x` overflows.
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
    ($t:ty, $exp:ident, $nothing:literal, $tanh:ident, $sqrt:ident, $fma:ident) => {
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
                // The same bits sooner: libm divides for the sake of a flag, which takes many times as long where the quotient
                // is no normal number.
                if self < $nothing { 0.0 } else { libm::$exp(self) }
            }
            #[inline]
            fn tanh(self) -> Self {
                libm::$tanh(self)
            }
            #[inline]
            fn sqrt(self) -> Self {
                // Both round correctly, but no compiler sees through that of libm.
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
    fn what_is_nothing_is_known_sooner_and_is_the_same() {
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
