//! A batch of users on the device.

use std::ops::Range;

use crate::ffi::Device;
use crate::ffi::learning::ACTION_ROUND_BYTES;
use crate::ffi::simulation::{LONG_BYTES, TALLY_SUMS, WORD_BYTES};
use crate::launch_graph::LaunchGraph;
use crate::{CudaError, World};

/// A range of users with their beliefs and their last round, on the device. Matrices are row-major, one row for each
/// user.
pub struct Batch<D: Device> {
    /// Number of items of the world.
    pub(crate) num_items: usize,
    /// The users, by index in the world.
    pub(crate) users: Range<usize>,
    /// `[users, K + D]`, padded to whole tiles of the agent's inference
    pub(crate) state: D::DeviceBuffer,
    /// `[users, D]`
    pub(crate) action: D::DeviceBuffer,
    /// `[num_parts, users, rl_slots]`: ranks, scratch of the search
    pub(crate) lists: D::DeviceBuffer,
    /// Parts of the catalogue that are searched concurrently.
    pub(crate) num_parts: usize,
    /// `[users, slate_len]`; the items after the first `given` are filled in when users respond
    pub(crate) slate: D::DeviceBuffer,
    pub(crate) given: usize,
    /// `[users, slate_len]`
    pub(crate) accepted: D::DeviceBuffer,
    /// `[users, K]`, before the last round
    pub(crate) belief_before: D::DeviceBuffer,
    /// `[users, K]`
    pub(crate) belief: D::DeviceBuffer,
    /// `[users]`
    pub(crate) reward: D::DeviceBuffer,
    /// Sums over the users of the last round: `tally.cuh`, `Tally`.
    pub(crate) tally: D::DeviceBuffer,
    /// `td3.cu`, `ActionRound`.
    pub(crate) action_round: D::DeviceBuffer,
    /// Components of the policy's actions.
    pub(crate) num_components: u64,
    /// The launches of the agent's inference.
    pub(crate) inference: LaunchGraph<D>,
    /// The start of the last round, and the ends of its stages policy, matching and step.
    pub(crate) events: [Option<D::Event>; 4],
}

impl<D: Device> Batch<D> {
    /// Allocates a batch of `users` with their initial beliefs.
    ///
    /// # Errors
    /// The device has no memory.
    pub(crate) fn new(device: &D, world: &World<D>, users: Range<usize>) -> Result<Self, CudaError> {
        let (count, slate_len) = (users.len(), world.environment.slate_len);
        let (clusters, dimensions) = (world.shape.clusters, world.shape.dimensions);
        let num_parts = world.num_parts(device, count);
        let padded_count = count.next_multiple_of(device.tile_rows());
        let mut batch = Self {
            state: device.alloc_zeros("states", padded_count * (clusters + dimensions) * WORD_BYTES)?,
            action: device.alloc_zeros("actions", count * dimensions * WORD_BYTES)?,
            lists: device
                .alloc_zeros("search lists", num_parts * count * world.environment.rl_slots * LONG_BYTES)?,
            num_parts,
            slate: device.alloc_zeros("slates", count * slate_len * WORD_BYTES)?,
            given: slate_len,
            accepted: device.alloc_zeros("acceptances", count * slate_len)?,
            belief_before: device.alloc_zeros("beliefs", count * clusters * WORD_BYTES)?,
            belief: device.alloc_zeros("beliefs", count * clusters * WORD_BYTES)?,
            reward: device.alloc_zeros("rewards", count * WORD_BYTES)?,
            tally: device.alloc_zeros("tally", TALLY_SUMS * LONG_BYTES)?,
            action_round: device.alloc_zeros("action counts", ACTION_ROUND_BYTES)?,
            num_components: 0,
            inference: LaunchGraph::default(),
            events: [const { None }; 4],
            num_items: world.shape.items,
            users,
        };
        batch.reset(device, world)?;
        device.copy(&batch.belief, 0, &mut batch.belief_before, 0, count * clusters * WORD_BYTES)?;
        Ok(batch)
    }

    /// Sets the beliefs to their initial values.
    ///
    /// # Errors
    /// The copy cannot be started.
    pub(crate) fn reset(&mut self, device: &D, world: &World<D>) -> Result<(), CudaError> {
        let row_bytes = world.shape.clusters * WORD_BYTES;
        let bytes = self.users.len() * row_bytes;
        device.copy(&world.initial_belief, self.users.start * row_bytes, &mut self.belief, 0, bytes)
    }
}
