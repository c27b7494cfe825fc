//! The replay buffer on the device.

use std::ops::Range;

use bytemuck::Pod;
use recsim_core::backend::Pending;
use recsim_core::td3::replay::{InsertSpan, ReplayIndex, Transitions};
use recsim_core::world::WorldShape;

use crate::ffi::Device;
use crate::ffi::simulation::WORD_BYTES;
use crate::transfer::download_pending;
use crate::{CudaError, World};

/// The replay buffer: the oldest transitions are overwritten first. Users' embeddings are not stored, because the
/// world has them.
pub struct Replay<D: Device> {
    /// The world's.
    shape: WorldShape,
    index: ReplayIndex,
    /// `[capacity]`
    pub(crate) user: D::DeviceBuffer,
    /// `[capacity, K]`
    pub(crate) belief_before: D::DeviceBuffer,
    /// `[capacity, K]`
    pub(crate) belief: D::DeviceBuffer,
    /// `[capacity, D]`
    pub(crate) action: D::DeviceBuffer,
    /// `[capacity]`
    pub(crate) reward: D::DeviceBuffer,
}

impl<D: Device> Replay<D> {
    /// Allocates a replay buffer of its full capacity, with `transitions` in it.
    ///
    /// # Errors
    /// The device has no memory, or a copy fails.
    ///
    /// # Panics
    /// If a transition is of a user outside the world.
    pub(crate) fn new(
        device: &D,
        world: &World<D>,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Self, CudaError> {
        fn column<D: Device, T: Pod>(
            device: &D,
            rows: usize,
            width: usize,
            span: &InsertSpan,
            transitions: &[T],
        ) -> Result<D::DeviceBuffer, CudaError> {
            let mut column = device.alloc_zeros("replay buffer", rows * width * WORD_BYTES)?;
            let mut values = vec![T::zeroed(); transitions.len().min(rows * width)];
            span.write(transitions, &mut values, width);
            device.write(&mut column, bytemuck::cast_slice(&values))?;
            Ok(column)
        }
        let (clusters, dimensions) = (world.shape.clusters, world.shape.dimensions);
        // The kernels do not check users.
        let are_users_valid = transitions.user.iter().all(|&user| (user as usize) < world.shape.users);
        assert!(are_users_valid, "transitions are of users of the world");
        let mut index = ReplayIndex::before_inserting(capacity, transitions);
        let span = index.insert(transitions.user.len());
        Ok(Self {
            shape: world.shape,
            index,
            user: column(device, capacity, 1, &span, &transitions.user)?,
            belief_before: column(device, capacity, clusters, &span, &transitions.belief_before)?,
            belief: column(device, capacity, clusters, &span, &transitions.belief)?,
            action: column(device, capacity, dimensions, &span, &transitions.action)?,
            reward: column(device, capacity, 1, &span, &transitions.reward)?,
        })
    }

    /// Panics if the transitions are of another world.
    pub(crate) fn assert_world(&self, shape: &WorldShape) {
        assert!(self.shape == *shape, "the replay buffer contains this world's transitions");
    }

    /// Maximum number of transitions.
    pub(crate) fn capacity(&self) -> usize {
        self.index.capacity()
    }

    /// Number of transitions.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Reserves rows for `count` transitions, and returns which.
    pub(crate) fn insert(&mut self, count: usize) -> InsertSpan {
        self.index.insert(count)
    }

    /// The last `count` transitions. Does not wait for the copy.
    ///
    /// # Errors
    /// The device has no memory for the copy, or the copy cannot be started.
    pub(crate) fn transitions(
        &self,
        device: &D,
        count: usize,
    ) -> Result<Pending<Transitions, CudaError>, CudaError> {
        fn column<D: Device, T: Pod + Send>(
            device: &D,
            column: &D::DeviceBuffer,
            ranges: &[Range<usize>; 2],
            capacity: usize,
        ) -> Result<Pending<Vec<T>, CudaError>, CudaError> {
            let width = device.buffer_len(column) / WORD_BYTES / capacity;
            let elements = |rows: &Range<usize>| rows.start * width..rows.end * width;
            let [older, newer] = ranges;
            let older = download_pending(device, column, elements(older))?;
            let newer = download_pending(device, column, elements(newer))?;
            Ok(Pending::new(|| Ok([older.wait()?, newer.wait()?].concat())))
        }
        let (ranges, capacity) = (self.index.last_ranges(count), self.index.capacity());
        let inserted = self.index.inserted();
        let floats = |buffer: &D::DeviceBuffer| column::<D, f32>(device, buffer, &ranges, capacity);
        let user = column::<D, u32>(device, &self.user, &ranges, capacity)?;
        let (belief_before, belief) = (floats(&self.belief_before)?, floats(&self.belief)?);
        let (action, reward) = (floats(&self.action)?, floats(&self.reward)?);
        Ok(Pending::new(move || {
            Ok(Transitions {
                inserted,
                user: user.wait()?,
                belief_before: belief_before.wait()?,
                belief: belief.wait()?,
                action: action.wait()?,
                reward: reward.wait()?,
            })
        }))
    }
}
