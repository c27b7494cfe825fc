//! The reference backend: plain loops and hand-written gradients, on one thread. Other backends are tested against it.
//!
//! The users' side is `f32`, as in every backend. Networks are computed in `T`: `Reference<f32>` has the precision of
//! the other backends, and `Reference<f64>` gives the values from which their rounding errors are measured.
//!
//! | file | contents |
//! |---|---|
//! | `simulate` | [`World`], [`Batch`], [`Replay`] and the users' side |
//! | `learn` | [`Agent`], acting, critic re-ranking and the update of TD3 |
//! | `mlp` | forward and backward pass of a network |
//! | `inspect` | reading and writing the state |

mod inspect;
mod learn;
mod mlp;
mod simulate;

pub use learn::Agent;
pub use simulate::{Batch, Replay, World};

use core::convert::Infallible;
use core::marker::PhantomData;

use crate::backend::{BackendError, BackendTypes, ErrorKind};
use crate::model::math::Real;

/// The reference backend, with networks in `T`. It has no state of its own.
///
/// No method fails and every method is done when it returns. [`round`](crate::backend::round) has an example.
///
/// ```
/// use recsim_core::backend::reference::Reference;
/// let backend = Reference::<f32>::default();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference<T>(PhantomData<T>);

impl<T: Real> BackendTypes for Reference<T> {
    type Error = Infallible;
    type World = World;
    type Batch = Batch;
    type Agent = Agent<T>;
    type Replay = Replay;
}

/// The error of a backend that cannot fail.
impl BackendError for Infallible {
    fn kind(&self) -> ErrorKind {
        match *self {}
    }
}
