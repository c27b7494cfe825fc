//! `pretrained`: nobody interferes.

use super::{Choose, User};

/// Chooses nothing, so that the user's pre-trained list fills the slate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pretrained;

impl Choose for Pretrained {
    fn width(&self) -> usize {
        0
    }

    fn choose(&self, _: &User<'_>, _: &mut [u32]) {}
}
