//! A batch: a range of users that are processed together.

use std::ops::Range;

use crate::error::{CpuError, filled};
use crate::world::World;

/// A range of users with their beliefs, and the counts and rewards of their last round. The other arrays of a round are
/// in a scratch buffer that batches share: for millions of users they would be most of the memory, and only the batch
/// in progress needs them.
#[derive(Debug)]
pub struct Batch {
    /// Identifies the batch, and its scratch buffer.
    pub(crate) id: u64,
    /// Indices of the users in the world.
    pub(crate) users: Range<usize>,
    /// Embedding dimensions, D.
    pub(crate) dimensions: usize,
    /// Items on a slate.
    pub(crate) slate_len: usize,
    /// Components of the policy's actions, and how many of them were saturated before noise. Set by `act`.
    pub(crate) components: u64,
    pub(crate) saturated: u64,
    /// `[users, K]`
    pub(crate) belief: Vec<f32>,
    /// `[users]`: rewards of the last round.
    pub(crate) reward: Vec<f32>,
    /// `[users]`: numbers of items accepted in the last round.
    pub(crate) accepted_counts: Vec<u32>,
}

impl Batch {
    /// Creates the batch with this id, for `users` with their initial beliefs.
    ///
    /// # Errors
    /// [`CpuError::Memory`] if its arrays do not fit into memory.
    pub(crate) fn new(world: &World, users: Range<usize>, id: u64) -> Result<Self, CpuError> {
        Ok(Self {
            id,
            dimensions: world.shape.dimensions,
            slate_len: world.environment.slate_len,
            components: 0,
            saturated: 0,
            belief: world.initial_beliefs(&users).to_vec(),
            reward: filled("rewards", users.len(), 0.0)?,
            accepted_counts: filled("acceptances", users.len(), 0)?,
            users,
        })
    }

    /// Checks that actions, `[users, D]`, are finite.
    ///
    /// # Errors
    /// [`CpuError::Action`] with the first user whose action is not.
    pub(crate) fn check_finite(&self, actions: &[f32]) -> Result<(), CpuError> {
        let first = actions.iter().position(|x| !x.is_finite());
        first.map_or(Ok(()), |index| Err(CpuError::Action { user: self.users.start + index / self.dimensions }))
    }
}
