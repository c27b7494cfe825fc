//! A plain backend: loops, hand-written gradients, no haste. It is what every other backend is held to.
//!
//! Users live in `f32`, as everywhere; the networks are computed in `T`, so that `Reference<f64>` says what the `f32`
//! of a fast backend ought to have been.

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

/// The plain backend, its networks in `T`.
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

impl BackendError for Infallible {
    fn kind(&self) -> ErrorKind {
        match *self {}
    }
}
