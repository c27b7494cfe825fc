//! Who chooses what is shown first on a slate (`spec` section 8); the user's pre-trained list fills the rest.
//!
//! | to find | look in |
//! |---|---|
//! | what a policy is, for any device | [`Policy`] |
//! | one that chooses items, user by user | [`ItemSelector`], made a policy by [`PerUser`] |
//! | the policies to compare | [`Random`], [`Popular`], [`Pretrained`], [`Greedy`], [`Actor`] |

mod actor;
mod greedy;
mod popular;
mod pretrained;
mod random;

pub use actor::Actor;
pub use greedy::{Greedy, Objective};
pub use popular::Popular;
pub use pretrained::Pretrained;
pub use random::Random;

use alloc::boxed::Box;
use alloc::vec;
use core::ops::Range;

use crate::backend::{BackendTypes, Inspect, ParallelFor, Simulate};
use crate::model::rng::Key;

/// Puts slates before users.
pub trait Policy<B: BackendTypes> {
    /// Chooses the slates of a batch: by [`Simulate::show`], or as an agent does, so that [`Simulate::respond`] may follow.
    fn fill_slates(&mut self, backend: &mut B, serving: PolicyContext<'_, B>) -> Result<(), B::Error>;
}

/// Users to be served.
pub struct PolicyContext<'a, B: BackendTypes> {
    /// Their world.
    pub world: &'a B::World,
    /// They themselves.
    pub batch: &'a mut B::Batch,
    /// Which they are, by index in the world.
    pub users: Range<usize>,
    /// User `u` takes the round's draws from `key.fold_in(u)`.
    pub key: Key,
}

/// Chooses items for one user at a time: a plainer policy, which knows no device.
pub trait ItemSelector {
    /// How many items it chooses for each user, from 0 to as many as are shown.
    fn items_per_user(&self) -> usize;

    /// Fills `items`, [`ItemSelector::items_per_user`] of them, with distinct items of the world.
    fn select(&self, user: &UserView<'_>, items: &mut [u32]);
}

impl<C: ItemSelector + ?Sized> ItemSelector for &C {
    fn items_per_user(&self) -> usize {
        C::items_per_user(self)
    }

    fn select(&self, user: &UserView<'_>, items: &mut [u32]) {
        C::select(self, user, items);
    }
}

impl<C: ItemSelector + ?Sized> ItemSelector for Box<C> {
    fn items_per_user(&self) -> usize {
        C::items_per_user(self)
    }

    fn select(&self, user: &UserView<'_>, items: &mut [u32]) {
        C::select(self, user, items);
    }
}

/// A user as a policy sees one.
#[derive(Clone, Copy, Debug)]
pub struct UserView<'a> {
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
/// use recsim_core::backend::Sequential;
/// use recsim_core::eval::policy::{ItemSelector, PerUser, UserView};
/// /// Shows everybody the first items of the catalogue.
/// struct First(usize);
/// impl ItemSelector for First {
///     fn items_per_user(&self) -> usize {
///         self.0
///     }
///     fn select(&self, _: &UserView<'_>, items: &mut [u32]) {
///         (0..).zip(items).for_each(|(n, item)| *item = n);
///     }
/// }
/// let policy = PerUser { selector: First(10), parallel: Sequential };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PerUser<C, W> {
    /// Who chooses.
    pub selector: C,
    /// Who asks.
    pub parallel: W,
}

impl<B: Simulate + Inspect, C: ItemSelector + Sync, W: ParallelFor> Policy<B> for PerUser<C, W> {
    fn fill_slates(&mut self, backend: &mut B, serving: PolicyContext<'_, B>) -> Result<(), B::Error> {
        let PolicyContext { world, batch, users, key } = serving;
        let beliefs = backend.beliefs(batch)?.wait()?;
        let (width, clusters) = (self.selector.items_per_user(), beliefs.len() / users.len());
        let mut items = vec![0; users.len() * width];
        self.parallel.for_each_row(&mut items, width, |n, items| {
            let index = users.start + n;
            let beliefs = &beliefs[n * clusters..][..clusters];
            self.selector.select(&UserView { index, beliefs, key: key.fold_in(index as u64) }, items);
        });
        backend.show(world, batch, &items)
    }
}
