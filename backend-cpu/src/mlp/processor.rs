//! The units of the processor that networks are computed with.

use pulp::Arch;

use super::tile_matmul::TileMultiplier;
use crate::InstructionSet;
use crate::bf16_block::BLOCK_LEN;

/// What networks are computed with: vector units, and a matrix unit if there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processor {
    /// The vector instruction set, which the machine is proven to have.
    pub(crate) arch: Arch,
    /// The unit that multiplies tiles, if the instruction set has one.
    pub(crate) multiplier: Option<TileMultiplier>,
}

impl Processor {
    /// The units of an instruction set; `None` if this machine does not have it.
    pub(crate) fn new(instruction_set: InstructionSet) -> Option<Self> {
        Some(Self { arch: instruction_set.arch()?, multiplier: TileMultiplier::new(instruction_set) })
    }

    /// The number of features in a tile of training mode, for a layer of `layer_features`. It is a multiple of 4, as
    /// Dropout's draws require. `is_alone` tells that no other network is computed concurrently.
    ///
    /// Smaller tiles would occupy more threads, but every tile packs the layer's input again. That is worth it only if
    /// no other network is computed concurrently.
    pub(super) fn tile_features(self, layer_features: usize, is_alone: bool) -> usize {
        match self.multiplier {
            // Fixed, because the `gemm` crate sums in another order if there are few features.
            None => 128,
            Some(_) if is_alone => layer_features.div_ceil(2).next_multiple_of(BLOCK_LEN).min(256),
            Some(_) => 256,
        }
    }
}
