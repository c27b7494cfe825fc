//! The order of the stages of a round and of an update. It is written here once: the training loop, policies, benchmarks and
//! commands call these functions.

use super::{Backend, Learn, Simulate};
use crate::model::rng::{Key, Purpose};
use crate::td3::explore::ItemExploration;
use crate::td3::{AgentSpec, UpdateKeys, is_policy_update};

/// The random draws of one round of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundKeys {
    /// How actions explore.
    pub exploration: Exploration,
    /// User `u` draws the acceptances from `acceptance.fold_in(u)`.
    pub acceptance: Key,
}

/// How the actions of a round explore.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exploration {
    /// The key of the noise on actions; see [`Learn::act`].
    pub noise: Key,
    /// Which users explore an item instead; `None` if no user does.
    pub items: Option<ItemExploration>,
}

impl RoundKeys {
    /// The draws of a round, both counted from 1, of the run with this seed.
    pub fn new(seed: u64, episode: u32, round: u32, agent: &AgentSpec) -> Self {
        let key = |purpose| Key::new(seed, purpose).fold_in(u64::from(episode)).fold_in(u64::from(round));
        let items = agent.item_exploration(key(Purpose::ExplorationItem));
        let exploration = Exploration { noise: key(Purpose::Exploration), items };
        Self { exploration, acceptance: key(Purpose::Acceptance) }
    }
}

/// The stages of a round that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundStage {
    /// Observe, act, re-rank and explore.
    Policy,
    /// Recommend.
    Matching,
    /// Respond.
    Step,
}

/// Fills the batch's actions: observe, act, re-rank and, with `exploration`, explore.
///
/// # Errors
/// The backend's.
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

/// One training round of one batch: [`choose_actions`], recommend, respond. The transitions go into `replay`.
/// `finished` is called after each stage.
///
/// # Errors
/// The backend's.
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

/// Update number `update`, counted from 1 through the run with this seed: the critics, and the policy at every
/// `policy_freq`-th.
///
/// # Errors
/// The backend's.
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
