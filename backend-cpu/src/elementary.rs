//! Branch-free logarithm, sine, cosine, hyperbolic tangent and normal draws. In a [`vectorized`] loop they are computed
//! for as many values at a time as the instruction set has lanes.
//!
//! Each function reduces its argument to a range near 0 and evaluates a polynomial there. Results are within a few
//! units in the last place. Every operation rounds separately, so a value has one result in any lane.
//!
//! [`vectorized`]: crate::mlp::vectorized

/// `tanh(x)`.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    let square = x * x;
    let small = x + x * square * polynomial(square, TANH);
    let large = 1.0 - 2.0 / (exp(2.0 * if magnitude > TANH_ONE_FROM { TANH_ONE_FROM } else { magnitude }) + 1.0);
    if magnitude < TANH_POLYNOMIAL_BELOW { small } else { large.copysign(x) }
}

/// Fills two rows with standard normal values: column `n` has the pair that
/// [`normal_pair`](recsim_core::model::rng::normal_pair) gives for a key with the bits `bits[n]`, to a few units in the
/// last place.
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

/// The natural logarithm of a positive normal number.
#[inline(always)]
fn ln(x: f32) -> f32 {
    // x = 2^e * (1 + f), with 1 + f in [sqrt(1/2), sqrt(2)].
    let bits = x.to_bits() as i32;
    let e = (bits - core::f32::consts::FRAC_1_SQRT_2.to_bits() as i32) >> 23;
    let f = f32::from_bits((bits - (e << 23)) as u32) - 1.0;
    let square = f * f;
    let remainder = f * square * polynomial(f, LN) - 0.5 * square + e as f32 * LN_2_LOW;
    f + remainder + e as f32 * LN_2_HIGH
}

/// Sine and cosine of an angle in `[0, 2 pi]`.
#[inline(always)]
fn sin_cos(angle: f32) -> [f32; 2] {
    // angle = quarters * pi/2 + r, with |r| at most pi/4.
    let shifted = angle * core::f32::consts::FRAC_2_PI + TO_INTEGER;
    let (quarter, quarters) = (shifted.to_bits() & 3, shifted - TO_INTEGER);
    let r = angle - quarters * HALF_PI_HIGH - quarters * HALF_PI_MIDDLE - quarters * HALF_PI_LOW;
    let square = r * r;
    let sine = r + r * square * polynomial(square, SIN);
    let cosine = 1.0 - 0.5 * square + square * square * polynomial(square, COS);
    let is_odd = quarter & 1 == 1;
    let (first, second) = if is_odd { (cosine, sine) } else { (sine, cosine) };
    // Sign bits: sine is negative in the last two quadrants, cosine in the middle two.
    let with_sign = |x: f32, sign: u32| f32::from_bits(x.to_bits() ^ sign << 31);
    [with_sign(first, quarter >> 1), with_sign(second, (quarter ^ quarter >> 1) & 1)]
}

/// `e^x` for `x` in `[0, 88]`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // x = k ln 2 + r, with |r| at most (ln 2) / 2.
    let shifted = x * core::f32::consts::LOG2_E + TO_INTEGER;
    let k = shifted - TO_INTEGER;
    let r = x - k * LN_2_HIGH - k * LN_2_LOW;
    let exp_of_r = 1.0 + (r + r * r * polynomial(r, EXP));
    // 2^k: adding `TO_INTEGER` left k in the lowest bits.
    exp_of_r * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

/// `c0 + c1 x + c2 x² + ...`
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    coefficients.into_iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

const TWO_POW_MINUS_32: f32 = 1.0 / 4_294_967_296.0;
/// 1.5 * 2^23. Adding it to a value of magnitude at most 2^22 rounds that value to an integer, in the lowest bits of
/// the sum.
const TO_INTEGER: f32 = 12_582_912.0;
/// ln 2 in two parts. The first has few bits, so its products with small integers are exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// pi/2 in three parts, likewise.
const HALF_PI_HIGH: f32 = 1.570_312_5;
const HALF_PI_MIDDLE: f32 = 4.837_513e-4;
const HALF_PI_LOW: f32 = 7.549_79e-8;
/// Magnitude below which `tanh` is a polynomial.
const TANH_POLYNOMIAL_BELOW: f32 = 0.625;
/// Magnitude from which `tanh` is 1 to half a unit in the last place.
const TANH_ONE_FROM: f32 = 9.02;
// Least-squares fits at Chebyshev nodes:
/// (ln(1 + f) - f + f²/2) / f³ for 1 + f in [sqrt(1/2), sqrt(2)], to 3e-8.
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
/// (sin r - r) / r³ and (cos r - 1 + r²/2) / r⁴ in r², for |r| at most pi/4, to 2e-10.
const SIN: [f32; 4] = [-0.166_666_67, 0.008_333_332, -0.000_198_400_87, 2.724_996_4e-6];
const COS: [f32; 4] = [0.041_666_668, -0.001_388_888_8, 2.480_090_7e-5, -2.732_935_5e-7];
/// (e^r - 1 - r) / r² for |r| at most (ln 2) / 2, to 2e-9.
const EXP: [f32; 6] = [0.5, 0.166_666_67, 0.041_666_467, 0.008_333_298, 0.001_393_364_4, 0.000_198_992_76];
/// (tanh x - x) / x³ in x², for |x| below `TANH_POLYNOMIAL_BELOW`, to 2e-9.
const TANH: [f32; 6] =
    [-0.333_333_34, 0.133_333_04, -0.053_959_407, 0.021_769_961, -0.008_346_981, 0.002_295_841_2];

#[cfg(test)]
mod tests {
    use super::*;
    use recsim_core::model::rng::{self, Key, Purpose};

    /// Checks every 97th representable value of either sign.
    #[test]
    fn tanh_is_within_three_units_in_the_last_place() {
        let mut max_error = 0.0_f64;
        for bits in (0..f32::INFINITY.to_bits()).step_by(97) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let (actual, expected) = (tanh(x), f64::from(x).tanh());
                max_error = max_error.max(ulp_error(actual, expected));
                assert!(actual.abs() <= 1.0, "{x:e}");
            }
        }
        assert!(max_error <= 3.0, "{max_error}");
        assert!(tanh(f32::NAN).is_nan());
        assert_eq!([tanh(f32::INFINITY), tanh(-20.0)], [1.0, -1.0]);
    }

    #[test]
    fn normal_pairs_match_core_to_a_few_units_in_the_last_place() {
        let mut max_error = 0.0_f64;
        for n in 0..1_000_000 {
            let key = Key::new(3, Purpose::Exploration).fold_in(n);
            for (actual, expected) in normal_pair(key.bits()).into_iter().zip(rng::normal_pair(key)) {
                // Near 0 the error scales with the radius, not with the result.
                max_error = max_error.max(
                    f64::from((actual - expected).abs())
                        / (f64::from(expected.abs()) + 0.01)
                        / f64::from(f32::EPSILON),
                );
            }
        }
        assert!(max_error <= 4.0, "{max_error}");
    }

    #[test]
    fn ln_sin_and_cos_are_within_two_units_in_the_last_place() {
        for n in 1..=1_000_000_u32 {
            let x = n as f32 / 1e6;
            assert!(ulp_error(ln(x), f64::from(x).ln()) <= 2.0, "{x}");
            let angle = x * core::f32::consts::TAU;
            let [sine, cosine] = sin_cos(angle).map(f64::from);
            let error = (sine - f64::from(angle).sin()).abs().max((cosine - f64::from(angle).cos()).abs());
            assert!(error <= f64::from(f32::EPSILON), "{angle}: {error:e}");
        }
        assert_eq!([ln(1.0), ln(f32::from_bits(0x3f7f_ffff))], [0.0, -5.960_464_8e-8]);
    }

    /// The error of a result in units in the last place.
    fn ulp_error(actual: f32, expected: f64) -> f64 {
        let unit = f64::from((expected as f32).abs().max(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON) / 2.0;
        (f64::from(actual) - expected).abs() / unit
    }
}
