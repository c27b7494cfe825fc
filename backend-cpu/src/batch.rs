//! A range of users, as they are served together.

use std::ops::Range;

use crate::error::{CpuError, table};
use crate::world::World;

/// A range of users with their beliefs and their last round; tables are row-major, a row a user.
///
/// The states of all users would be the largest table of all, and each row is needed only from `observe` to `respond`.
/// So there is one table, which travels: `observe` takes it from the [`Cpu`](crate::Cpu), `respond` gives it back.
#[derive(Debug)]
pub struct Batch {
    /// The users, by index in the world.
    pub(crate) users: Range<usize>,
    /// `[users, K + D]` from `observe` to `respond`, else empty
    pub(crate) state: Vec<f32>,
    /// `[users, D]`
    pub(crate) action: Vec<f32>,
    /// Components of the policy's actions, and those saturated, before noise: set by `act`.
    pub(crate) components: u64,
    pub(crate) saturated: u64,
    /// `[users, shown]`
    pub(crate) slate: Vec<u32>,
    /// `[users, shown]`
    pub(crate) accepted: Vec<bool>,
    /// `[users, K]`, before the last round
    pub(crate) belief_before: Vec<f32>,
    /// `[users, K]`
    pub(crate) belief: Vec<f32>,
    /// `[users]`
    pub(crate) reward: Vec<f32>,
}

impl Batch {
    /// Room for `users`, with their initial beliefs.
    pub(crate) fn new(world: &World, users: Range<usize>) -> Result<Self, CpuError> {
        let (count, shown) = (users.len(), world.environment.shown);
        let belief = world.initial_beliefs(&users).to_vec();
        Ok(Self {
            state: Vec::new(),
            action: table("actions", count * world.shape.dimensions, 0.0)?,
            components: 0,
            saturated: 0,
            slate: table("slates", count * shown, 0)?,
            accepted: table("acceptances", count * shown, false)?,
            belief_before: belief.clone(),
            belief,
            reward: table("rewards", count, 0.0)?,
            users,
        })
    }
}
