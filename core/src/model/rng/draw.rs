//! Uniform values, indices and normal values from a key (`docs/spec.md`, section 5.2, Draws).

use super::Key;

/// A uniform value in `[0, 1)`: the key's upper 24 bits times `2^-24`.
///
/// ```
/// use recsim_core::model::rng::{Key, Purpose, uniform};
/// let draw = uniform(Key::new(0, Purpose::Acceptance).fold_in(3));
/// assert!((0.0..1.0).contains(&draw) && (draw * 16_777_216.0).fract() == 0.0);
/// ```
#[inline]
pub fn uniform(key: Key) -> f32 {
    (key.bits() >> 40) as f32 * (1.0 / (1_u32 << 24) as f32)
}

/// A uniform index in `0..len`: `floor(key * len / 2^64)`, with a 128-bit product. Returns 0 if `len` is 0.
///
/// The probabilities of two indices differ by at most `2^-64` (Lemire, 2019, without the rejection).
///
/// ```
/// use recsim_core::model::rng::{Key, Purpose, index};
/// let key = Key::new(0, Purpose::ReplaySample);
/// assert!((0..100).all(|row| index(key.fold_in(row), 7) < 7));
/// ```
#[inline]
pub fn index(key: Key, len: u64) -> u64 {
    ((u128::from(key.bits()) * u128::from(len)) >> 64) as u64
}

/// Two independent standard normal values, each of magnitude below 6.7 (Box and Muller, 1958).
///
/// ```text
/// (r cos phi, r sin phi)
/// r   = sqrt(-2 ln((f32(key >> 32) + 1) * 2^-32))
/// phi = f32(key mod 2^32) * (2^-32 * f32(2 pi))
/// ```
///
/// All of it is `f32`. The logarithm, sine and cosine are those of `libm`; an implementation with others may differ
/// by a few ulps.
///
/// ```
/// use recsim_core::model::rng::{Key, Purpose, normal_pair};
/// let key = Key::new(0, Purpose::Exploration);
/// let sum: f64 = (0..10_000).flat_map(|n| normal_pair(key.fold_in(n))).map(f64::from).sum();
/// assert!((sum / 20_000.0).abs() < 0.03);
/// ```
#[inline]
pub fn normal_pair(key: Key) -> [f32; 2] {
    let (high, low) = ((key.bits() >> 32) as u32, key.bits() as u32);
    let radius = libm::sqrtf(-2.0 * libm::logf((high as f32 + 1.0) * TWO_POW_MINUS_32));
    let (sin, cos) = libm::sincosf(low as f32 * (TWO_POW_MINUS_32 * core::f32::consts::TAU));
    [radius * cos, radius * sin]
}

const TWO_POW_MINUS_32: f32 = 1.0 / 4_294_967_296.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_of_extreme_keys_are_in_range() {
        for bits in [0, 1, u64::MAX, u64::MAX << 32, u64::from(u32::MAX)] {
            assert!((0.0..1.0).contains(&uniform(Key(bits))));
            assert!(normal_pair(Key(bits)).iter().all(|x| x.abs() < 6.7));
            assert!(index(Key(bits), 7) < 7);
        }
    }
}
