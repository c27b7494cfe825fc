//! Randomness without state: every draw is a pure function of the run's seed and its coordinates.
//!
//! A [`Key`] names a stream; [`Key::with`] descends by one coordinate (purpose, episode, round, user, item...). Nothing
//! is carried from one draw to the next, so results do not depend on batches, threads, order or interruptions.

mod draw;
mod luck;

pub use draw::{index, normal_pair, uniform};
pub use luck::{Generator, Luck};

use rand_core::Rng;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::SeedableRng;

/// The name of a stream of draws, and at the same time 64 well-mixed bits.
///
/// ```
/// use recsim_core::rng::{Key, Purpose};
/// let round = Key::new(7, Purpose::Acceptance).with(1).with(20);
/// assert_eq!(round.with(12_345), round.with(12_345));
/// assert_ne!(round.with(12_345), round.with(12_346));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u64);

/// What a draw is for. The numbers are part of the results: a new purpose gets a new one, none is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// Does the user take the item? Coordinates: episode, round, user, item.
    Acceptance = 1,
    /// Noise on the actor's action. Coordinates: episode, round, user, pair of dimensions.
    Exploration = 2,
    /// Initial weights. Coordinates: network, parameter.
    Initial = 3,
    /// Which transitions an update learns from. Coordinates: update, row.
    Sample = 4,
    /// Noise on the target policy's action. Coordinates: update, row, pair of dimensions.
    TargetNoise = 5,
    /// Which units an update drops. Coordinates: update, network, layer, row, four columns.
    Dropout = 6,
    /// The generated world. Coordinates: table, row, ...
    World = 7,
    /// As [`Purpose::Acceptance`], in evaluations.
    EvaluationAcceptance = 8,
}

impl Key {
    /// The stream for one purpose in a run.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self(seed).with(purpose as u64)
    }

    /// The sub-stream at `coordinate`: output number `coordinate` of a SplitMix64 generator that starts at this key.
    #[inline]
    pub fn with(self, coordinate: u64) -> Self {
        let state = self.0.wrapping_add(coordinate.wrapping_mul(GOLDEN));
        Self(SplitMix64::seed_from_u64(state).next_u64())
    }

    /// The key as 64 uniform bits.
    #[inline]
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// SplitMix64's step: stepping `n` times is adding `n * GOLDEN`.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinate_is_a_position_in_splitmix64s_stream() {
        let mut stream = SplitMix64::seed_from_u64(42);
        for coordinate in 0..100 {
            assert_eq!(Key(42).with(coordinate).bits(), stream.next_u64());
        }
    }

    #[test]
    fn streams_keep_their_values() {
        let key = Key::new(0, Purpose::Acceptance).with(1).with(2).with(3).with(4);
        assert_eq!(key.bits(), PINNED);
    }

    const PINNED: u64 = 0;
}
