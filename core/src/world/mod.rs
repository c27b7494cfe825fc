//! The world: items, users and the target, checked once (`spec` section 1).

#[cfg(feature = "alloc")]
mod clusters;
mod error;
pub mod error_bound;
#[cfg(feature = "alloc")]
mod owned;
#[cfg(feature = "alloc")]
mod synthetic;

#[cfg(feature = "alloc")]
pub use clusters::{distances, shrink_to_unit_sum, target};
pub use error::WorldError;
#[cfg(feature = "alloc")]
pub use owned::OwnedWorld;
#[cfg(feature = "alloc")]
pub use synthetic::{SyntheticWorldConfig, brute_force_lists, cluster_sizes, generate};

#[cfg(feature = "alloc")]
use alloc::vec::Vec;
use core::ops::Range;

/// The sizes of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorldShape {
    /// Number of users, U; at least 1.
    pub users: usize,
    /// Number of items, I; at least 1.
    pub items: usize,
    /// Number of clusters, K; at least 1.
    pub clusters: usize,
    /// Dimensions of an embedding, D; at least 1.
    pub dimensions: usize,
    /// Length of a user's pre-trained list, L; at least 1, at most I.
    pub pretrained_len: usize,
}

impl WorldShape {
    /// The length of a state: beliefs and the user's embedding, K + D.
    pub fn state_dim(&self) -> usize {
        self.clusters + self.dimensions
    }
}

/// A world's arrays as they come from a file or a program: nothing is known of them yet. All are row-major.
#[derive(Clone, Copy, Debug)]
pub struct WorldArrays<'a> {
    /// `[I, D]`
    pub item_embedding: &'a [f32],
    /// `[I]`, each in `0..K`
    pub item_cluster: &'a [u32],
    /// `[I]`, each at least 0: the distance to the cluster's centre
    pub item_distance: &'a [f32],
    /// `[U, K]`, each in `[0, target]`: the beliefs an episode starts with
    pub user_belief: &'a [f32],
    /// `[U, D]`
    pub user_embedding: &'a [f32],
    /// `[U, L]`: item indices, best first, none twice in a row
    pub user_pretrained: &'a [u32],
    /// `[K]`: the optimal beliefs; their `f32` sum in index order is at most 1 and above 0
    pub target: &'a [f32],
}

/// A world in which every array is known to be in order. Backends assume what [`World::new`] checks.
///
/// ```
/// use recsim_core::world::{WorldArrays, WorldShape, World};
/// let shape = WorldShape { users: 1, items: 2, clusters: 1, dimensions: 1, pretrained_len: 2 };
/// let parts = WorldArrays {
///     item_embedding: &[1.0, -1.0], item_cluster: &[0, 0], item_distance: &[0.5, 0.5],
///     user_belief: &[0.0], user_embedding: &[1.0], user_pretrained: &[0, 1], target: &[1.0],
/// };
/// let world = World::new(shape, parts)?;
/// assert_eq!(world.pretrained(0), [0, 1]);
/// # Ok::<(), recsim_core::world::WorldError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    shape: WorldShape,
    arrays: WorldArrays<'a>,
}

impl<'a> World<'a> {
    /// Checks the arrays: lengths agree with the shape, every number is finite, indices and beliefs are in range, no
    /// list repeats an item, the target sums to at most 1.
    pub fn new(shape: WorldShape, parts: WorldArrays<'a>) -> Result<Self, WorldError> {
        error::check(&shape, &parts)?;
        Ok(Self { shape, arrays: parts })
    }

    /// The same world with its first `users` users only; all of them if there are no more.
    #[must_use]
    pub fn first_users(&self, users: usize) -> Self {
        let users = users.clamp(1, self.shape.users);
        let shape = WorldShape { users, ..self.shape };
        let parts = WorldArrays {
            user_belief: &self.arrays.user_belief[..users * shape.clusters],
            user_embedding: &self.arrays.user_embedding[..users * shape.dimensions],
            user_pretrained: &self.arrays.user_pretrained[..users * shape.pretrained_len],
            ..self.arrays
        };
        Self { shape, arrays: parts }
    }

    /// The sizes.
    pub fn shape(&self) -> WorldShape {
        self.shape
    }

    /// All the arrays.
    pub fn arrays(&self) -> &WorldArrays<'a> {
        &self.arrays
    }

    /// The optimal beliefs, `[K]`.
    pub fn target(&self) -> &'a [f32] {
        self.arrays.target
    }

    /// The initial beliefs of one user, `[K]`.
    pub fn beliefs(&self, user: usize) -> &'a [f32] {
        &self.arrays.user_belief[row(user, self.shape.clusters)]
    }

    /// All users' mean initial beliefs, `[K]`.
    ///
    /// ```
    /// let recipe = recsim_core::world::SyntheticWorldConfig { users: 2, items: 60, clusters: 3, dimensions: 4, pretrained_len: 40, seed: 0 };
    /// let world = recsim_core::world::generate(&recipe, recsim_core::world::brute_force_lists);
    /// let (view, one) = (world.view().unwrap(), |user, cluster: usize| f64::from(world.view().unwrap().beliefs(user)[cluster]));
    /// assert_eq!(view.mean_beliefs()[1], (one(0, 1) + one(1, 1)) / 2.0);
    /// ```
    #[cfg(feature = "alloc")]
    pub fn mean_beliefs(&self) -> Vec<f64> {
        let mut means = alloc::vec![0.0; self.shape.clusters];
        for user in 0..self.shape.users {
            means.iter_mut().zip(self.beliefs(user)).for_each(|(sum, &belief)| *sum += f64::from(belief));
        }
        means.iter_mut().for_each(|sum| *sum /= self.shape.users as f64);
        means
    }

    /// One user's embedding, `[D]`.
    pub fn user_embedding(&self, user: usize) -> &'a [f32] {
        &self.arrays.user_embedding[row(user, self.shape.dimensions)]
    }

    /// One user's pre-trained list, `[L]`.
    pub fn pretrained(&self, user: usize) -> &'a [u32] {
        &self.arrays.user_pretrained[row(user, self.shape.pretrained_len)]
    }

    /// One item's embedding, `[D]`.
    pub fn item_embedding(&self, item: usize) -> &'a [f32] {
        &self.arrays.item_embedding[row(item, self.shape.dimensions)]
    }
}

/// Where row `index` of a row-major table of `width` columns lies.
#[inline]
pub fn row(index: usize, width: usize) -> Range<usize> {
    index * width..(index + 1) * width
}
