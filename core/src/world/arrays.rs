//! A world's arrays as somebody builds them.

use alloc::vec::Vec;

use super::{Parts, Shape};

/// A world's arrays, owned, as [`Parts`] borrows them; nothing is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrays {
    /// The sizes.
    pub shape: Shape,
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

impl Arrays {
    /// The arrays, borrowed.
    pub fn parts(&self) -> Parts<'_> {
        Parts {
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
