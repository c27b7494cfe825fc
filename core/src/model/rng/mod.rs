//! Random draws as pure functions of a seed, a purpose and coordinates (`docs/spec.md`, section 5, Random draws and
//! reproducibility).
//!
//! A [`Key`] names a stream of draws. [`Key::fold_in`] derives the key of a sub-stream from one coordinate, such as
//! the episode, the round, the user or the item. There is no generator state, so a draw does not depend on batches,
//! threads, order or interruptions.
//!
//! | item | contents |
//! |---|---|
//! | [`Key`], [`Purpose`] | the name of a stream, and what its draws are for |
//! | [`uniform`], [`index`], [`normal_pair`] | a value from a key |
//! | [`UniformSource`] | the draws of a user's step: a key, or any `rand_core` generator |

mod draw;
mod uniform_source;

pub use draw::{index, normal_pair, uniform};
pub use uniform_source::UniformSource;

use rand_core::Rng;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::SeedableRng;

/// The name of a stream of random draws. It is also 64 uniform bits, from which [`uniform`], [`index`] and
/// [`normal_pair`] compute a value.
///
/// ```
/// use recsim_core::model::rng::{Key, Purpose};
/// let (seed, episode, round, user) = (7, 1, 20, 12_345);
/// let round = Key::new(seed, Purpose::Acceptance).fold_in(episode).fold_in(round);
/// assert_eq!(round.fold_in(user), round.fold_in(user));
/// assert_ne!(round.fold_in(user), round.fold_in(user + 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u64);

/// What a draw is for. The coordinates are those that follow in [`Key::fold_in`], in this order.
///
/// Results depend on the values, so they never change: a new purpose has a new value, and no value is used again.
/// Episodes, rounds and updates count from 1, everything else from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// Whether a user accepts an item. Coordinates: episode, round, user, item.
    Acceptance = 1,
    /// Noise on the actor's action while collecting. Coordinates: episode, round, user, pair of dimensions.
    Exploration = 2,
    /// Initial weights. Coordinates: network, index in the parameters.
    InitialWeights = 3,
    /// Which transitions an update samples. Coordinates: update, row of the minibatch.
    ReplaySample = 4,
    /// Noise on the target policy's action. Coordinates: update, row, pair of dimensions.
    TargetNoise = 5,
    /// Which units dropout drops. Coordinates: update, network, hidden layer, row, unit / 4.
    Dropout = 6,
    /// A synthetic world. Coordinates: array (0 centres, 1 order of items, 2 items, 3 users), row, ...
    World = 7,
    /// Whether a user accepts an item in an evaluation. Coordinates: as of [`Purpose::Acceptance`].
    EvaluationAcceptance = 8,
    /// Whether a user explores an item; with one more coordinate, 1, which item. Coordinates: episode, round, user.
    ExplorationItem = 9,
    /// The draws of a policy under evaluation. Coordinates: episode, round, user, draw.
    EvaluationPolicy = 10,
    /// Which seeds and users a bootstrap resample contains. Coordinates: resample, 0 for seeds or 1 for users, draw.
    Resample = 11,
}

impl Key {
    /// The stream of one purpose in the run with this seed: `fold_in(seed, purpose)`.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self(seed).fold_in(purpose as u64)
    }

    /// The sub-stream at `coordinate`, like `jax.random.fold_in`.
    ///
    /// It is output number `coordinate`, counted from 0, of the SplitMix64 generator (Steele, Lea and Flood, 2014)
    /// whose state starts at this key. Distinct coordinates of one key give distinct keys.
    #[inline]
    pub fn fold_in(self, coordinate: u64) -> Self {
        let state = self.0.wrapping_add(coordinate.wrapping_mul(GOLDEN));
        Self(SplitMix64::seed_from_u64(state).next_u64())
    }

    /// The key's 64 uniform bits.
    #[inline]
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// SplitMix64's increment: after `n` steps its state has grown by `n * GOLDEN`, modulo `2^64`.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fold_in_is_an_output_of_splitmix64() {
        let mut stream = SplitMix64::seed_from_u64(42);
        for coordinate in 0..100 {
            assert_eq!(Key(42).fold_in(coordinate).bits(), stream.next_u64());
        }
    }

    #[test]
    fn draws_have_pinned_bits() {
        let draws = PURPOSES.map(|purpose| {
            let key = Key::new(1, purpose).fold_in(2).fold_in(3).fold_in(4);
            let [cos, sin] = normal_pair(key);
            (key.bits(), uniform(key).to_bits(), index(key, 19_130), cos.to_bits(), sin.to_bits())
        });
        assert_eq!(draws, PINNED);
    }

    const PURPOSES: [Purpose; 11] = [
        Purpose::Acceptance,
        Purpose::Exploration,
        Purpose::InitialWeights,
        Purpose::ReplaySample,
        Purpose::TargetNoise,
        Purpose::Dropout,
        Purpose::World,
        Purpose::EvaluationAcceptance,
        Purpose::ExplorationItem,
        Purpose::EvaluationPolicy,
        Purpose::Resample,
    ];

    /// For each purpose: the key's bits, the uniform value's bits, an index, and the bits of both normal values.
    /// Results depend on them.
    const PINNED: [(u64, u32, u64, u32, u32); 11] = [
        (0xd7b6_0bfb_cc72_fa6b, 0x3f57_b60b, 16_119, 0x3e34_442c, 0xbf0e_e024),
        (0xbfd1_ace2_79b0_4185, 0x3f3f_d1ac, 14_333, 0xbf40_2c0c, 0x3df0_1307),
        (0xb5de_3e04_abfd_d628, 0x3f35_de3e, 13_590, 0xbec7_a872, 0xbf3a_ac7e),
        (0xebc8_ed46_97be_2a79, 0x3f6b_c8ed, 17_619, 0xbead_6553, 0xbe64_90dc),
        (0xec55_967f_5ed5_7128, 0x3f6c_5596, 17_660, 0xbe8c_8cd0, 0x3e94_d5ec),
        (0x9e9c_2aad_de47_080f, 0x3f1e_9c2a, 11_852, 0x3f29_7b8a, 0xbf38_7475),
        (0x8874_23ac_c776_1a9e, 0x3f08_7423, 10_196, 0x3e51_2fd6, 0xbf8d_2fc0),
        (0x033e_88f1_d02e_886a, 0x3c4f_a200, 242, 0x3f92_5783, 0xc02e_71e1),
        (0x16f7_2e94_b407_dee2, 0x3db7_b970, 1_716, 0xbf22_c8b5, 0xc006_85b3),
        (0xbaa4_f875_4a01_234c, 0x3f3a_a4f8, 13_947, 0xbe45_e102, 0x3f45_671c),
        (0xa361_abd9_2c0e_e0dc, 0x3f23_61ab, 12_208, 0x3ee4_208a, 0x3f56_21cf),
    ];
}
