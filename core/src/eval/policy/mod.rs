//! Policies: what chooses the first items of a slate (`docs/spec.md`, section 8.1). The user's pre-trained list fills
//! the other slots.
//!
//! | to find | look in |
//! |---|---|
//! | a policy on any backend | [`Policy`] |
//! | a policy that selects items user by user | [`ItemSelector`], which [`PerUser`] turns into a [`Policy`] |
//! | the policies that are compared | [`Random`], [`Popular`], [`Pretrained`], [`Greedy`], [`Actor`] |

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

/// Builds the slates of one round.
pub trait Policy<B: BackendTypes> {
    /// Builds a slate for each user of the batch, so that [`Simulate::respond`] may follow: by [`Simulate::show`], or
    /// by the stages that end with [`Simulate::recommend`].
    ///
    /// # Errors
    /// The backend fails.
    fn fill_slates(&mut self, backend: &mut B, context: PolicyContext<'_, B>) -> Result<(), B::Error>;
}

/// The users to build slates for.
pub struct PolicyContext<'a, B: BackendTypes> {
    /// The users' world.
    pub world: &'a B::World,
    /// The users' batch.
    pub batch: &'a mut B::Batch,
    /// The users of the batch, by index in the world.
    pub users: Range<usize>,
    /// The round's key. User `u` draws from `key.fold_in(u)`.
    pub key: Key,
}

/// Selects items for one user at a time, without a backend.
pub trait ItemSelector {
    /// The number of items that [`select`](ItemSelector::select) selects, from 0 to the slate's length. It is the same
    /// for every user and round.
    fn items_per_user(&self) -> usize;

    /// Fills `items`, of length [`items_per_user`](ItemSelector::items_per_user), with distinct items of the world.
    /// They take the first slots of the slate, in this order.
    fn select(&self, user: &UserView<'_>, items: &mut [u32]);
}

impl<S: ItemSelector + ?Sized> ItemSelector for &S {
    fn items_per_user(&self) -> usize {
        S::items_per_user(self)
    }

    fn select(&self, user: &UserView<'_>, items: &mut [u32]) {
        S::select(self, user, items);
    }
}

impl<S: ItemSelector + ?Sized> ItemSelector for Box<S> {
    fn items_per_user(&self) -> usize {
        S::items_per_user(self)
    }

    fn select(&self, user: &UserView<'_>, items: &mut [u32]) {
        S::select(self, user, items);
    }
}

/// What an [`ItemSelector`] knows of a user.
#[derive(Clone, Copy, Debug)]
pub struct UserView<'a> {
    /// The user's index in the world.
    pub index: usize,
    /// The current beliefs, `[K]`, each in `[0, target]`.
    pub beliefs: &'a [f32],
    /// The key of this user's draws in this round.
    pub key: Key,
}

/// Turns an [`ItemSelector`] into a [`Policy`] on any backend. `parallel` runs it for the users of a batch; the result
/// does not depend on it.
///
/// ```
/// use recsim_core::backend::Sequential;
/// use recsim_core::eval::policy::{ItemSelector, PerUser, UserView};
/// /// Shows every user the first items of the catalogue.
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
pub struct PerUser<S, P> {
    /// Selects the items.
    pub selector: S,
    /// Distributes the users over threads.
    pub parallel: P,
}

impl<B: Simulate + Inspect, S: ItemSelector + Sync, P: ParallelFor> Policy<B> for PerUser<S, P> {
    fn fill_slates(&mut self, backend: &mut B, context: PolicyContext<'_, B>) -> Result<(), B::Error> {
        let PolicyContext { world, batch, users, key } = context;
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
