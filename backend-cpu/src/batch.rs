//! A range of users, as they are served together.

use std::ops::Range;

use crate::error::{CpuError, table};
use crate::world::World;

/// A range of users with their beliefs, and what is counted of their last round. All else of a round is in a room that
/// batches share: of millions of users it would be most of what there is, and is needed of some thousands at a time.
#[derive(Debug)]
pub struct Batch {
    /// Tells batches apart, and finds their rooms.
    pub(crate) number: u64,
    /// The users, by index in the world.
    pub(crate) users: Range<usize>,
    /// D, and items on a slate.
    pub(crate) dimensions: usize,
    pub(crate) shown: usize,
    /// Components of the policy's actions, and those saturated, before noise: set by `act`.
    pub(crate) components: u64,
    pub(crate) saturated: u64,
    /// `[users, K]`
    pub(crate) belief: Vec<f32>,
    /// `[users]`, of the last round
    pub(crate) reward: Vec<f32>,
    /// `[users]`: items accepted in the last round
    pub(crate) taken: Vec<u32>,
}

impl Batch {
    /// The `number`th batch: `users`, with their initial beliefs.
    pub(crate) fn new(world: &World, users: Range<usize>, number: u64) -> Result<Self, CpuError> {
        Ok(Self {
            number,
            dimensions: world.shape.dimensions,
            shown: world.environment.slate_len,
            components: 0,
            saturated: 0,
            belief: world.initial_beliefs(&users).to_vec(),
            reward: table("rewards", users.len(), 0.0)?,
            taken: table("acceptances", users.len(), 0)?,
            users,
        })
    }

    /// Errs unless actions (`[users, D]`) are finite numbers.
    pub(crate) fn finite(&self, actions: &[f32]) -> Result<(), CpuError> {
        let spoilt = actions.iter().position(|x| !x.is_finite());
        spoilt.map_or(Ok(()), |place| Err(CpuError::Action { user: self.users.start + place / self.dimensions }))
    }
}
