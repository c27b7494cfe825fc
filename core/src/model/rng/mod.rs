//! Randomness without state: every draw is a pure function of the run's seed and its coordinates.
//!
//! A [`Key`] names a stream; [`Key::fold_in`] descends by one coordinate (purpose, episode, round, user, item...). Nothing
//! is carried from one draw to the next, so results do not depend on batches, threads, order or interruptions.

mod draw;
mod uniform_source;

pub use draw::{index, normal_pair, uniform};
pub use uniform_source::UniformSource;

use rand_core::Rng;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::SeedableRng;

/// The name of a stream of draws, and at the same time 64 well-mixed bits.
///
/// ```
/// use recsim_core::model::rng::{Key, Purpose};
/// let round = Key::new(7, Purpose::Acceptance).fold_in(1).fold_in(20);
/// assert_eq!(round.fold_in(12_345), round.fold_in(12_345));
/// assert_ne!(round.fold_in(12_345), round.fold_in(12_346));
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
    InitialWeights = 3,
    /// Which transitions an update learns from. Coordinates: update, row.
    ReplaySample = 4,
    /// Noise on the target policy's action. Coordinates: update, row, pair of dimensions.
    TargetNoise = 5,
    /// Which units an update drops. Coordinates: update, network, layer, row, four columns.
    Dropout = 6,
    /// The generated world. Coordinates: table, row, ...
    World = 7,
    /// As [`Purpose::Acceptance`], in evaluations.
    EvaluationAcceptance = 8,
    /// Does the user explore an item, and which? Coordinates: episode, round, user.
    ExplorationItem = 9,
    /// What a policy under evaluation draws. Coordinates: episode, round, user, draw.
    EvaluationPolicy = 10,
    /// Which seeds and users a resample of an evaluation holds. Coordinates: resample, seeds or users, draw.
    Resample = 11,
}

impl Key {
    /// The stream for one purpose in a run.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self(seed).fold_in(purpose as u64)
    }

    /// The sub-stream at `coordinate`: output number `coordinate` of a SplitMix64 generator that starts at this key.
    #[inline]
    pub fn fold_in(self, coordinate: u64) -> Self {
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
            assert_eq!(Key(42).fold_in(coordinate).bits(), stream.next_u64());
        }
    }

    #[test]
    fn streams_keep_their_values() {
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

    /// Bits, uniform, index, and the pair of normals, each as bits: what results rest on, and so must not change.
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
