//! Where a user's step takes its draws from.

use rand_core::Rng;

use super::{Key, uniform};

/// A source of uniform draws in `[0, 1)`, one for each item that a user is shown.
///
/// Every `rand_core` generator is a source. Its draws follow the order of the slate, so they belong to the slots. A
/// [`Key`] is a source too. Its draws are functions of the item, so an item's draw does not depend on its slot.
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
    /// The draw for `item`, the item's index in the world. It lies in `[0, 1)`.
    fn next_uniform(&mut self, item: u32) -> f32;
}

/// The key of a user's acceptances: its coordinates are episode, round and user. The draw is
/// `uniform(key.fold_in(item))`, and the key stays the same.
impl UniformSource for Key {
    #[inline]
    fn next_uniform(&mut self, item: u32) -> f32 {
        uniform(self.fold_in(u64::from(item)))
    }
}

/// Each draw is the upper 24 bits of one `next_u64`, times `2^-24`. `item` is ignored.
impl<R: Rng + ?Sized> UniformSource for R {
    #[inline]
    fn next_uniform(&mut self, _item: u32) -> f32 {
        uniform(Key(self.next_u64()))
    }
}
