//! The policies under comparison, loaded on a backend.

use std::path::Path;

use anyhow::Context;
use recsim_core::backend::Backend;
use recsim_core::eval::policy::{
    Actor, Greedy, ItemSelector, Objective, PerUser, Policy, Popular, Pretrained, Random,
};
use recsim_core::eval::{Episode, Evaluator};
use recsim_core::model::EnvironmentSpec;
use recsim_core::session::config::Plan;
use recsim_core::world::World;

use super::names::PolicyName;
use super::threads::Threads;
use crate::learned::TrainedAgent;

/// All contenders of an evaluation, and the worlds they need, on one backend.
pub(super) struct Contenders<'a, B: Backend> {
    backend: B,
    evaluator: &'a Evaluator<'a>,
    threads: &'a Threads,
    /// The evaluation's world under each environment that a contender was trained for.
    worlds: Vec<(EnvironmentSpec, B::World)>,
    contenders: Vec<Contender<'a, B>>,
}

/// A policy, and the index of its world.
struct Contender<'a, B: Backend> {
    policy: Box<dyn Policy<B> + 'a>,
    world: usize,
}

impl<'a, B: Backend + 'a> Contenders<'a, B> {
    /// Loads worlds and agents. `learned` holds the agents of the runs among `names`, in the order of `names`.
    ///
    /// # Errors
    /// If the backend cannot load a world or an agent.
    pub(super) fn new(
        backend: B,
        evaluator: &'a Evaluator<'a>,
        world: &World<'a>,
        plan: &Plan,
        threads: &'a Threads,
        names: &[PolicyName],
        learned: Vec<TrainedAgent>,
    ) -> anyhow::Result<Self> {
        let mut all = Self { backend, evaluator, threads, worlds: Vec::new(), contenders: Vec::new() };
        let mut learned = learned.into_iter();
        for name in names {
            let contender = match name.run() {
                Some(run) => all.actor(run, &learned.next().expect("every run was read"))?,
                None => Contender {
                    policy: Box::new(PerUser {
                        selector: item_selector(name, world, &plan.environment),
                        parallel: threads,
                    }),
                    world: all.world_index(&plan.environment)?,
                },
            };
            all.contenders.push(contender);
        }
        Ok(all)
    }

    /// Plays one episode of the policy with index `policy`. Returns `None` if `should_stop`, which is called with the
    /// number of each finished round, returned true.
    ///
    /// # Errors
    /// If the backend fails.
    pub(super) fn episode(
        &mut self,
        policy: usize,
        seed: u64,
        should_stop: &mut dyn FnMut(u32) -> bool,
    ) -> anyhow::Result<Option<Episode>> {
        let Self { backend, evaluator, threads, worlds, contenders } = self;
        let Contender { policy, world } = &mut contenders[policy];
        Ok(evaluator.episode(backend, &worlds[*world].1, &mut **policy, seed, threads, should_stop)?)
    }

    fn actor(&mut self, run: &Path, learned: &TrainedAgent) -> anyhow::Result<Contender<'a, B>> {
        let agent = self.backend.load_agent(&learned.spec, &learned.agent);
        let agent =
            agent.with_context(|| format!("could not load the agent of {} on the backend", run.display()))?;
        Ok(Contender { policy: Box::new(Actor::<B> { agent }), world: self.world_index(&learned.environment)? })
    }

    /// The index of the world under `environment`, which is loaded at its first use.
    fn world_index(&mut self, environment: &EnvironmentSpec) -> anyhow::Result<usize> {
        if let Some(index) = self.worlds.iter().position(|(known, _)| known == environment) {
            return Ok(index);
        }
        let world = self.backend.load_world(self.evaluator.world(), environment)?;
        self.worlds.push((*environment, world));
        Ok(self.worlds.len() - 1)
    }
}

/// The item selector of a baseline.
fn item_selector<'a>(
    name: &PolicyName,
    world: &World<'a>,
    environment: &EnvironmentSpec,
) -> Box<dyn ItemSelector + Sync + 'a> {
    let items = world.shape().items;
    let &EnvironmentSpec { rl_slots, slate_len, .. } = environment;
    match name {
        PolicyName::Random => Box::new(Random { num_items: items, items_per_user: rl_slots }),
        PolicyName::RandomFull => Box::new(Random { num_items: items, items_per_user: slate_len }),
        PolicyName::Popular => Box::new(Popular::new(world, rl_slots)),
        PolicyName::Greedy => Box::new(Greedy::new(world, environment, rl_slots, Objective::Nearest)),
        PolicyName::GreedyFull => Box::new(Greedy::new(world, environment, slate_len, Objective::Nearest)),
        PolicyName::Anti => Box::new(Greedy::new(world, environment, rl_slots, Objective::Farthest)),
        PolicyName::Pretrained | PolicyName::Actor(_) => Box::new(Pretrained),
    }
}
