//! The source of a user's uniform draws.

use rand_core::Rng;

use super::{Key, uniform};

/// A source of one uniform draw in `[0, 1)` for each item that a user is shown.
///
/// Every `rand_core` generator is one: its draws come in the order of the slate. A [`Key`] is one too: its draw belongs to
/// the item, whatever its position on the slate.
///
/// ```
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
/// use recsim_core::model::rng::{Key, Purpose, UniformSource};
/// let mut generator = Xoshiro256PlusPlus::seed_from_u64(1);
/// assert!((0.0..1.0).contains(&generator.next_uniform(7)));
/// let mut key = Key::new(1, Purpose::Acceptance);
/// assert_eq!(key.next_uniform(7), key.next_uniform(7));
/// ```
pub trait UniformSource {
    /// The draw for `item`, an index in the world.
    fn next_uniform(&mut self, item: u32) -> f32;
}

/// The key is already at (purpose, episode, round, user).
impl UniformSource for Key {
    #[inline]
    fn next_uniform(&mut self, item: u32) -> f32 {
        uniform(self.fold_in(u64::from(item)))
    }
}

/// Each draw takes the upper bits of one `next_u64`; `item` is ignored.
impl<R: Rng + ?Sized> UniformSource for R {
    #[inline]
    fn next_uniform(&mut self, _item: u32) -> f32 {
        uniform(Key(self.next_u64()))
    }
}
