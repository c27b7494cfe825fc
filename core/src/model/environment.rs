//! The rules that all users of an experiment share.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

#[cfg(feature = "alloc")]
use super::belief::scale;
use super::slate::Similarity;
use super::user::UserModel;

/// How users are served and respond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnvironmentSpec {
    /// The rules every user lives by.
    pub user_model: UserModel<f32>,
    /// What "similar to the action" means.
    pub similarity: Similarity,
    /// Items chosen by the action; at least 1.
    pub rl_slots: usize,
    /// Items shown; at least `chosen`, at most the world's list and items.
    pub slate_len: usize,
    /// Whether networks see beliefs as shares of their targets.
    pub normalize_beliefs: bool,
}

impl EnvironmentSpec {
    /// What each belief is multiplied by in a state, `[K]`.
    #[cfg(feature = "alloc")]
    pub fn belief_scales(&self, target: &[f32]) -> Vec<f32> {
        target.iter().map(|&target| if self.normalize_beliefs { scale(target) } else { 1.0 }).collect()
    }
}
