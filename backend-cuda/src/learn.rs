//! What there is of the agent's side: noise on actions, and transitions. Networks are not written yet.

use recsim_core::rng::Key;

use crate::ffi::Machine;
use crate::{Batch, Cuda, CudaError, Replay, Transitions, World};

impl<M: Machine> Cuda<M> {
    /// An empty ring for this world's transitions, as [`Learn::replay`](recsim_core::backend::Learn::replay) has it.
    pub fn replay(&mut self, world: &World<M>, capacity: usize) -> Result<Replay<M>, CudaError> {
        Replay::new(&self.machine, world, capacity)
    }

    /// Appends the batch's transitions, as [`Learn::remember`](recsim_core::backend::Learn::remember) has it.
    pub fn remember(
        &mut self,
        world: &World<M>,
        batch: &Batch<M>,
        replay: &mut Replay<M>,
    ) -> Result<(), CudaError> {
        replay.push(&self.machine, world, batch)
    }

    /// What the ring holds, by place.
    pub fn transitions(&mut self, replay: &Replay<M>) -> Result<Transitions, CudaError> {
        replay.transitions(&self.machine)
    }

    /// Puts the noise of [`Learn::act`](recsim_core::backend::Learn::act) on the batch's actions: `deviation` and
    /// `max_action` are in the action's own units.
    pub fn explore(
        &mut self,
        world: &World<M>,
        batch: &mut Batch<M>,
        exploration: Key,
        deviation: f32,
        max_action: f32,
    ) -> Result<(), CudaError> {
        let users = (batch.users.start, batch.users.len());
        let noise = (exploration.bits(), deviation, max_action);
        world.site(&self.machine).explore(&world.explore, users, noise, &mut batch.action)
    }
}
