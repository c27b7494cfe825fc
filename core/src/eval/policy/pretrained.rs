//! The `pretrained` policy: the existing recommender alone.

use super::{ItemSelector, UserView};

/// Selects no item, so that the user's pre-trained list fills the whole slate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pretrained;

impl ItemSelector for Pretrained {
    fn items_per_user(&self) -> usize {
        0
    }

    fn select(&self, _: &UserView<'_>, _: &mut [u32]) {}
}
