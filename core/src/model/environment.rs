//! The rules that all users of an experiment share.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

#[cfg(feature = "alloc")]
use super::belief::scale;
use super::slate::Similarity;
use super::user::Rules;

/// How users are served and respond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Environment {
    /// The rules every user lives by.
    pub rules: Rules<f32>,
    /// What "similar to the action" means.
    pub similarity: Similarity,
    /// Items chosen by the action; at least 1.
    pub chosen: usize,
    /// Items shown; at least `chosen`, at most the world's list and items.
    pub shown: usize,
    /// Whether networks see beliefs as shares of their targets.
    pub scale_beliefs: bool,
}

impl Environment {
    /// What each belief is multiplied by in a state, `[K]`.
    #[cfg(feature = "alloc")]
    pub fn belief_scales(&self, target: &[f32]) -> Vec<f32> {
        target.iter().map(|&target| if self.scale_beliefs { scale(target) } else { 1.0 }).collect()
    }
}
