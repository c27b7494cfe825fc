//! Error bounds for scores that are computed in half precision (`docs/spec.md`, section 5.5, Exact search).
//!
//! A search may compute approximate scores as a product of two fp16 matrices, one of actions and one of item rows. An
//! item cannot be among the best `k` if its approximate score plus its error bound is below the approximate scores
//! minus error bounds of `k` others. The remaining items are scored by [`score`](crate::model::slate::score), which
//! decides.
//!
//! The matrices are scaled first. Each action is multiplied by a power of two that brings its largest magnitude into
//! `[1/2, 1)`, and all item rows by one that does so for the largest of all rows ([`scale_exponent`]). Then every
//! value is rounded to fp16, and the products are summed in single precision.
//!
//! | function | bounds the difference between |
//! |---|---|
//! | [`fp16_error_bound`] | the fp16 score and the reference score |
//! | [`reference_error_bound`] | the reference score and the exact dot product |

/// The exponent `e` for which `largest * 2^e` lies in `[1/2, 1)`; 0 if `largest` is 0. `largest` is finite and at
/// least 0.
///
/// ```
/// use recsim_core::world::error_bound::scale_exponent;
/// assert_eq!([0.75, 1.0, 1e-45, 0.0].map(scale_exponent), [0, -1, 148, 0]);
/// ```
pub fn scale_exponent(largest: f32) -> i32 {
    if largest == 0.0 { 0 } else { -libm::frexpf(largest).1 }
}

/// An upper bound on `|fp16 score - score * 2^exponents|`.
///
/// The fp16 score is the sum of the products of the scaled values after rounding to fp16. The
/// [`score`](crate::model::slate::score) is that of the values before scaling, and `exponents` is the sum of the
/// action's and the rows' [`scale_exponent`]s. `action_length` and `row_length` are upper bounds on the Euclidean
/// lengths of the scaled action and the scaled row.
///
/// With D dimensions, lengths A and X, fp16's relative rounding error `u = 2^-11` and its smallest positive value
/// `v = 2^-24`:
///
/// - Rounding changes a value `x` by at most `u |x| + v`, so an action by at most `a = u A + v sqrt(D)` in length and
///   a row by at most `x = u X + v sqrt(D)`. By the Cauchy-Schwarz inequality, the exact sum of the products changes
///   by at most `a X + A x + a x`.
/// - At most 2 D values are added. The error of each partial sum is at most `2^-22` of all magnitudes added, as a
///   tensor core truncates where single precision rounds. Together this is at most `2^-21 D (A + a) (X + x)`.
/// - The reference score has the error of [`reference_error_bound`].
///
/// ```
/// // Most of the bound is the rounding of both matrices to 11 bits: 2 * 2^-11.
/// let bound = recsim_core::world::error_bound::fp16_error_bound(64, 1.0, 1.0, 0);
/// assert!((1.0..1.1).contains(&(bound * 1024.0)));
/// ```
pub fn fp16_error_bound(dimensions: usize, action_length: f64, row_length: f64, exponents: i32) -> f64 {
    let terms = dimensions as f64;
    let subnormal = FP16_MIN * libm::sqrt(terms);
    let (action_error, row_error) = (FP16_UNIT * action_length + subnormal, FP16_UNIT * row_length + subnormal);
    let rounding = action_error * row_length + action_length * row_error + action_error * row_error;
    let summation = terms * SUM_UNIT * (action_length + action_error) * (row_length + row_error);
    let reference = reference_error_bound(dimensions, action_length, row_length, exponents);
    // The last factor covers the rounding of the lengths and of this sum.
    (rounding + summation + reference) * (1.0 + 1e-9)
}

/// An upper bound on the error of `score * 2^exponents`: its difference from the exact dot product of the scaled action
/// and the scaled row.
///
/// The [`score`](crate::model::slate::score) rounds D times. Each rounding adds at most `2^-23 A X`, for the lengths
/// A and X of [`fp16_error_bound`], and at the end of single precision's range at most `2^-150 * 2^exponents`.
///
/// ```
/// use recsim_core::world::error_bound::reference_error_bound;
/// assert_eq!(reference_error_bound(64, 1.0, 1.0, 0), 2.0_f64.powi(-17)); // 64 * 2^-23
/// assert_eq!(reference_error_bound(1, 1e-30, 1e-30, 0), 2.0_f64.powi(-150)); // the end of the range
/// ```
pub fn reference_error_bound(dimensions: usize, action_length: f64, row_length: f64, exponents: i32) -> f64 {
    dimensions as f64 * (SCORE_UNIT * action_length * row_length + libm::ldexp(1.0, exponents - 150))
}

/// 2^-11, the relative error of rounding to fp16.
const FP16_UNIT: f64 = 1.0 / 2048.0;
/// 2^-24, the smallest positive fp16 value.
const FP16_MIN: f64 = 1.0 / 16_777_216.0;
/// 2^-21, twice the relative error of a partial sum.
const SUM_UNIT: f64 = 1.0 / 2_097_152.0;
/// 2^-23, twice the relative error of one rounding of the score.
const SCORE_UNIT: f64 = 1.0 / 8_388_608.0;

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;
    use crate::model::rng::{Key, Purpose, normal_pair};
    use crate::model::slate::score;
    use alloc::vec::Vec;

    #[test]
    fn scale_exponent_brings_every_magnitude_into_one_octave() {
        for bits in [1, 2, 3, 0x7f_ffff, 0x80_0000, 0x3f80_0000, 0x3f7f_ffff, 0x7f7f_ffff] {
            let largest = f32::from_bits(bits);
            assert!((0.5..1.0).contains(&libm::ldexp(f64::from(largest), scale_exponent(largest))), "{largest:e}");
        }
    }

    #[test]
    fn error_bound_bounds_fp16_error() {
        for dimensions in [1, 2, 7, 64, 200] {
            for case in 0..2_000 {
                let (action, row) = (random_row(2 * case, dimensions), random_row(2 * case + 1, dimensions));
                let (error, bound) = error_and_bound(&action, &row);
                assert!(error <= bound, "{error:e} of {bound:e}: {action:?} {row:?}");
            }
        }
    }

    #[test]
    fn error_bound_is_tight_in_the_worst_cases() {
        // Just below the middle between two fp16 values: every value loses as much as it can, all in one direction.
        let worst = [f32::from_bits((1.0 + 1.0 / 2048.0_f32).to_bits() - 1) / 2.0; 64];
        let (error, bound) = error_and_bound(&worst, &worst);
        assert!(error > 0.95 * bound, "{error:e} of {bound:e}");
        // Values so small that their products underflow in the reference score, but not after scaling.
        let vanishing = [2.6e-23_f32; 3];
        let (error, bound) = error_and_bound(&vanishing, &vanishing);
        assert!(error > 0.9 * bound, "{error:e} of {bound:e}");
    }

    /// The error of the fp16 score, and its bound.
    fn error_and_bound(action: &[f32], row: &[f32]) -> (f64, f64) {
        let largest = |values: &[f32]| values.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let (action_exponent, row_exponent) = (scale_exponent(largest(action)), scale_exponent(largest(row)));
        let scaled = |values: &[f32], exponent| -> Vec<f64> {
            values.iter().map(|&x| libm::ldexp(f64::from(x), exponent)).collect()
        };
        let (a, x) = (scaled(action, action_exponent), scaled(row, row_exponent));
        let length = |values: &[f64]| libm::sqrt(values.iter().map(|x| x * x).sum());
        let fp16_score: f64 = a.iter().zip(&x).map(|(&a, &x)| round_to_fp16(a) * round_to_fp16(x)).sum();
        let exponents = action_exponent + row_exponent;
        let expected = libm::ldexp(f64::from(score(action, row)), exponents);
        ((fp16_score - expected).abs(), fp16_error_bound(action.len(), length(&a), length(&x), exponents))
    }

    /// Rounds to fp16, ties to even: 11 bits, and no bit below 2^-24.
    fn round_to_fp16(x: f64) -> f64 {
        let lowest = (libm::frexp(x).1 - 11).max(-24);
        libm::ldexp(libm::rint(libm::ldexp(x, -lowest)), lowest)
    }

    /// Random values of one magnitude, or of many.
    fn random_row(case: u64, dimensions: usize) -> Vec<f32> {
        let key = Key::new(case, Purpose::World);
        let size = [1.0, 1e-30, 1e15, f32::MIN_POSITIVE / 64.0][(key.bits() >> 7) as usize % 4];
        let spread = (key.bits() >> 9) % 2 * 20;
        let value = |d: usize| {
            let key = key.fold_in(d as u64);
            libm::ldexpf(normal_pair(key)[0] * size, -((key.bits() % (spread + 1)) as i32))
        };
        (0..dimensions).map(value).collect()
    }
}
