//! The kernels of the agent's side as functions that check their buffers. Kernels write to buffers through shared
//! references: device memory is not the host's.

mod adam;
mod mlp;
mod rerank;
mod td3;

pub(crate) use rerank::CandidateCall;

use super::Device;
use super::simulation::{LONG_BYTES, WORD_BYTES, u32_bytes};
use crate::packed::NetworkGroup;

/// A device, and the modules of learning.
pub(crate) struct LearningKernels<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) mlp: &'a D::Module,
    pub(crate) td3: &'a D::Module,
    pub(crate) adam: &'a D::Module,
}

/// A layer of a group of networks, for a number of rows.
pub(crate) struct LayerCall<'a, D: Device> {
    pub(crate) group: &'a NetworkGroup<'a>,
    pub(crate) depth: usize,
    pub(crate) rows: usize,
    /// All networks, packed.
    pub(crate) weights: &'a D::DeviceBuffer,
}

/// The results of a layer's forward pass that its backward pass needs.
pub(crate) struct SavedForward<'a, D: Device> {
    /// Factor of the units that dropout kept.
    pub(crate) dropout_scale: f32,
    /// Means and inverse standard deviations of the batch; `None` after a pass in evaluation mode.
    pub(crate) batch_stats: Option<&'a D::DeviceBuffer>,
    pub(crate) pre_bias: &'a D::DeviceBuffer,
    pub(crate) output: &'a D::DeviceBuffer,
}

/// The critics' values of each row without their bias, `[2, rows]`, and the packed weights with the bias.
pub(crate) struct CriticValues<'a, D: Device> {
    pub(crate) pre_bias: &'a D::DeviceBuffer,
    pub(crate) weights: &'a D::DeviceBuffer,
}

/// The actor's output of each row without its bias, `[rows, D]`, and the packed weights with the bias.
pub(crate) struct ActorOutput<'a, D: Device> {
    pub(crate) pre_bias: &'a D::DeviceBuffer,
    pub(crate) weights: &'a D::DeviceBuffer,
}

/// Bytes of `td3.cu`, `ActionRound`.
pub(crate) const ACTION_ROUND_BYTES: usize = 32;
/// Bytes of `update.cuh`, `UpdateParams`.
pub(crate) const UPDATE_PARAMS_BYTES: usize = 40;
/// Bytes of `update.cuh`, `UpdateReport`.
pub(crate) const UPDATE_REPORT_BYTES: usize = 56;
/// Maximum number of rows of a block of `batch_statistics`.
const CHUNK_ROWS: usize = 1024;
/// Columns of a block of `batch_statistics`.
const BLOCK_COLUMNS: usize = 32;

impl<D: Device> LearningKernels<'_, D> {
    /// The address of the last layer's bias of a group's first network.
    fn last_bias(&self, group: &NetworkGroup<'_>, weights: &D::DeviceBuffer) -> [u8; 8] {
        let last = &group.layout.layers()[group.layout.layers().len() - 1].bias;
        let range = group.parameters();
        self.elements(weights, range.start + last.start, range.len() - last.start)
    }

    fn range(&self, buffer: &D::DeviceBuffer, range: std::ops::Range<usize>) -> [u8; 8] {
        self.elements(buffer, range.start, range.len())
    }

    /// The address of `count` elements from `offset` on. Panics if the buffer ends before.
    fn elements(&self, buffer: &D::DeviceBuffer, offset: usize, count: usize) -> [u8; 8] {
        let (actual, needed) = (self.device.buffer_len(buffer), (offset + count) * WORD_BYTES);
        assert!(actual >= needed, "a buffer of {actual} bytes where {needed} are needed");
        (self.device.address(buffer) + (offset * WORD_BYTES) as u64).to_ne_bytes()
    }

    fn bytes(&self, buffer: &D::DeviceBuffer, bytes: usize) -> [u8; 8] {
        self.elements(buffer, 0, bytes.div_ceil(WORD_BYTES))
    }

    /// Blocks for work that is distributed over blocks row by row.
    fn blocks_for_rows(&self, rows: usize) -> usize {
        rows.clamp(1, MAX_WAVES * self.device.concurrent_blocks())
    }

    /// Blocks of 256 threads for work that is distributed over threads element by element.
    fn blocks_for_elements(&self, elements: usize) -> usize {
        self.blocks_for_rows(elements.div_ceil(256))
    }
}

/// Maximum number of elements of the partial sums over chunks of rows.
pub(crate) fn partial_len(group: &NetworkGroup<'_>, rows: usize, width: usize) -> usize {
    2 * group.num_nets * rows.div_ceil(CHUNK_ROWS) * width
}

/// Bytes of the partial sums over blocks.
pub(crate) fn partial_bytes<D: Device>(device: &D) -> usize {
    2 * MAX_WAVES * device.concurrent_blocks() * LONG_BYTES
}

/// Number of block counters of a layer of this width.
pub(crate) fn num_counters(group: &NetworkGroup<'_>, width: usize) -> usize {
    group.num_nets * width.div_ceil(BLOCK_COLUMNS)
}

/// Maximum number of blocks of a kernel, in units of the concurrent blocks.
const MAX_WAVES: usize = 4;

/// A kernel's `unsigned long long`.
fn u64_bytes(value: usize) -> [u8; 8] {
    (value as u64).to_ne_bytes()
}
