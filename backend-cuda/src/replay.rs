//! The ring of transitions on the device.

use recsim_core::replay::Ring;

use crate::ffi::Machine;
use crate::ffi::kernels::WORD;
use crate::table::numbers;
use crate::{Batch, CudaError, World};

/// Transitions, oldest overwritten first. A user's embedding is not stored again: the world has it.
pub struct Replay<M: Machine> {
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
    /// An empty ring: room for all it can hold, as a device's memory is not taken bit by bit.
    pub(crate) fn new(machine: &M, world: &World<M>, capacity: usize) -> Result<Self, CudaError> {
        let column = |width: usize| machine.zeros("replay ring", capacity * width * WORD);
        let (clusters, dimensions) = (world.shape.clusters, world.shape.dimensions);
        Ok(Self {
            ring: Ring::new(capacity),
            user: column(1)?,
            belief_before: column(clusters)?,
            belief: column(clusters)?,
            action: column(dimensions)?,
            reward: column(1)?,
        })
    }

    /// Appends a batch's last round, in user order.
    pub(crate) fn push(&mut self, machine: &M, world: &World<M>, batch: &Batch<M>) -> Result<(), CudaError> {
        let start = self.ring.next_place();
        world.site(machine).remember(&world.remember, batch, self, (start, self.ring.capacity()))?;
        // Where they went is settled by the same numbers.
        drop(self.ring.push(batch.users.len()));
        Ok(())
    }

    pub(crate) fn transitions(&self, machine: &M) -> Result<Transitions, CudaError> {
        let held = self.ring.held();
        let width = |column: &M::Memory| machine.length(column) / WORD / self.ring.capacity();
        let floats = |column: &M::Memory| numbers(machine, column, held * width(column));
        Ok(Transitions {
            user: numbers(machine, &self.user, held)?,
            belief_before: floats(&self.belief_before)?,
            belief: floats(&self.belief)?,
            action: floats(&self.action)?,
            reward: floats(&self.reward)?,
        })
    }
}

/// A ring's transitions on the host; tables are row-major, a row a place in the ring.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transitions {
    /// `[held]`: the users, by index in the world
    pub user: Vec<u32>,
    /// `[held, K]`
    pub belief_before: Vec<f32>,
    /// `[held, K]`
    pub belief: Vec<f32>,
    /// `[held, D]`
    pub action: Vec<f32>,
    /// `[held]`
    pub reward: Vec<f32>,
}
