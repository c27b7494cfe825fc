//! The world: items, users and the target, as arrays that are checked once (`docs/spec.md`, section 1, The world).
//!
//! | item | contents |
//! |---|---|
//! | [`World`], [`WorldArrays`], [`WorldShape`] | a checked world over borrowed arrays |
//! | [`WorldError`] | the first error that the check finds |
//! | [`error_bound`] | how far an approximate score can be from the exact one |
//!
//! With the feature `alloc` there are also `OwnedWorld`, the same arrays owned; `generate`, which makes a synthetic
//! world from a seed; and `target` and `distances`, which compute arrays from the items' clusters.
//!
//! Sizes are abbreviated in shapes: U users, I items, K clusters, D dimensions, and L items in a pre-trained list.

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
    /// U, the number of users; from 1 to `2^32 - 1`.
    pub users: usize,
    /// I, the number of items; from 1 to `2^32 - 1`.
    pub items: usize,
    /// K, the number of clusters; from 1 to `2^32 - 1`.
    pub clusters: usize,
    /// D, the dimensions of an embedding and of an action; at least 1.
    pub dimensions: usize,
    /// L, the length of a user's pre-trained list; from 1 to I.
    pub pretrained_len: usize,
}

impl WorldShape {
    /// The length of a state, K + D: the beliefs and the user's embedding.
    pub fn state_dim(&self) -> usize {
        self.clusters + self.dimensions
    }
}

/// The arrays of a world, borrowed and unchecked. All are row-major.
#[derive(Clone, Copy, Debug)]
pub struct WorldArrays<'a> {
    /// The items' embeddings, `[I, D]`.
    pub item_embedding: &'a [f32],
    /// The items' clusters, `[I]`; each in `0..K`.
    pub item_cluster: &'a [u32],
    /// The items' distances to their cluster's centre, `[I]`; at least 0.
    pub item_distance: &'a [f32],
    /// The users' beliefs at the start of an episode, `[U, K]`; each in `[0, target]`.
    pub user_belief: &'a [f32],
    /// The users' embeddings, `[U, D]`.
    pub user_embedding: &'a [f32],
    /// The users' pre-trained lists, `[U, L]`: item indices, best first, without repeats in a list.
    pub user_pretrained: &'a [u32],
    /// The optimal beliefs, `[K]`; at least 0, with an `f32` sum in index order above 0 and at most 1.
    pub target: &'a [f32],
}

/// A checked world over borrowed arrays. A backend assumes what [`World::new`] checks.
///
/// ```
/// use recsim_core::world::{WorldArrays, WorldShape, World};
/// let shape = WorldShape { users: 1, items: 2, clusters: 1, dimensions: 1, pretrained_len: 2 };
/// let arrays = WorldArrays {
///     item_embedding: &[1.0, -1.0], item_cluster: &[0, 0], item_distance: &[0.5, 0.5],
///     user_belief: &[0.0], user_embedding: &[1.0], user_pretrained: &[0, 1], target: &[1.0],
/// };
/// let world = World::new(shape, arrays)?;
/// assert_eq!(world.pretrained(0), [0, 1]);
/// # Ok::<(), recsim_core::world::WorldError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    shape: WorldShape,
    arrays: WorldArrays<'a>,
}

impl<'a> World<'a> {
    /// Checks the sizes and arrays: every size is at least 1 and every length agrees with the sizes; every value is
    /// finite and in the range that [`WorldArrays`] states; no pre-trained list repeats an item.
    ///
    /// It takes time in proportion to the arrays' lengths, but for the check for repeats: it sorts lists of more than
    /// 100 items, and without the feature `alloc` it compares all pairs of a list.
    ///
    /// # Errors
    /// The first error that the check finds.
    pub fn new(shape: WorldShape, arrays: WorldArrays<'a>) -> Result<Self, WorldError> {
        error::check(&shape, &arrays)?;
        Ok(Self { shape, arrays })
    }

    /// The world with only the first `users` users; at least 1, and at most as many as there are.
    #[must_use]
    pub fn first_users(&self, users: usize) -> Self {
        let users = users.clamp(1, self.shape.users);
        let shape = WorldShape { users, ..self.shape };
        let arrays = WorldArrays {
            user_belief: &self.arrays.user_belief[..users * shape.clusters],
            user_embedding: &self.arrays.user_embedding[..users * shape.dimensions],
            user_pretrained: &self.arrays.user_pretrained[..users * shape.pretrained_len],
            ..self.arrays
        };
        Self { shape, arrays }
    }

    /// The sizes.
    pub fn shape(&self) -> WorldShape {
        self.shape
    }

    /// All the arrays.
    pub fn arrays(&self) -> &WorldArrays<'a> {
        &self.arrays
    }

    /// The optimal beliefs, `[K]`: each cluster's share of the catalogue.
    pub fn target(&self) -> &'a [f32] {
        self.arrays.target
    }

    /// The beliefs of one user at the start of an episode, `[K]`.
    ///
    /// # Panics
    /// If there is no such user, as in all methods that take an index.
    pub fn beliefs(&self, user: usize) -> &'a [f32] {
        &self.arrays.user_belief[row(user, self.shape.clusters)]
    }

    /// The mean of all users' beliefs at the start of an episode, `[K]`, in `f64` and in user order.
    ///
    /// ```
    /// use recsim_core::world::{SyntheticWorldConfig, brute_force_lists, generate};
    /// let config =
    ///     SyntheticWorldConfig { users: 2, items: 60, clusters: 3, dimensions: 4, pretrained_len: 40, seed: 0 };
    /// let owned = generate(&config, brute_force_lists);
    /// let world = owned.view()?;
    /// let belief = |user| f64::from(world.beliefs(user)[1]);
    /// assert_eq!(world.mean_beliefs()[1], (belief(0) + belief(1)) / 2.0);
    /// # Ok::<(), recsim_core::world::WorldError>(())
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

    /// The embedding of one user, `[D]`.
    pub fn user_embedding(&self, user: usize) -> &'a [f32] {
        &self.arrays.user_embedding[row(user, self.shape.dimensions)]
    }

    /// The pre-trained list of one user, `[L]`, best first.
    pub fn pretrained(&self, user: usize) -> &'a [u32] {
        &self.arrays.user_pretrained[row(user, self.shape.pretrained_len)]
    }

    /// The embedding of one item, `[D]`.
    pub fn item_embedding(&self, item: usize) -> &'a [f32] {
        &self.arrays.item_embedding[row(item, self.shape.dimensions)]
    }
}

/// The range of row `index` in a row-major array of `width` columns.
///
/// ```
/// assert_eq!(recsim_core::world::row(2, 5), 10..15);
/// ```
#[inline]
pub fn row(index: usize, width: usize) -> Range<usize> {
    index * width..(index + 1) * width
}
