//! Two backends run as one, each checked by the other.

mod error;
mod inspect;
mod learn;
mod simulate;

pub use error::ShadowError;
pub use learn::Agent;

use recsim_core::backend::{Backend, BackendTypes};

/// A backend that runs two, stage by stage, and errs where they differ; its results are the first one's.
///
/// - Given the same actions the users' side must agree bit for bit: initial beliefs, slates, acceptances, beliefs,
///   rewards, tallies.
/// - After `act` the actions must agree to [`Tolerance::action`], and after `refine` bit for bit but for the users that
///   [`Tolerance::refined`] allows; then the second backend gets the first one's.
/// - After a learning session (`losses`) what was reported and the agents must agree to the other tolerances; then the
///   second backend gets the first one's agent. So differences do not add up over a run.
///
/// ```
/// use recsim_conformance::shadow::Shadow;
/// use recsim_core::backend::reference::Reference;
/// let backend = Shadow::new(Reference::<f32>::default(), Reference::<f64>::default());
/// ```
#[derive(Clone, Debug)]
pub struct Shadow<A, B> {
    first: A,
    second: B,
    tolerance: Tolerance,
}

/// How far the agents' sides of two backends may lie apart.
///
/// They add the same numbers in different orders, in `f32`: a sum of a few hundred products errs by some `1e-6` of its
/// terms' size, and a backward pass through a network by a little more. Two things make more of it. A unit whose sum is
/// nearly 0 may be open on one backend and shut on the other, and its part of the gradient is there or not. And Adam
/// divides a gradient by its own size, so that a component which is nothing but rounding, such as a bias before a
/// BatchNorm, may step either way. Both are rare, so moments and weights are compared by length.
///
/// The CPU backend is within `1e-6` of the plain one in double precision in everything at widths of 19 and 12, and at
/// widths of 128, 128 and 64 within `1e-7` in actions, `4e-6` in losses and `4e-3` in moments and weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Of an action's component, in units of `max_action`: 1e-5.
    pub action: f64,
    /// Of a sum that [`Losses`](recsim_core::td3::Losses) holds, in units of itself or 1 per update: 1e-4.
    pub losses: f64,
    /// Of a buffer of Adam's moments, by the length of the difference in units of the first one's length: 1e-2.
    pub moments: f64,
    /// Of a network's or target's buffer, by the length of the difference in units of the way that the first one's moved
    /// in the session: 0.1.
    pub weights: f64,
    /// Share of the components that only one backend may count as saturated: 1e-3.
    pub saturated: f64,
    /// Share of a batch's users about whose candidates the critics may disagree, and always one of them: 0.01. They do where
    /// two values are nearly equal, which is not looked into.
    pub refined: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { action: 1e-5, losses: 1e-4, moments: 1e-2, weights: 0.1, saturated: 1e-3, refined: 0.01 }
    }
}

impl<A: Backend, B: Backend> Shadow<A, B> {
    /// Runs `first`, checked by `second`, to the default tolerance.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second, tolerance: Tolerance::default() }
    }

    /// The same, to another tolerance.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Tolerance) -> Self {
        Self { tolerance, ..self }
    }
}

/// What two backends keep of one thing.
#[derive(Clone, Debug)]
pub struct Pair<A, B> {
    pub(crate) first: A,
    pub(crate) second: B,
}

/// What two backends keep of a world.
#[derive(Clone, Debug)]
pub struct Stage<A, B> {
    pub(crate) first: A,
    pub(crate) second: B,
    /// Items of a slate that an action chooses: what both must have chosen before users respond.
    pub(crate) chosen: usize,
}

impl<A: Backend, B: Backend> BackendTypes for Shadow<A, B> {
    type Error = ShadowError<A::Error, B::Error>;
    type World = Stage<A::World, B::World>;
    type Batch = Pair<A::Batch, B::Batch>;
    type Agent = Agent<A, B>;
    type Replay = Pair<A::Replay, B::Replay>;
}
