//! Logarithm, sine, cosine, hyperbolic tangent and normal draws without a branch, so that in a [`vectorised`] loop they
//! are computed for as many numbers at a time as the instruction set has lanes.
//!
//! Polynomials near 0, and what brings a number there: each result is within a few units of its last place. Every
//! operation rounds by itself, so that a number has one result in whatever lane.
//!
//! [`vectorised`]: crate::mlp::vectorised

/// `tanh(x)`.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let size = x.abs();
    let square = x * x;
    let near = x + x * square * polynomial(square, TANH);
    let far = 1.0 - 2.0 / (exp(2.0 * if size > ONE_FROM { ONE_FROM } else { size }) + 1.0);
    if size < NEAR { near } else { far.copysign(x) }
}

/// Standard normal numbers in two rows: column `n` is what [`normal_pair`](recsim_core::model::rng::normal_pair) makes of a key
/// with the bits `bits[n]`.
#[inline(always)]
pub(crate) fn normal_pairs(bits: &[u64], [first, second]: [&mut [f32]; 2]) {
    for (&bits, (first, second)) in bits.iter().zip(first.iter_mut().zip(second)) {
        [*first, *second] = normal_pair(bits);
    }
}

#[inline(always)]
fn normal_pair(bits: u64) -> [f32; 2] {
    let (high, low) = ((bits >> 32) as u32, bits as u32);
    let radius = (-2.0 * ln((high as f32 + 1.0) * TWO_POW_MINUS_32)).sqrt();
    let [sine, cosine] = sin_cos(low as f32 * (TWO_POW_MINUS_32 * core::f32::consts::TAU));
    [radius * cosine, radius * sine]
}

/// The natural logarithm of a normal number above 0.
#[inline(always)]
fn ln(x: f32) -> f32 {
    // x = 2^e * (1 + f), 1 + f from the root of 1/2 to that of 2.
    let bits = x.to_bits() as i32;
    let e = (bits - core::f32::consts::FRAC_1_SQRT_2.to_bits() as i32) >> 23;
    let f = f32::from_bits((bits - (e << 23)) as u32) - 1.0;
    let square = f * f;
    let rest = f * square * polynomial(f, LN) - 0.5 * square + e as f32 * LN_2_LOW;
    f + rest + e as f32 * LN_2_HIGH
}

/// Sine and cosine of an angle from 0 to a turn.
#[inline(always)]
fn sin_cos(angle: f32) -> [f32; 2] {
    // angle = quarters * pi/2 + r, r within pi/4.
    let sum = angle * core::f32::consts::FRAC_2_PI + TO_WHOLE;
    let (quarter, quarters) = (sum.to_bits() & 3, sum - TO_WHOLE);
    let r = angle - quarters * QUARTER_HIGH - quarters * QUARTER_MIDDLE - quarters * QUARTER_LOW;
    let square = r * r;
    let sine = r + r * square * polynomial(square, SIN);
    let cosine = 1.0 - 0.5 * square + square * square * polynomial(square, COS);
    let turned = quarter & 1 == 1;
    let (first, second) = if turned { (cosine, sine) } else { (sine, cosine) };
    // The signs' bits: sine is below 0 in the last two quarters, cosine in the two between.
    let signed = |x: f32, sign: u32| f32::from_bits(x.to_bits() ^ sign << 31);
    [signed(first, quarter >> 1), signed(second, (quarter ^ quarter >> 1) & 1)]
}

/// `e^x` for `x` from 0 to 88.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // x = k ln 2 + r, r within half of ln 2.
    let sum = x * core::f32::consts::LOG2_E + TO_WHOLE;
    let k = sum - TO_WHOLE;
    let r = x - k * LN_2_HIGH - k * LN_2_LOW;
    let of_rest = 1.0 + (r + r * r * polynomial(r, EXP));
    // 2^k: what was added left k in the lowest bits.
    of_rest * f32::from_bits((sum.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

/// `c0 + c1 x + c2 x² + ...`
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    coefficients.into_iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

const TWO_POW_MINUS_32: f32 = 1.0 / 4_294_967_296.0;
/// 1.5 * 2^23: a number of at most 2^22 that this is added to is rounded to a whole one, which stands in the lowest bits.
const TO_WHOLE: f32 = 12_582_912.0;
/// ln 2 in two: the first has few bits, so that its products with small whole numbers are exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// A quarter of a turn in three, likewise.
const QUARTER_HIGH: f32 = 1.570_312_5;
const QUARTER_MIDDLE: f32 = 4.837_513e-4;
const QUARTER_LOW: f32 = 7.549_79e-8;
/// Below it `tanh` is a polynomial.
const NEAR: f32 = 0.625;
/// From there on `tanh` is 1 to half a unit of the last place.
const ONE_FROM: f32 = 9.02;
// By least squares over Chebyshev's points:
/// (ln(1 + f) - f + f²/2) / f³ from the root of 1/2 to that of 2: to 3e-8
const LN: [f32; 9] = [
    0.333_333_3,
    -0.249_999_9,
    0.200_007_08,
    -0.166_684_8,
    0.142_499_37,
    -0.124_110_505,
    0.116_615_11,
    -0.115_712_01,
    0.071_497_54,
];
/// (sin r - r) / r³ and (cos r - 1 + r²/2) / r⁴ by r², within an eighth of a turn: to 2e-10
const SIN: [f32; 4] = [-0.166_666_67, 0.008_333_332, -0.000_198_400_87, 2.724_996_4e-6];
const COS: [f32; 4] = [0.041_666_668, -0.001_388_888_8, 2.480_090_7e-5, -2.732_935_5e-7];
/// (e^r - 1 - r) / r² within half of ln 2: to 2e-9
const EXP: [f32; 6] = [0.5, 0.166_666_67, 0.041_666_467, 0.008_333_298, 0.001_393_364_4, 0.000_198_992_76];
/// (tanh x - x) / x³ by x², below `NEAR`: to 2e-9
const TANH: [f32; 6] =
    [-0.333_333_34, 0.133_333_04, -0.053_959_407, 0.021_769_961, -0.008_346_981, 0.002_295_841_2];

#[cfg(test)]
mod tests {
    use super::*;
    use recsim_core::model::rng::{self, Key, Purpose};

    /// Over every 97th number of either sign.
    #[test]
    fn tanh_is_within_three_units_of_its_last_place() {
        let mut worst = 0.0_f64;
        for bits in (0..f32::INFINITY.to_bits()).step_by(97) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let (found, due) = (tanh(x), f64::from(x).tanh());
                worst = worst.max(units_off(found, due));
                assert!(found.abs() <= 1.0, "{x:e}");
            }
        }
        assert!(worst <= 3.0, "{worst}");
        assert!(tanh(f32::NAN).is_nan());
        assert_eq!([tanh(f32::INFINITY), tanh(-20.0)], [1.0, -1.0]);
    }

    #[test]
    fn normal_pairs_are_the_contracts_to_a_few_units() {
        let mut worst = 0.0_f64;
        for n in 0..1_000_000 {
            let key = Key::new(3, Purpose::Exploration).fold_in(n);
            for (found, due) in normal_pair(key.bits()).into_iter().zip(rng::normal_pair(key)) {
                // Near 0 it is the radius's size that rounding goes by.
                worst = worst
                    .max(f64::from((found - due).abs()) / (f64::from(due.abs()) + 0.01) / f64::from(f32::EPSILON));
            }
        }
        assert!(worst <= 4.0, "{worst}");
    }

    #[test]
    fn logarithms_sines_and_cosines_are_within_two_units_of_one() {
        for n in 1..=1_000_000_u32 {
            let x = n as f32 / 1e6;
            assert!(units_off(ln(x), f64::from(x).ln()) <= 2.0, "{x}");
            let angle = x * core::f32::consts::TAU;
            let [sine, cosine] = sin_cos(angle).map(f64::from);
            let off = (sine - f64::from(angle).sin()).abs().max((cosine - f64::from(angle).cos()).abs());
            assert!(off <= f64::from(f32::EPSILON), "{angle}: {off:e}");
        }
        assert_eq!([ln(1.0), ln(f32::from_bits(0x3f7f_ffff))], [0.0, -5.960_464_8e-8]);
    }

    /// How far a result is off, in units of its last place.
    fn units_off(found: f32, due: f64) -> f64 {
        let unit = f64::from((due as f32).abs().max(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON) / 2.0;
        (f64::from(found) - due).abs() / unit
    }
}
