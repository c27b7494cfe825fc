//! Who chooses what is shown first on a slate (`spec` section 8); the user's pre-trained list fills the rest.
//!
//! | to find | look in |
//! |---|---|
//! | what a policy is, for any device | [`Policy`] |
//! | one that chooses items, user by user | [`Choose`], made a policy by [`Chosen`] |
//! | the policies to compare | [`Random`], [`Popular`], [`Pretrained`], [`Greedy`], [`Actor`] |

mod actor;
mod greedy;
mod popular;
mod pretrained;
mod random;

pub use actor::Actor;
pub use greedy::{Aim, Greedy};
pub use popular::Popular;
pub use pretrained::Pretrained;
pub use random::Random;

use alloc::boxed::Box;
use alloc::vec;
use core::ops::Range;

use crate::backend::{Backend, Crew, Inspect, Simulate};
use crate::model::rng::Key;

/// Puts slates before users.
pub trait Policy<B: Backend> {
    /// Chooses the slates of a batch: by [`Simulate::show`], or as an agent does, so that [`Simulate::respond`] may follow.
    fn serve(&mut self, backend: &mut B, serving: Serving<'_, B>) -> Result<(), B::Error>;
}

/// Users to be served.
pub struct Serving<'a, B: Backend> {
    /// Their world.
    pub world: &'a B::World,
    /// They themselves.
    pub batch: &'a mut B::Batch,
    /// Which they are, by index in the world.
    pub users: Range<usize>,
    /// User `u` takes the round's draws from `key.with(u)`.
    pub key: Key,
}

/// Chooses items for one user at a time: a plainer policy, which knows no device.
pub trait Choose {
    /// How many items it chooses for each user, from 0 to as many as are shown.
    fn width(&self) -> usize;

    /// Fills `items`, [`Choose::width`] of them, with distinct items of the world.
    fn choose(&self, user: &User<'_>, items: &mut [u32]);
}

impl<C: Choose + ?Sized> Choose for &C {
    fn width(&self) -> usize {
        C::width(self)
    }

    fn choose(&self, user: &User<'_>, items: &mut [u32]) {
        C::choose(self, user, items);
    }
}

impl<C: Choose + ?Sized> Choose for Box<C> {
    fn width(&self) -> usize {
        C::width(self)
    }

    fn choose(&self, user: &User<'_>, items: &mut [u32]) {
        C::choose(self, user, items);
    }
}

/// A user as a policy sees one.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// The index in the world.
    pub index: usize,
    /// The beliefs now, `[K]`.
    pub beliefs: &'a [f32],
    /// Where this round's draws for this user come from.
    pub key: Key,
}

/// Who chooses items, as a policy on any device; a crew asks for the users of a batch.
///
/// ```
/// use recsim_core::backend::Alone;
/// use recsim_core::eval::policy::{Choose, Chosen, User};
/// /// Shows everybody the first items of the catalogue.
/// struct First(usize);
/// impl Choose for First {
///     fn width(&self) -> usize {
///         self.0
///     }
///     fn choose(&self, _: &User<'_>, items: &mut [u32]) {
///         (0..).zip(items).for_each(|(n, item)| *item = n);
///     }
/// }
/// let policy = Chosen { chooser: First(10), crew: Alone };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Chosen<C, W> {
    /// Who chooses.
    pub chooser: C,
    /// Who asks.
    pub crew: W,
}

impl<B: Simulate + Inspect, C: Choose + Sync, W: Crew> Policy<B> for Chosen<C, W> {
    fn serve(&mut self, backend: &mut B, serving: Serving<'_, B>) -> Result<(), B::Error> {
        let Serving { world, batch, users, key } = serving;
        let beliefs = backend.beliefs(batch)?.wait()?;
        let (width, clusters) = (self.chooser.width(), beliefs.len() / users.len());
        let mut items = vec![0; users.len() * width];
        self.crew.rows(&mut items, width, |n, items| {
            let index = users.start + n;
            let beliefs = &beliefs[n * clusters..][..clusters];
            self.chooser.choose(&User { index, beliefs, key: key.with(index as u64) }, items);
        });
        backend.show(world, batch, &items)
    }
}
