//! How far a score computed in half precision can lie from the one that decides: what lets a fast inexact search
//! propose candidates (`spec` section 5).
//!
//! Both tables are first brought to one size: the greatest entry of each action, and of all rows together, to between
//! 1/2 and 1, by powers of two ([`scale_exponent`]). Then each number is rounded to half precision, and tensor cores multiply.

/// The `e` for which `largest * 2^e` lies in `[1/2, 1)`; 0 for 0. `largest` is finite and at least 0.
///
/// ```
/// use recsim_core::world::error_bound::scale_exponent;
/// assert_eq!([scale_exponent(0.75), scale_exponent(1.0), scale_exponent(1e-45), scale_exponent(0.0)], [0, -1, 148, 0]);
/// ```
pub fn scale_exponent(largest: f32) -> i32 {
    if largest == 0.0 { 0 } else { -libm::frexpf(largest).1 }
}

/// The most by which a sum of products of halves differs from the [`score`](crate::model::slate::score) times `2^exponents`,
/// for a scaled action and a scaled row of at most these lengths. `exponents` is the sum of the action's and the rows'.
///
/// With D dimensions, lengths A and X, the unit u = 2^-11 of half precision and v = 2^-24, its least number:
/// - a number becomes a half within `u |x| + v`, so the action is off by at most `a = uA + v√D` in length, a row by
///   `x = uX + v√D`, and the exact sum of products, by Cauchy and Schwarz, by `aX + Ax + ax`;
/// - adding at most 2D numbers, each sum off by at most `2^-22` of all magnitudes added (a tensor core cuts sums off
///   that single precision would round), takes `2^-21 D (A + a)(X + x)`;
/// - the defined order rounds too ([`reference_error_bound`]).
///
/// ```
/// // Nearly all of it is the rounding of both tables to 11 bits.
/// let margin = recsim_core::world::error_bound::fp16_error_bound(64, 1.0, 1.0, 0);
/// assert!((1.0..1.1).contains(&(margin * 1024.0)));
/// ```
pub fn fp16_error_bound(dimensions: usize, action: f64, row: f64, exponents: i32) -> f64 {
    let terms = dimensions as f64;
    let tiny = TINY * libm::sqrt(terms);
    let (action_off, row_off) = (UNIT * action + tiny, UNIT * row + tiny);
    let rounded = action_off * row + action * row_off + action_off * row_off;
    let summed = terms * SUM * (action + action_off) * (row + row_off);
    // Lengths, and this sum itself, are rounded.
    (rounded + summed + reference_error_bound(dimensions, action, row, exponents)) * (1.0 + 1e-9)
}

/// The most by which the [`score`](crate::model::slate::score) times `2^exponents` differs from the exact one, for a scaled action
/// and a scaled row of at most these lengths: it is rounded D times, `2^-23 D A X`, and at the end of single precision's
/// range by `2^-150` each time.
///
/// ```
/// // The range's end matters to products that vanish, and to no others.
/// use recsim_core::world::error_bound::reference_error_bound;
/// assert_eq!([reference_error_bound(64, 1.0, 1.0, 0), reference_error_bound(1, 1e-30, 1e-30, 0)], [2.0_f64.powi(-17), 2.0_f64.powi(-150)]);
/// ```
pub fn reference_error_bound(dimensions: usize, action: f64, row: f64, exponents: i32) -> f64 {
    dimensions as f64 * (SCORE * action * row + libm::ldexp(1.0, exponents - 150))
}

/// 2^-11, 2^-24, 2^-21 and 2^-23: what is lost to rounding a half, to a half that is tiny, to a step of summing, and to a
/// step of the defined order.
const UNIT: f64 = 1.0 / 2048.0;
const TINY: f64 = 1.0 / 16_777_216.0;
const SUM: f64 = 1.0 / 2_097_152.0;
const SCORE: f64 = 1.0 / 8_388_608.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::{Key, Purpose, normal_pair};
    use crate::model::slate::score;
    use alloc::vec::Vec;

    #[test]
    fn exponents_bring_every_magnitude_into_one_octave() {
        for bits in [1, 2, 3, 0x7f_ffff, 0x80_0000, 0x3f80_0000, 0x3f7f_ffff, 0x7f7f_ffff] {
            let largest = f32::from_bits(bits);
            assert!((0.5..1.0).contains(&libm::ldexp(f64::from(largest), scale_exponent(largest))), "{largest:e}");
        }
    }

    #[test]
    fn no_score_by_halves_is_farther_off_than_the_margin() {
        for dimensions in [1, 2, 7, 64, 200] {
            for case in 0..2_000 {
                let (action, row) = (numbers(2 * case, dimensions), numbers(2 * case + 1, dimensions));
                let (off, margin) = off_and_margin(&action, &row);
                assert!(off <= margin, "{off:e} of {margin:e}: {action:?} {row:?}");
            }
        }
    }

    #[test]
    fn the_margin_is_no_larger_than_it_must_be() {
        // Just below the middle between two halves: every number loses as much as it can, all in one direction.
        let worst = [f32::from_bits((1.0 + 1.0 / 2048.0_f32).to_bits() - 1) / 2.0; 64];
        let (off, margin) = off_and_margin(&worst, &worst);
        assert!(off > 0.95 * margin, "{off:e} of {margin:e}");
        // Numbers so small that their products vanish in the defined order, though not between halves.
        let vanishing = [2.6e-23_f32; 3];
        let (off, margin) = off_and_margin(&vanishing, &vanishing);
        assert!(off > 0.9 * margin, "{off:e} of {margin:e}");
    }

    /// How far the score by halves is off, and the margin.
    fn off_and_margin(action: &[f32], row: &[f32]) -> (f64, f64) {
        let largest = |numbers: &[f32]| numbers.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let (action_exponent, row_exponent) = (scale_exponent(largest(action)), scale_exponent(largest(row)));
        let scaled = |numbers: &[f32], exponent| -> Vec<f64> {
            numbers.iter().map(|&x| libm::ldexp(f64::from(x), exponent)).collect()
        };
        let (a, x) = (scaled(action, action_exponent), scaled(row, row_exponent));
        let length = |numbers: &[f64]| libm::sqrt(numbers.iter().map(|x| x * x).sum());
        let halves: f64 = a.iter().zip(&x).map(|(&a, &x)| half(a) * half(x)).sum();
        let exponents = action_exponent + row_exponent;
        let due = libm::ldexp(f64::from(score(action, row)), exponents);
        ((halves - due).abs(), fp16_error_bound(action.len(), length(&a), length(&x), exponents))
    }

    /// To half precision, ties to even: 11 bits, and no bit below 2^-24.
    fn half(x: f64) -> f64 {
        let lowest = (libm::frexp(x).1 - 11).max(-24);
        libm::ldexp(libm::rint(libm::ldexp(x, -lowest)), lowest)
    }

    /// Numbers of one size, or of many.
    fn numbers(case: u64, dimensions: usize) -> Vec<f32> {
        let key = Key::new(case, Purpose::World);
        let size = [1.0, 1e-30, 1e15, f32::MIN_POSITIVE / 64.0][(key.bits() >> 7) as usize % 4];
        let spread = (key.bits() >> 9) % 2 * 20;
        let number = |d: usize| {
            let key = key.fold_in(d as u64);
            libm::ldexpf(normal_pair(key)[0] * size, -((key.bits() % (spread + 1)) as i32))
        };
        (0..dimensions).map(number).collect()
    }
}
