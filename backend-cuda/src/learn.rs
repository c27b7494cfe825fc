//! What there is of the agent's side: noise on actions. Networks are not written yet.

use recsim_core::rng::Key;

use crate::ffi::Machine;
use crate::{Batch, Cuda, CudaError, World};

impl<M: Machine> Cuda<M> {
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
