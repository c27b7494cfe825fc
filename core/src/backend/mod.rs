//! The interface between the training loop and a device, divided into the stages of the loop.
//!
//! Core decides the order of the stages, the schedule, the key of every draw and the layout of every tensor. A
//! backend stores the arrays and computes. Its objects are opaque to core: a world, batches of users, an agent, a
//! replay buffer.
//!
//! ```text
//!   Simulate   load_world   create_batch   create_replay      reset  observe  explore  recommend | show  respond
//!   Learn      load_agent                                     act  rerank  update
//!   Inspect    tally  stage_seconds  take_losses  snapshot  beliefs  restore  transitions  export_agent
//! ```
//!
//! | item | contents |
//! |---|---|
//! | [`BackendTypes`] | the types of a backend's objects and its error |
//! | [`Simulate`] | the users' side: the same bits on every backend |
//! | [`Learn`] | the agent's side: reproducible on one backend |
//! | [`Inspect`] | reading and writing a device's state |
//! | [`Backend`] | all of them |
//! | [`round`] | the order of the stages in a round, as functions |
//! | [`Pending`] | a result that a device may still be computing |
//! | [`ParallelFor`] | a loop over rows, on one thread or on many |
//! | [`mod@reference`] | the reference implementation |
//!
//! # Rules for all methods
//!
//! - **Arguments.** Objects are passed only to the backend that made them, and batches, agents and replay buffers only
//!   together with the world and the sizes that they were made for. A backend may assume what [`World::new`] and
//!   [`Config::plan`](crate::session::config::Config::plan) check.
//! - **Waiting.** [`Simulate`] and [`Learn`] may enqueue work and return before it is done. [`Inspect`] waits for all
//!   work that was enqueued before. Methods take effect in the order of their calls.
//! - **Errors.** A method fails if the device fails; [`BackendError::kind`] says how. An error of enqueued work may
//!   be returned by any later call. After an error, the batch, agent or replay buffer that the failed method writes
//!   to is in an unspecified state.
//! - **Order.** Arrays are row-major, and rows of users are in the order of the world. Of equal scores the lower item
//!   index comes first. No result depends on how users are divided into batches, or on the number of threads.

mod parallel;
mod pending;
pub mod reference;
pub mod round;

pub use parallel::{ParallelFor, Sequential};
pub use pending::Pending;

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::model::rng::Key;
use crate::model::{EnvironmentSpec, Tally};
use crate::td3::explore::ItemExploration;
use crate::td3::replay::Transitions;
use crate::td3::{AgentSpec, AgentState, Losses, UpdateKeys};
use crate::world::World;

/// The types of the objects that a backend stores on its device.
pub trait BackendTypes {
    /// The error of a device that fails.
    type Error: BackendError;
    /// A world: items, users' embeddings, pre-trained lists and initial beliefs, and the environment's settings.
    type World;
    /// A range of users: their beliefs, and their last round.
    ///
    /// Beliefs, rewards and what [`Inspect::tally`] counts belong to the batch. The memory of states, actions, slates,
    /// acceptances and the beliefs before the round may be shared between batches. Their values are valid from
    /// [`Simulate::observe`] until the batch has responded; then, as after [`Inspect::restore`], until another batch is
    /// observed or restored. The rounds of several batches may therefore be interleaved.
    type Batch;
    /// An agent: networks, targets and the optimizer's state.
    type Agent;
    /// A replay buffer.
    type Replay;
}

/// The users' side of a backend. Given the same actions, every method has the same bits on every backend.
pub trait Simulate: BackendTypes {
    /// Loads a world and the environment's settings onto the device. The result borrows nothing.
    ///
    /// # Errors
    /// If the device fails or lacks the memory.
    fn load_world(&mut self, world: &World<'_>, environment: &EnvironmentSpec) -> Result<Self::World, Self::Error>;

    /// Creates a batch of the users with indices `users`, a non-empty range of the world's, with their initial beliefs.
    ///
    /// # Errors
    /// If the device fails or lacks the memory.
    fn create_batch(&mut self, world: &Self::World, users: Range<usize>) -> Result<Self::Batch, Self::Error>;

    /// Sets the batch's beliefs to their initial values.
    ///
    /// # Errors
    /// If the device fails.
    fn reset(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error>;

    /// Computes the batch's states, `[users, K + D]`, and starts its round.
    ///
    /// A state is the user's beliefs, each multiplied by its
    /// [scale](crate::model::EnvironmentSpec::belief_scales), and then the user's embedding.
    ///
    /// # Errors
    /// If the device fails or lacks the memory.
    fn observe(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error>;

    /// Replaces the actions of the users that explore an item.
    ///
    /// [`explored_item`](crate::td3::explore::explored_item) decides which users explore and which item, with the key
    /// `exploration.key.fold_in(user)` and the user's index in the world.
    /// [`action_toward`](crate::td3::explore::action_toward) computes the action from the item's row as it is scored.
    /// All other actions keep their bits.
    ///
    /// # Errors
    /// If the device fails.
    fn explore(
        &mut self,
        world: &Self::World,
        batch: &mut Self::Batch,
        exploration: &ItemExploration,
    ) -> Result<(), Self::Error>;

    /// Selects the items of the slates for the batch's actions.
    ///
    /// The first [`rl_slots`](EnvironmentSpec::rl_slots) items are those with the highest
    /// [`score`](crate::model::slate::score) for the user's action, best first; of equal scores the lower index comes
    /// first. The other slots are filled by [`fill_from_pretrained`](crate::model::slate::fill_from_pretrained), here
    /// or in [`Simulate::respond`].
    ///
    /// # Errors
    /// If the device fails. If an action has a component that is not finite, it may fail with [`ErrorKind::NotFinite`];
    /// otherwise the slates of such users contain arbitrary items of the world.
    fn recommend(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error>;

    /// Puts items of the caller's choice first on the slates, in place of those that an action would select.
    ///
    /// `items` is `[users, width]` for any `width` from 0 to [`slate_len`](EnvironmentSpec::slate_len): item indices of
    /// the world, without repeats in a row. The other slots are filled as in [`Simulate::recommend`]. The items are
    /// copied before the method returns.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// May panic if `items` has another shape or contains an index that is not in the world.
    fn show(&mut self, world: &Self::World, batch: &mut Self::Batch, items: &[u32]) -> Result<(), Self::Error>;

    /// Lets every user respond to the slate: one [`step`](crate::model::user::step) a user.
    ///
    /// User `u`, an index in the world, draws the acceptances from `round.fold_in(u)`. With a replay buffer, the
    /// transitions are inserted in user order, at the offsets that [`ReplayIndex`](crate::td3::replay::ReplayIndex)
    /// returns; a transition has the batch's action. Without one they are not stored.
    ///
    /// # Errors
    /// If the device fails.
    fn respond(
        &mut self,
        world: &Self::World,
        batch: &mut Self::Batch,
        round: Key,
        replay: Option<&mut Self::Replay>,
    ) -> Result<(), Self::Error>;

    /// Creates a replay buffer for `capacity` transitions of this world, at least 1, and inserts `transitions`.
    ///
    /// `transitions` is empty, or all that [`Inspect::transitions`] returned of a buffer with the same capacity. In the
    /// second case the new buffer has every transition at the same index as the old one.
    ///
    /// # Errors
    /// If the device fails or lacks the memory.
    ///
    /// # Panics
    /// May panic if `transitions` has the sizes of another world or is only a part of what the buffer would hold.
    fn create_replay(
        &mut self,
        world: &Self::World,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Self::Replay, Self::Error>;
}

/// The agent's side of a backend.
///
/// Results are the same bits on one backend, device kind, precision and instruction set. Between backends they are
/// close; `docs/spec.md`, section 5.6, What may differ, has the bounds.
pub trait Learn: BackendTypes {
    /// Loads an agent onto the device. [`Inspect::export_agent`] is the inverse.
    ///
    /// # Errors
    /// If the device fails or lacks the memory.
    fn load_agent(&mut self, spec: &AgentSpec, state: &AgentState) -> Result<Self::Agent, Self::Error>;

    /// Computes the batch's actions, `[users, D]`, from its states.
    ///
    /// An action is `tanh` of the actor's output in evaluation mode, times `max_action`. With `exploration`, it is
    /// [perturbed](crate::td3::perturb) by normal noise. The noise on dimensions `2i` and `2i + 1` of user `u`, an
    /// index in the world, is `normal_pair(exploration.fold_in(u).fold_in(i))`. Saturated components are counted
    /// before noise.
    ///
    /// The batch was observed since its last response. A user's action does not depend on the other users in the batch.
    ///
    /// # Errors
    /// If the device fails. If learning has diverged and an action is not finite, this method or the next one that uses
    /// the action may fail with [`ErrorKind::NotFinite`].
    fn act(
        &mut self,
        agent: &Self::Agent,
        batch: &mut Self::Batch,
        exploration: Option<Key>,
    ) -> Result<(), Self::Error>;

    /// Critic re-ranking: replaces each action by the candidate that the first critic values most.
    ///
    /// The candidates are the action itself and the [`action_toward`](crate::td3::explore::action_toward) each of the
    /// [`candidates`](crate::td3::AgentSpec::candidates) items with the highest
    /// [`score`](crate::model::slate::score)s for the action; of equal scores the lower index comes first. The critic
    /// is in evaluation mode and sees the user's state. Candidates are compared in this order, the action first and
    /// the items by falling score, and a later one wins only if its value is larger. A value of NaN therefore never
    /// replaces an action. If `candidates` is 0, actions do not change.
    ///
    /// This is the Wolpertinger policy (Dulac-Arnold and others, "Deep Reinforcement Learning in Large Discrete Action
    /// Spaces", 2015) over virtual items. A user's action does not depend on the other users in the batch.
    ///
    /// # Errors
    /// If the device fails. If an action is not finite, it may fail with [`ErrorKind::NotFinite`].
    fn rerank(
        &mut self,
        world: &Self::World,
        agent: &Self::Agent,
        batch: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// One update of the agent (`docs/spec.md`, section 4.7, Update), in this order:
    ///
    /// 1. sample a minibatch of transitions from `replay`, which holds at least one, with states as
    ///    [`Simulate::observe`] computes them;
    /// 2. compute the target values, with the target networks in evaluation mode;
    /// 3. step both critics: loss, gradients, clipping, Adam, running statistics;
    /// 4. with `with_policy`, step the actor on the same states, with the first critic after its step in evaluation
    ///    mode; then soft-update all targets, parameters and running statistics.
    ///
    /// The losses are added to those that [`Inspect::take_losses`] returns. Values that are not finite are no error
    /// here; they show in the losses.
    ///
    /// # Errors
    /// If the device fails.
    fn update(
        &mut self,
        world: &Self::World,
        replay: &Self::Replay,
        agent: &mut Self::Agent,
        keys: &UpdateKeys,
        with_policy: bool,
    ) -> Result<(), Self::Error>;
}

/// Reading and writing a device's state. Every method waits for all work that was enqueued before; work that a returned
/// [`Pending`] waits for may still be under way.
pub trait Inspect: BackendTypes {
    /// The counts and sums of the batches' last round.
    ///
    /// The sums are exact ([`ExactSum`](crate::model::ExactSum)), so they do not depend on how users are divided into
    /// batches.
    ///
    /// # Errors
    /// If the device fails.
    fn tally(&mut self, world: &Self::World, batches: &[Self::Batch]) -> Result<Tally, Self::Error>;

    /// The seconds of the batches' last round by stage, as the device measured them: `policy`, `matching` and `step`.
    ///
    /// Returns `None` for a backend whose stages are done when the methods return. Its caller can measure the time.
    ///
    /// # Errors
    /// If the device fails.
    fn stage_seconds(&mut self, _batches: &[Self::Batch]) -> Result<Option<StageSeconds>, Self::Error> {
        Ok(None)
    }

    /// The losses since the last call, or since the agent was loaded, added in the order of the updates. Sets them to
    /// 0.
    ///
    /// # Errors
    /// If the device fails.
    fn take_losses(&mut self, agent: &mut Self::Agent) -> Result<Losses, Self::Error>;

    /// A copy of the batch's last round.
    ///
    /// Users, beliefs and rewards are always the batch's. The other arrays are those of its last round only while their
    /// values are valid (see [`BackendTypes::Batch`]).
    ///
    /// # Errors
    /// If the device fails.
    fn snapshot(&mut self, batch: &Self::Batch) -> Result<RoundSnapshot, Self::Error>;

    /// A copy of the batch's beliefs at the time of the call, `[users, K]`.
    ///
    /// The default implementation takes them from [`Inspect::snapshot`].
    ///
    /// # Errors
    /// If the device fails, here or in [`Pending::wait`].
    fn beliefs(&mut self, batch: &Self::Batch) -> Result<Pending<Vec<f32>, Self::Error>, Self::Error> {
        Ok(Pending::ready(self.snapshot(batch)?.belief))
    }

    /// Sets the batch's last round to `snapshot`: actions, slates, acceptances, beliefs and rewards.
    ///
    /// `snapshot` is of a batch with the same users, and its slates contain items of the world.
    ///
    /// # Errors
    /// If the device fails or lacks the memory.
    ///
    /// # Panics
    /// May panic if an array of `snapshot` has another length or a slate contains an index that is not in the world.
    fn restore(&mut self, batch: &mut Self::Batch, snapshot: &RoundSnapshot) -> Result<(), Self::Error>;

    /// A copy of the last `count` transitions that were inserted, the oldest first, or of all that the buffer holds if
    /// there are fewer. Later insertions do not change the copy.
    ///
    /// # Errors
    /// If the device fails, here or in [`Pending::wait`].
    fn transitions(
        &mut self,
        replay: &Self::Replay,
        count: usize,
    ) -> Result<Pending<Transitions, Self::Error>, Self::Error>;

    /// A copy of the agent at the time of the call, with the losses that [`Inspect::take_losses`] would return. Later
    /// updates do not change the copy.
    ///
    /// # Errors
    /// If the device fails, here or in [`Pending::wait`].
    fn export_agent(&mut self, agent: &Self::Agent) -> Result<Pending<AgentState, Self::Error>, Self::Error>;
}

/// Everything that the training loop needs of a device. Every type with the three traits is a backend.
pub trait Backend: Simulate + Learn + Inspect {}
impl<B: Simulate + Learn + Inspect> Backend for B {}

/// A batch's last round on the host. Arrays are row-major, one row for each user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundSnapshot {
    /// The users, as indices in the world.
    pub users: Range<usize>,
    /// The actions: `[users, D]`.
    pub action: Vec<f32>,
    /// The items on the slates: `[users, N]`.
    pub slate: Vec<u32>,
    /// Whether each item was accepted: `[users, N]`.
    pub accepted: Vec<bool>,
    /// The beliefs before the round: `[users, K]`.
    pub belief_before: Vec<f32>,
    /// The beliefs now: `[users, K]`.
    pub belief: Vec<f32>,
    /// The rewards: `[users]`.
    pub reward: Vec<f32>,
}

/// Seconds by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageSeconds {
    /// Observe, act, re-rank and explore.
    pub policy: f64,
    /// Recommend.
    pub matching: f64,
    /// Respond, insert the transitions and count.
    pub step: f64,
    /// Updates.
    pub training: f64,
    /// The whole round.
    pub total: f64,
}

impl StageSeconds {
    /// The seconds of one stage of a round.
    pub(crate) fn of_stage(&mut self, stage: round::RoundStage) -> &mut f64 {
        match stage {
            round::RoundStage::Policy => &mut self.policy,
            round::RoundStage::Matching => &mut self.matching,
            round::RoundStage::Step => &mut self.step,
        }
    }
}

/// The error of a backend. It can cross threads, and [`BackendError::kind`] classifies it.
pub trait BackendError: core::error::Error + Send + Sync + 'static {
    /// The kind of the error.
    fn kind(&self) -> ErrorKind;
}

/// The kind of an error, the same for every backend. A caller can decide by it what to suggest to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The device, or software that it needs, is not available on this machine.
    Unavailable,
    /// The device has too little memory.
    OutOfMemory,
    /// A value that must be finite is NaN or infinite.
    NotFinite,
    /// The device failed in another way.
    Failed,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "unavailable",
            Self::OutOfMemory => "out of memory",
            Self::NotFinite => "not a finite number",
            Self::Failed => "failed",
        })
    }
}
