//! The `Shadow` backend: two backends run stage by stage and compared.

mod error;
mod inspect;
mod learn;
mod simulate;

pub use error::ShadowError;
pub use learn::ShadowAgent;

use recsim_core::backend::{Backend, BackendTypes};

/// A backend that runs two backends stage by stage, compares them after each stage, and fails with
/// [`ShadowError::Differ`] where they differ. Its results are those of the first.
///
/// - Simulation: given the same actions, both must have the same bits in initial beliefs, slates, acceptances, beliefs,
///   rewards and tallies.
/// - Acting: after `act` the actions must agree to [`Tolerance::action`], and after `rerank` to the bit except for the
///   share of users in [`Tolerance::reranked`]. Then the second backend gets the first one's actions.
/// - Learning: when the losses are taken, at the end of a training session, losses and agents must agree to the other
///   tolerances. Then the second backend gets the first one's agent, so differences do not accumulate over a run.
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

/// How far two backends may differ in acting and learning.
///
/// They add the same values in different orders, in `f32`: a sum of a few hundred products has an error of some `1e-6`
/// of its terms' size, and a backward pass through a network a somewhat larger one. Two effects amplify it. A ReLU
/// whose input is nearly 0 may be active on one backend and inactive on the other, so that its part of the gradient is
/// missing on one. And Adam divides a gradient by its own size, so that a component that is nothing but rounding, such
/// as a bias in front of BatchNorm, may move in either direction. Both are rare, so moments and weights are compared by
/// the Euclidean norm of the difference.
///
/// The CPU backend is within `1e-6` of the reference backend in double precision in everything at hidden widths of 19
/// and 12, and at widths of 128, 128 and 64 within `1e-7` in actions, `4e-6` in losses and `4e-3` in moments and
/// weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Largest difference of an action's component, in units of `max_action`. Default 1e-5.
    pub action: f64,
    /// Largest difference of a sum in [`Losses`](recsim_core::td3::Losses), in units of the larger of the sum and the
    /// number of updates. Default 1e-4.
    pub losses: f64,
    /// Largest norm of the difference of a buffer of Adam's moments, in units of the first one's norm. Default 1e-2.
    pub moments: f64,
    /// Largest norm of the difference of a network's or target's buffer, in units of the norm of the first one's change
    /// in the training session. Default 0.1.
    pub weights: f64,
    /// Largest difference in saturated action components, as a share of all components. Default 1e-3.
    pub saturated: f64,
    /// Largest share of a batch's users whose re-ranked actions differ; one user is always allowed. Default 0.01.
    /// Critics disagree where two candidates have nearly equal values; the comparison does not examine the values.
    pub reranked: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { action: 1e-5, losses: 1e-4, moments: 1e-2, weights: 0.1, saturated: 1e-3, reranked: 0.01 }
    }
}

impl<A: Backend, B: Backend> Shadow<A, B> {
    /// Runs `first` and compares it with `second`, to the default tolerance.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second, tolerance: Tolerance::default() }
    }

    /// Replaces the tolerance.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Tolerance) -> Self {
        Self { tolerance, ..self }
    }
}

/// A batch or a replay buffer on both backends.
#[derive(Clone, Debug)]
pub struct ShadowPair<A, B> {
    pub(crate) first: A,
    pub(crate) second: B,
}

/// A world on both backends.
#[derive(Clone, Debug)]
pub struct ShadowWorld<A, B> {
    pub(crate) first: A,
    pub(crate) second: B,
    /// Items of a slate that an action chooses. Both backends must have chosen them when `recommend` returns.
    pub(crate) rl_slots: usize,
}

impl<A: Backend, B: Backend> BackendTypes for Shadow<A, B> {
    type Error = ShadowError<A::Error, B::Error>;
    type World = ShadowWorld<A::World, B::World>;
    type Batch = ShadowPair<A::Batch, B::Batch>;
    type Agent = ShadowAgent<A, B>;
    type Replay = ShadowPair<A::Replay, B::Replay>;
}
