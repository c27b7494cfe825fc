//! The seam between the loop and a device, cut at the stages of the loop.
//!
//! Core owns the order of things, the schedule, the key of every draw and the layout of every tensor; a backend owns
//! storage and batching. [`Simulate`] and [`Learn`] may enqueue work and return before it is done; only [`Inspect`]
//! waits. A backend may assume what [`World::new`] and [`Config::plan`](crate::session::config::Config::plan) check, and that
//! methods are called with what the same backend made.

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

/// What a device keeps, opaque to everyone else.
pub trait BackendTypes {
    /// Why the device could not do it.
    type Error: BackendError;
    /// Items, embeddings, pre-trained lists, initial beliefs, rules.
    type World;
    /// A range of users with their beliefs, and what [`Inspect::tally`] counts of their last round. Its states, actions,
    /// slates and acceptances need be there from [`Simulate::observe`] or [`Inspect::restore`] until another batch is
    /// observed or restored, or, once observed, until the batch has responded.
    type Batch;
    /// Networks, targets, optimizer.
    type Agent;
    /// The ring of transitions.
    type Replay;
}

/// The users' side: everything here gives the same bits on every backend, given the same actions.
pub trait Simulate: BackendTypes {
    /// Brings a world to the device.
    fn load_world(&mut self, world: &World<'_>, environment: &EnvironmentSpec) -> Result<Self::World, Self::Error>;

    /// Makes room for the users in `users`, their beliefs the initial ones.
    fn create_batch(&mut self, world: &Self::World, users: Range<usize>) -> Result<Self::Batch, Self::Error>;

    /// Sets the beliefs to their initial values.
    fn reset(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error>;

    /// Lays out the states, `[users, K + D]`: beliefs, each multiplied by its
    /// [scale](crate::model::EnvironmentSpec::belief_scales), then the user's embedding.
    fn observe(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error>;

    /// Replaces the actions of the users that explore an item ([`explore::explored_item`](crate::td3::explore::explored_item)) by the one that
    /// aims at it ([`explore::action_toward`](crate::td3::explore::action_toward)): at its row as it is scored.
    fn explore(
        &mut self,
        world: &Self::World,
        batch: &mut Self::Batch,
        trial: &ItemExploration,
    ) -> Result<(), Self::Error>;

    /// Chooses the first `chosen` items of the slates: those with the best [`score`](crate::model::slate::score) for the
    /// batch's action, ties to the lower index, best first. The rest is filled from the pre-trained list as
    /// [`fill`](crate::model::slate::fill_from_pretrained) has it, here or in [`Simulate::respond`].
    fn recommend(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error>;

    /// Puts items of the caller's choice first on the slates, instead of what an action would choose: `[users, width]`, a
    /// row a user, distinct in each row, of the world; `width` is anything from 0 to `shown`. The rest is filled as in
    /// [`Simulate::recommend`].
    ///
    /// # Panics
    /// It may, where `items` are no such table.
    fn show(&mut self, world: &Self::World, batch: &mut Self::Batch, items: &[u32]) -> Result<(), Self::Error>;

    /// Lets every user respond to the slate as [`user::step`](crate::model::user::step) has it. User `u` (the index in the
    /// world) draws from `round.fold_in(u)`. The transitions are appended to the ring, in user order
    /// ([`ReplayIndex`](crate::td3::replay::ReplayIndex)); without one they are not kept.
    fn respond(
        &mut self,
        world: &Self::World,
        batch: &mut Self::Batch,
        round: Key,
        replay: Option<&mut Self::Replay>,
    ) -> Result<(), Self::Error>;

    /// A ring for up to `capacity` of this world's transitions, which begins with `transitions`: none, or all that
    /// [`Inspect::transitions`] showed of a ring of the same capacity.
    ///
    /// # Panics
    /// It may, where `transitions` are not of this world, or not all that the ring would hold.
    fn create_replay(
        &mut self,
        world: &Self::World,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Self::Replay, Self::Error>;
}

/// The agent's side: reproducible on one backend and instruction set, close between backends.
pub trait Learn: BackendTypes {
    /// Brings an agent to the device, as [`Inspect::export_agent`] has it.
    fn load_agent(&mut self, learner: &AgentSpec, state: &AgentState) -> Result<Self::Agent, Self::Error>;

    /// Fills the batch's actions, `[users, D]`: the actor in evaluation mode, times `max_action`, and if `exploration`
    /// is given, normal noise on it and a clip to plus or minus `max_action`
    /// ([`perturb`](crate::td3::perturb)). User `u` takes dimensions `2i` and `2i + 1` of its noise from
    /// `normal_pair(exploration.fold_in(u).fold_in(i))`.
    ///
    /// A user's action does not depend on who else is in the batch. Where learning has diverged it may be no finite
    /// number: then a backend may fail with [`ErrorKind::NotFinite`], here or when the action is next used, and if it
    /// does not, nothing is said about what it recommends.
    fn act(
        &mut self,
        agent: &Self::Agent,
        batch: &mut Self::Batch,
        exploration: Option<Key>,
    ) -> Result<(), Self::Error>;

    /// Replaces each action by the one that the first critic, in evaluation mode, values most in the user's state, of the
    /// action itself and those that [aim](crate::td3::explore::action_toward) at the [`candidates`](crate::td3::AgentSpec::candidates) items with
    /// the best [`score`](crate::model::slate::score)s for it, ties to the lower index. Of equal values the action's comes first,
    /// then the better score's; what is no number is no value. Without candidates, actions stay.
    ///
    /// Critic re-ranking after Dulac-Arnold and others, "Deep Reinforcement Learning in Large Discrete Action Spaces", 2015.
    /// As in [`Learn::act`], nobody's action depends on who else is in the batch, and one that is no finite number may be an
    /// error.
    fn rerank(
        &mut self,
        world: &Self::World,
        agent: &Self::Agent,
        batch: &mut Self::Batch,
    ) -> Result<(), Self::Error>;

    /// One update (`docs/spec.md`, section 4.7): samples a minibatch of transitions, with states as [`Simulate::observe`] lays
    /// them out; steps both critics (targets, loss, gradients, clip, Adam); and with `with_policy`, steps the actor on the
    /// same minibatch and then soft-updates all targets.
    ///
    /// `replay` holds at least one transition. The losses are added to those that [`Inspect::take_losses`] returns.
    ///
    /// # Errors
    /// The backend failed. The agent's state is then unspecified.
    fn update(
        &mut self,
        world: &Self::World,
        replay: &Self::Replay,
        agent: &mut Self::Agent,
        keys: &UpdateKeys,
        with_policy: bool,
    ) -> Result<(), Self::Error>;
}

/// Looking at what a device holds, and putting it back. These wait for all work enqueued before; what they give
/// [`Pending`] need not be waited for.
pub trait Inspect: BackendTypes {
    /// Counts and sums over the batches, of the last round. Sums are exact ([`ExactSum`](crate::model::ExactSum)), so they
    /// do not depend on how users are batched.
    fn tally(&mut self, world: &Self::World, batches: &[Self::Batch]) -> Result<Tally, Self::Error>;

    /// Where the time of the batches' last round went on the device: `policy`, `matching` and `step`. None of a device
    /// whose stages are done when their calls return, as whoever calls can see the time itself.
    fn stage_seconds(&mut self, _batches: &[Self::Batch]) -> Result<Option<StageSeconds>, Self::Error> {
        Ok(None)
    }

    /// What the updates since the last call reported, summed in their order.
    fn take_losses(&mut self, agent: &mut Self::Agent) -> Result<Losses, Self::Error>;

    /// The batch's last round, if no other batch was observed or restored since it responded: else only beliefs and rewards
    /// are sure to be its.
    fn snapshot(&mut self, batch: &Self::Batch) -> Result<RoundSnapshot, Self::Error>;

    /// The batch's beliefs now, `[users, K]`: what [`Inspect::snapshot`] has of them.
    fn beliefs(&mut self, batch: &Self::Batch) -> Result<Pending<Vec<f32>, Self::Error>, Self::Error> {
        Ok(Pending::ready(self.snapshot(batch)?.belief))
    }

    /// Makes the batch's last round the one in `snapshot`, which has its users, and slates of the world's items.
    ///
    /// # Panics
    /// It may, where `snapshot` has another batch's sizes, or items that are not there.
    fn restore(&mut self, batch: &mut Self::Batch, snapshot: &RoundSnapshot) -> Result<(), Self::Error>;

    /// The last `count` transitions that the ring was brought, or all it holds if those are fewer.
    fn transitions(
        &mut self,
        replay: &Self::Replay,
        count: usize,
    ) -> Result<Pending<Transitions, Self::Error>, Self::Error>;

    /// The agent as it is, with the losses that [`Inspect::take_losses`] would give.
    fn export_agent(&mut self, agent: &Self::Agent) -> Result<Pending<AgentState, Self::Error>, Self::Error>;
}

/// Everything a loop needs.
pub trait Backend: Simulate + Learn + Inspect {}
impl<B: Simulate + Learn + Inspect> Backend for B {}

/// A batch's last round on the host; tables are row-major, a row a user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundSnapshot {
    /// The users, by index in the world.
    pub users: Range<usize>,
    /// `[users, D]`
    pub action: Vec<f32>,
    /// `[users, shown]`
    pub slate: Vec<u32>,
    /// `[users, shown]`
    pub accepted: Vec<bool>,
    /// `[users, K]`, before the round
    pub belief_before: Vec<f32>,
    /// `[users, K]`, now
    pub belief: Vec<f32>,
    /// `[users]`
    pub reward: Vec<f32>,
}

/// Seconds by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageSeconds {
    /// Observing and acting.
    pub policy: f64,
    /// Filling slates.
    pub matching: f64,
    /// Responding, transitions written into the ring, and counting.
    pub step: f64,
    /// Learning.
    pub training: f64,
    /// All of it.
    pub total: f64,
}

impl StageSeconds {
    /// The seconds of a stage.
    pub(crate) fn of_stage(&mut self, stage: round::RoundStage) -> &mut f64 {
        match stage {
            round::RoundStage::Policy => &mut self.policy,
            round::RoundStage::Matching => &mut self.matching,
            round::RoundStage::Step => &mut self.step,
        }
    }
}

/// An error that can say of which sort it is.
pub trait BackendError: core::error::Error + Send + Sync + 'static {
    /// The sort.
    fn kind(&self) -> ErrorKind;
}

/// What sort of thing went wrong, whatever the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The device, or software it needs, is not there.
    Unavailable,
    /// The device has not the memory.
    OutOfMemory,
    /// A number that should be finite is not.
    NotFinite,
    /// The device failed.
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
