//! A world that owns its arrays.

use alloc::vec::Vec;

use super::{World, WorldArrays, WorldError, WorldShape};

/// The sizes and arrays of a world, owned. Nothing is checked until [`OwnedWorld::view`].
///
/// ```
/// use recsim_core::world::{SyntheticWorldConfig, brute_force_lists, generate};
/// let config =
///     SyntheticWorldConfig { users: 2, items: 60, clusters: 3, dimensions: 4, pretrained_len: 40, seed: 0 };
/// let owned = generate(&config, brute_force_lists);
/// let world = owned.view()?;
/// assert_eq!(world.shape().users, 2);
/// # Ok::<(), recsim_core::world::WorldError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedWorld {
    /// The sizes.
    pub shape: WorldShape,
    /// See [`WorldArrays::item_embedding`]: `[I, D]`.
    pub item_embedding: Vec<f32>,
    /// See [`WorldArrays::item_cluster`]: `[I]`.
    pub item_cluster: Vec<u32>,
    /// See [`WorldArrays::item_distance`]: `[I]`.
    pub item_distance: Vec<f32>,
    /// See [`WorldArrays::user_belief`]: `[U, K]`.
    pub user_belief: Vec<f32>,
    /// See [`WorldArrays::user_embedding`]: `[U, D]`.
    pub user_embedding: Vec<f32>,
    /// See [`WorldArrays::user_pretrained`]: `[U, L]`.
    pub user_pretrained: Vec<u32>,
    /// See [`WorldArrays::target`]: `[K]`.
    pub target: Vec<f32>,
}

impl OwnedWorld {
    /// Checks the arrays and borrows them as a [`World`].
    ///
    /// # Errors
    /// Those of [`World::new`]. A world from [`generate`](super::generate) is always valid.
    pub fn view(&self) -> Result<World<'_>, WorldError> {
        World::new(self.shape, self.arrays())
    }

    /// Borrows the arrays, unchecked.
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
