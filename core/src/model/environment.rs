//! The settings that all users of an experiment share.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

#[cfg(feature = "alloc")]
use super::belief::scale;
use super::slate::Similarity;
use super::user::UserModel;

/// What users are shown and how they respond.
///
/// A session derives it from a checked configuration. A backend assumes that every value is in its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnvironmentSpec {
    /// How every user responds to a slate.
    pub user_model: UserModel<f32>,
    /// Which items count as similar to an action.
    pub similarity: Similarity,
    /// M, the number of slots that the action fills; from 1 to `slate_len`.
    pub rl_slots: usize,
    /// N, the number of items on a slate; at most the world's items and the length of its pre-trained lists.
    pub slate_len: usize,
    /// Whether networks see each belief as its share of the target.
    pub normalize_beliefs: bool,
}

impl EnvironmentSpec {
    /// The factor on each belief in a state, `[K]`: [`scale`] of its target with `normalize_beliefs`, otherwise 1.
    ///
    /// ```
    /// # use recsim_core::model::{EnvironmentSpec, accept::Acceptance, reward::*, slate::Similarity, user::UserModel};
    /// # let (kind, score) = (RewardForm::Potential, BeliefScore::Combined);
    /// # let reward = Reward { kind, score, scale: 100.0, max: 100.0, improvement_threshold: 0.0 };
    /// # let user_model = UserModel { acceptance: Acceptance::Fixed(0.25), belief_increment: 0.01, reward };
    /// let spec = EnvironmentSpec {
    ///     user_model, similarity: Similarity::Cosine, rl_slots: 10, slate_len: 20, normalize_beliefs: true,
    /// };
    /// assert_eq!(spec.belief_scales(&[0.5, 0.25, 0.0]), [2.0, 4.0, 0.0]);
    /// assert_eq!(EnvironmentSpec { normalize_beliefs: false, ..spec }.belief_scales(&[0.5, 0.25]), [1.0, 1.0]);
    /// ```
    #[cfg(feature = "alloc")]
    pub fn belief_scales(&self, target: &[f32]) -> Vec<f32> {
        target.iter().map(|&target| if self.normalize_beliefs { scale(target) } else { 1.0 }).collect()
    }
}
