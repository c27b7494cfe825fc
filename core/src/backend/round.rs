//! The order of the stages in a round and in an update (`docs/spec.md`, section 3.1, Order of stages).
//!
//! The order is written here once. The training loop, policies, benchmarks and commands call these functions.
//!
//! | function | stages, in order |
//! |---|---|
//! | [`choose_actions`] | observe, act, re-rank, explore |
//! | [`play_round`] | [`choose_actions`], recommend, respond |
//! | [`run_update`] | one update of the critics, and of the policy at every `policy_freq`-th |
//!
//! A training round of two batches and one update, with the reference backend:
//!
//! ```
//! use recsim_core::backend::reference::Reference;
//! use recsim_core::backend::round::{RoundKeys, RoundStage, play_round, run_update};
//! use recsim_core::backend::{Inspect, Learn, Simulate};
//! use recsim_core::session::config::Config;
//! use recsim_core::td3::replay::Transitions;
//! use recsim_core::world::{SyntheticWorldConfig, brute_force_lists, generate};
//!
//! // A world of 20 users, and a plan: the configuration, checked against the world.
//! let world_config =
//!     SyntheticWorldConfig { users: 20, items: 60, clusters: 3, dimensions: 4, pretrained_len: 8, seed: 0 };
//! let owned_world = generate(&world_config, brute_force_lists);
//! let world = owned_world.view()?;
//! let mut config = Config::default();
//! (config.recommendation.rl_list_size, config.recommendation.total_recommendations) = (2, 4);
//! config.td3.batch_size = 8;
//! config.td3.hidden_sizes = vec![16];
//! let plan = config.plan(&world)?;
//!
//! // Everything moves to the device.
//! let mut backend = Reference::<f32>::default();
//! let device_world = backend.load_world(&world, &plan.environment)?;
//! let mut batches =
//!     [backend.create_batch(&device_world, 0..12)?, backend.create_batch(&device_world, 12..20)?];
//! let mut agent = backend.load_agent(&plan.agent, &plan.agent.initial_agent(plan.seed))?;
//! let mut replay = backend.create_replay(&device_world, 1_000, &Transitions::default())?;
//!
//! // Episode 1, round 1: every batch, then what the round's users did.
//! let keys = RoundKeys::new(plan.seed, 1, 1, &plan.agent);
//! let mut stages = Vec::new();
//! for batch in &mut batches {
//!     let finished = &mut |stage| stages.push(stage);
//!     play_round(&mut backend, &device_world, &agent, batch, &mut replay, &keys, finished)?;
//! }
//! assert_eq!(stages[..3], [RoundStage::Policy, RoundStage::Matching, RoundStage::Step]);
//! let tally = backend.tally(&device_world, &batches)?;
//! assert_eq!((tally.users, tally.shown), (20, 20 * 4));
//!
//! // The first update of the run. With `policy_freq` 2 it updates the critics alone.
//! let (update, policy_freq) = (1, plan.agent.td3.policy_freq);
//! run_update(&mut backend, &device_world, &replay, &mut agent, (plan.seed, update, policy_freq))?;
//! let losses = backend.take_losses(&mut agent)?;
//! assert_eq!((losses.critic_updates, losses.policy_updates), (1, 0));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use super::{Backend, Learn, Simulate};
use crate::model::rng::{Key, Purpose};
use crate::td3::explore::ItemExploration;
use crate::td3::{AgentSpec, UpdateKeys, is_policy_update};

/// The keys of the random draws of one training round. All batches of the round share them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundKeys {
    /// How actions explore.
    pub exploration: Exploration,
    /// User `u`, an index in the world, draws the acceptances from `acceptance.fold_in(u)`.
    pub acceptance: Key,
}

/// How the actions of a training round explore.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exploration {
    /// The key of the noise on actions; see [`Learn::act`].
    pub noise: Key,
    /// Which users explore an item instead; `None` if no user does.
    pub items: Option<ItemExploration>,
}

impl RoundKeys {
    /// The keys of a round of the run with this seed. `episode` and `round`, the round in the episode, count from 1.
    pub fn new(seed: u64, episode: u32, round: u32, agent: &AgentSpec) -> Self {
        let key = |purpose| Key::new(seed, purpose).fold_in(u64::from(episode)).fold_in(u64::from(round));
        let items = agent.item_exploration(key(Purpose::ExplorationItem));
        let exploration = Exploration { noise: key(Purpose::Exploration), items };
        Self { exploration, acceptance: key(Purpose::Acceptance) }
    }
}

/// The stages of a round whose time is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundStage {
    /// Observe, act, re-rank and explore: [`choose_actions`].
    Policy,
    /// Recommend.
    Matching,
    /// Respond.
    Step,
}

/// Computes the batch's actions: [observe](Simulate::observe), [act](Learn::act), [re-rank](Learn::rerank) and, with
/// `exploration`, [explore](Simulate::explore).
///
/// Without `exploration` the actions are those of an evaluation: no noise, and no user explores an item.
///
/// # Errors
/// The backend's, of the first stage that fails. The later stages are not run.
pub fn choose_actions<B: Simulate + Learn>(
    backend: &mut B,
    world: &B::World,
    agent: &B::Agent,
    batch: &mut B::Batch,
    exploration: Option<&Exploration>,
) -> Result<(), B::Error> {
    backend.observe(world, batch)?;
    backend.act(agent, batch, exploration.map(|exploration| exploration.noise))?;
    backend.rerank(world, agent, batch)?;
    match exploration.and_then(|exploration| exploration.items) {
        Some(items) => backend.explore(world, batch, &items),
        None => Ok(()),
    }
}

/// Plays one training round of one batch: [`choose_actions`], [recommend](Simulate::recommend) and
/// [respond](Simulate::respond). The transitions are inserted into `replay`.
///
/// `finished` is called when the calls of a stage have returned. A backend may still be computing it then; see
/// [`Inspect::stage_seconds`](super::Inspect::stage_seconds).
///
/// # Errors
/// The backend's, of the first stage that fails. The later stages are not run.
pub fn play_round<B: Backend>(
    backend: &mut B,
    world: &B::World,
    agent: &B::Agent,
    batch: &mut B::Batch,
    replay: &mut B::Replay,
    keys: &RoundKeys,
    finished: &mut dyn FnMut(RoundStage),
) -> Result<(), B::Error> {
    choose_actions(backend, world, agent, batch, Some(&keys.exploration))?;
    finished(RoundStage::Policy);
    backend.recommend(world, batch)?;
    finished(RoundStage::Matching);
    backend.respond(world, batch, keys.acceptance, Some(replay))?;
    finished(RoundStage::Step);
    Ok(())
}

/// Runs update number `update` of the run with this seed: the critics, and at every `policy_freq`-th update also the
/// policy and the targets ([`is_policy_update`]).
///
/// `update` counts from 1 through the run. `replay` holds at least one transition.
///
/// # Errors
/// The backend's; see [`Learn::update`].
pub fn run_update<B: Learn>(
    backend: &mut B,
    world: &B::World,
    replay: &B::Replay,
    agent: &mut B::Agent,
    (seed, update, policy_freq): (u64, u64, u32),
) -> Result<(), B::Error> {
    let keys = UpdateKeys::new(seed, update);
    backend.update(world, replay, agent, &keys, is_policy_update(update, policy_freq))
}
