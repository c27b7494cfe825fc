//! `pretrained`: nobody interferes.

use super::{ItemSelector, UserView};

/// Chooses nothing, so that the user's pre-trained list fills the slate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pretrained;

impl ItemSelector for Pretrained {
    fn items_per_user(&self) -> usize {
        0
    }

    fn select(&self, _: &UserView<'_>, _: &mut [u32]) {}
}
