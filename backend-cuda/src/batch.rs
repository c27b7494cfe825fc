//! A range of users, as they are served together.

use std::ops::Range;

use crate::ffi::Machine;
use crate::ffi::kernels::{LONG, SUMS, WORD};
use crate::ffi::learning::ACTING;
use crate::recording::Recording;
use crate::{CudaError, World};

/// A range of users with their beliefs and their last round, on the device; tables are row-major, a row a user.
pub struct Batch<M: Machine> {
    /// Items that there are.
    pub(crate) items: usize,
    /// The users, by index in the world.
    pub(crate) users: Range<usize>,
    /// `[users, K + D]`, and rows for the agent's last tile
    pub(crate) state: M::Memory,
    /// `[users, D]`
    pub(crate) action: M::Memory,
    /// `[parts, users, chosen]`: ranks, while items are searched for
    pub(crate) lists: M::Memory,
    /// Into how many parts the catalogue is divided for them.
    pub(crate) parts: usize,
    /// `[users, shown]`; behind the first `given` it is filled in when users respond
    pub(crate) slate: M::Memory,
    pub(crate) given: usize,
    /// `[users, shown]`
    pub(crate) accepted: M::Memory,
    /// `[users, K]`, before the last round
    pub(crate) belief_before: M::Memory,
    /// `[users, K]`
    pub(crate) belief: M::Memory,
    /// `[users]`
    pub(crate) reward: M::Memory,
    /// Sums over the users of the last round.
    pub(crate) tally: M::Memory,
    /// `td3.cu`'s `Acting`.
    pub(crate) acting: M::Memory,
    /// Components of the policy's actions.
    pub(crate) components: u64,
    /// An agent's way to them.
    pub(crate) inference: Recording<M>,
    /// When the last round began, and when its policy, matching and step were done.
    pub(crate) marks: [Option<M::Mark>; 4],
}

impl<M: Machine> Batch<M> {
    /// Room for `users`, with their initial beliefs.
    pub(crate) fn new(machine: &M, world: &World<M>, users: Range<usize>) -> Result<Self, CudaError> {
        let (count, shown) = (users.len(), world.environment.slate_len);
        let (clusters, dimensions) = (world.shape.clusters, world.shape.dimensions);
        let parts = world.parts(machine, count);
        let mut batch = Self {
            state: machine
                .zeros("states", count.next_multiple_of(machine.tile()) * (clusters + dimensions) * WORD)?,
            action: machine.zeros("actions", count * dimensions * WORD)?,
            lists: machine.zeros("lists", parts * count * world.environment.rl_slots * LONG)?,
            parts,
            slate: machine.zeros("slates", count * shown * WORD)?,
            given: shown,
            accepted: machine.zeros("acceptances", count * shown)?,
            belief_before: machine.zeros("beliefs", count * clusters * WORD)?,
            belief: machine.zeros("beliefs", count * clusters * WORD)?,
            reward: machine.zeros("rewards", count * WORD)?,
            tally: machine.zeros("tally", SUMS * LONG)?,
            acting: machine.zeros("tally", ACTING)?,
            components: 0,
            inference: Recording::default(),
            marks: [const { None }; 4],
            items: world.shape.items,
            users,
        };
        batch.reset(machine, world)?;
        machine.copy(&batch.belief, 0, &mut batch.belief_before, 0, count * clusters * WORD)?;
        Ok(batch)
    }

    /// Sets the beliefs to their initial values.
    pub(crate) fn reset(&mut self, machine: &M, world: &World<M>) -> Result<(), CudaError> {
        let row = world.shape.clusters * WORD;
        machine.copy(&world.initial, self.users.start * row, &mut self.belief, 0, self.users.len() * row)
    }
}
