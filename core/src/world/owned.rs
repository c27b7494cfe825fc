//! A world that owns its arrays.

use alloc::vec::Vec;

use super::{World, WorldArrays, WorldError, WorldShape};

/// A world's arrays, owned, as [`WorldArrays`] borrows them; nothing is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedWorld {
    /// The sizes.
    pub shape: WorldShape,
    /// `[I, D]`
    pub item_embedding: Vec<f32>,
    /// `[I]`
    pub item_cluster: Vec<u32>,
    /// `[I]`
    pub item_distance: Vec<f32>,
    /// `[U, K]`
    pub user_belief: Vec<f32>,
    /// `[U, D]`
    pub user_embedding: Vec<f32>,
    /// `[U, L]`
    pub user_pretrained: Vec<u32>,
    /// `[K]`
    pub target: Vec<f32>,
}

impl OwnedWorld {
    /// The world, checked.
    ///
    /// # Errors
    /// As [`World::new`]. A world from [`generate`](super::generate) is always valid.
    pub fn view(&self) -> Result<World<'_>, WorldError> {
        World::new(self.shape, self.arrays())
    }

    /// The arrays, borrowed.
    pub fn arrays(&self) -> WorldArrays<'_> {
        WorldArrays {
            item_embedding: &self.item_embedding,
            item_cluster: &self.item_cluster,
            item_distance: &self.item_distance,
            user_belief: &self.user_belief,
            user_embedding: &self.user_embedding,
            user_pretrained: &self.user_pretrained,
            target: &self.target,
        }
    }
}
