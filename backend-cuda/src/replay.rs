//! The ring of transitions on the device.

use std::ops::Range;

use bytemuck::Pod;
use recsim_core::backend::Pending;
use recsim_core::td3::replay::{InsertSpan, ReplayIndex, Transitions};
use recsim_core::world::WorldShape;

use crate::ffi::Machine;
use crate::ffi::kernels::WORD;
use crate::table::later;
use crate::{CudaError, World};

/// Transitions, oldest overwritten first. A user's embedding is not stored again: the world has it.
pub struct Replay<M: Machine> {
    /// The world's.
    shape: WorldShape,
    ring: ReplayIndex,
    /// `[capacity]`
    pub(crate) user: M::Memory,
    /// `[capacity, K]`
    pub(crate) belief_before: M::Memory,
    /// `[capacity, K]`
    pub(crate) belief: M::Memory,
    /// `[capacity, D]`
    pub(crate) action: M::Memory,
    /// `[capacity]`
    pub(crate) reward: M::Memory,
}

impl<M: Machine> Replay<M> {
    /// A ring with room for all it can hold, as a device's memory is not taken bit by bit.
    pub(crate) fn new(
        machine: &M,
        world: &World<M>,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Self, CudaError> {
        fn column<M: Machine, T: Pod>(
            machine: &M,
            rows: usize,
            width: usize,
            span: &InsertSpan,
            transitions: &[T],
        ) -> Result<M::Memory, CudaError> {
            let mut column = machine.zeros("replay ring", rows * width * WORD)?;
            let mut held = vec![T::zeroed(); transitions.len().min(rows * width)];
            span.write(transitions, &mut held, width);
            machine.write(&mut column, bytemuck::cast_slice(&held))?;
            Ok(column)
        }
        let (clusters, dimensions) = (world.shape.clusters, world.shape.dimensions);
        // The kernels look users up without asking.
        let users = transitions.user.iter().all(|&user| (user as usize) < world.shape.users);
        assert!(users, "transitions are of users of the world");
        let mut ring = ReplayIndex::before_inserting(capacity, transitions);
        let span = ring.insert(transitions.user.len());
        Ok(Self {
            shape: world.shape,
            ring,
            user: column(machine, capacity, 1, &span, &transitions.user)?,
            belief_before: column(machine, capacity, clusters, &span, &transitions.belief_before)?,
            belief: column(machine, capacity, clusters, &span, &transitions.belief)?,
            action: column(machine, capacity, dimensions, &span, &transitions.action)?,
            reward: column(machine, capacity, 1, &span, &transitions.reward)?,
        })
    }

    /// Errs, loudly, if it is a ring of another world's transitions.
    pub(crate) fn suits(&self, shape: &WorldShape) {
        assert!(self.shape == *shape, "a ring of this world's transitions");
    }

    /// Transitions that it can hold.
    pub(crate) fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// Transitions that it holds.
    pub(crate) fn held(&self) -> usize {
        self.ring.len()
    }

    /// Makes room for `count` transitions and says where they go.
    pub(crate) fn push(&mut self, count: usize) -> InsertSpan {
        self.ring.insert(count)
    }

    /// The last `count` of them, on their way.
    pub(crate) fn transitions(
        &self,
        machine: &M,
        count: usize,
    ) -> Result<Pending<Transitions, CudaError>, CudaError> {
        fn column<M: Machine, T: Pod + Send>(
            machine: &M,
            column: &M::Memory,
            places: &[Range<usize>; 2],
            capacity: usize,
        ) -> Result<Pending<Vec<T>, CudaError>, CudaError> {
            let width = machine.length(column) / WORD / capacity;
            let range = |places: &Range<usize>| places.start * width..places.end * width;
            let [sooner, after] = places;
            let (sooner, after) = (later(machine, column, range(sooner))?, later(machine, column, range(after))?);
            Ok(Pending::new(|| Ok([sooner.wait()?, after.wait()?].concat())))
        }
        let (places, capacity, brought) =
            (self.ring.last_ranges(count), self.ring.capacity(), self.ring.inserted());
        let floats = |table: &M::Memory| column::<M, f32>(machine, table, &places, capacity);
        let user = column::<M, u32>(machine, &self.user, &places, capacity)?;
        let (belief_before, belief) = (floats(&self.belief_before)?, floats(&self.belief)?);
        let (action, reward) = (floats(&self.action)?, floats(&self.reward)?);
        Ok(Pending::new(move || {
            Ok(Transitions {
                inserted: brought,
                user: user.wait()?,
                belief_before: belief_before.wait()?,
                belief: belief.wait()?,
                action: action.wait()?,
                reward: reward.wait()?,
            })
        }))
    }
}
