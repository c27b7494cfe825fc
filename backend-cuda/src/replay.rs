//! The ring of transitions on the device.

use bytemuck::Pod;
use recsim_core::replay::{Ring, Span, Transitions};
use recsim_core::world::Shape;

use crate::ffi::Machine;
use crate::ffi::kernels::WORD;
use crate::table::numbers;
use crate::{CudaError, World};

/// Transitions, oldest overwritten first. A user's embedding is not stored again: the world has it.
pub struct Replay<M: Machine> {
    /// The world's.
    shape: Shape,
    ring: Ring,
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
            held: &[T],
        ) -> Result<M::Memory, CudaError> {
            let mut column = machine.zeros("replay ring", rows * width * WORD)?;
            machine.write(&mut column, bytemuck::cast_slice(held))?;
            Ok(column)
        }
        let (clusters, dimensions) = (world.shape.clusters, world.shape.dimensions);
        // The kernels look users up without asking.
        let users = transitions.user.iter().all(|&user| (user as usize) < world.shape.users);
        assert!(users, "transitions are of users of the world");
        Ok(Self {
            shape: world.shape,
            ring: Ring::holding(capacity, transitions),
            user: column(machine, capacity, 1, &transitions.user)?,
            belief_before: column(machine, capacity, clusters, &transitions.belief_before)?,
            belief: column(machine, capacity, clusters, &transitions.belief)?,
            action: column(machine, capacity, dimensions, &transitions.action)?,
            reward: column(machine, capacity, 1, &transitions.reward)?,
        })
    }

    /// Errs, loudly, if it is a ring of another world's transitions.
    pub(crate) fn suits(&self, shape: &Shape) {
        assert!(self.shape == *shape, "a ring of this world's transitions");
    }

    /// Transitions that it can hold.
    pub(crate) fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// Transitions that it holds.
    pub(crate) fn held(&self) -> usize {
        self.ring.held()
    }

    /// Makes room for `count` transitions and says where they go.
    pub(crate) fn push(&mut self, count: usize) -> Span {
        self.ring.push(count)
    }

    pub(crate) fn transitions(&self, machine: &M) -> Result<Transitions, CudaError> {
        let held = self.ring.held();
        let width = |column: &M::Memory| machine.length(column) / WORD / self.ring.capacity();
        let floats = |column: &M::Memory| numbers(machine, column, held * width(column));
        Ok(Transitions {
            next: self.ring.next_place(),
            user: numbers(machine, &self.user, held)?,
            belief_before: floats(&self.belief_before)?,
            belief: floats(&self.belief)?,
            action: floats(&self.action)?,
            reward: floats(&self.reward)?,
        })
    }
}
