//! From bits to numbers.

use super::Key;

/// A uniform number in `[0, 1)`, a multiple of `2^-24`.
#[inline]
pub fn uniform(key: Key) -> f32 {
    (key.bits() >> 40) as f32 * (1.0 / (1_u32 << 24) as f32)
}

/// A uniform index in `0..length`. The bias is at most `length / 2^64`.
#[inline]
pub fn index(key: Key, length: u64) -> u64 {
    ((u128::from(key.bits()) * u128::from(length)) >> 64) as u64
}

/// Two independent standard normal numbers (Box and Muller, 1958): the upper 32 bits give the radius, at most 6.7, the
/// lower 32 the angle.
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
    fn extremes_are_finite_and_in_range() {
        for bits in [0, 1, u64::MAX, u64::MAX << 32, u64::from(u32::MAX)] {
            assert!((0.0..1.0).contains(&uniform(Key(bits))));
            assert!(normal_pair(Key(bits)).iter().all(|x| x.abs() < 6.7));
            assert!(index(Key(bits), 7) < 7);
        }
    }
}
