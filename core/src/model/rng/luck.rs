//! Where a user's step takes its uniform draws from.

use rand_core::Rng;

use super::{Key, uniform};

/// A source of one uniform draw in `[0, 1)` for each item that a user is shown.
pub trait Luck {
    /// The draw for `item`, an index in the world.
    fn draw(&mut self, item: u32) -> f32;
}

/// A key that is already at (purpose, episode, round, user): the draw belongs to the item, not to its place.
impl Luck for Key {
    #[inline]
    fn draw(&mut self, item: u32) -> f32 {
        uniform(self.with(u64::from(item)))
    }
}

/// Any `rand_core` generator as luck: the draws come in the slate's order.
///
/// ```
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
/// use recsim_core::model::rng::{Generator, Luck};
/// let mut luck = Generator(Xoshiro256PlusPlus::seed_from_u64(1));
/// assert!((0.0..1.0).contains(&luck.draw(0)));
/// ```
#[derive(Clone, Debug)]
pub struct Generator<R>(pub R);

impl<R: Rng> Luck for Generator<R> {
    #[inline]
    fn draw(&mut self, _item: u32) -> f32 {
        uniform(Key(self.0.next_u64()))
    }
}
