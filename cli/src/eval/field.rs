//! The policies that are tried, ready to serve.

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

use super::crew::Threads;
use super::names::Name;
use crate::learned::Learned;

/// Policies on a device.
pub(super) struct Field<'a, B: Backend> {
    backend: B,
    evaluator: &'a Evaluator<'a>,
    crew: &'a Threads,
    /// By the environments that policies see.
    worlds: Vec<(EnvironmentSpec, B::World)>,
    entrants: Vec<Entrant<'a, B>>,
}

/// A policy, and which world it lives in.
struct Entrant<'a, B: Backend> {
    policy: Box<dyn Policy<B> + 'a>,
    world: usize,
}

impl<'a, B: Backend + 'a> Field<'a, B> {
    /// Brings worlds and agents to the device. `learned` has the agents of the runs among `names`, in their order.
    pub(super) fn new(
        backend: B,
        evaluator: &'a Evaluator<'a>,
        world: &World<'a>,
        plan: &Plan,
        crew: &'a Threads,
        names: &[Name],
        learned: Vec<Learned>,
    ) -> anyhow::Result<Self> {
        let mut field = Self { backend, evaluator, crew, worlds: Vec::new(), entrants: Vec::new() };
        let mut learned = learned.into_iter();
        for name in names {
            let entrant = match name.run() {
                Some(run) => field.actor(run, &learned.next().expect("every run was read"))?,
                None => Entrant {
                    policy: Box::new(PerUser { selector: chooser(name, world, &plan.environment), parallel: crew }),
                    world: field.world(&plan.environment)?,
                },
            };
            field.entrants.push(entrant);
        }
        Ok(field)
    }

    /// An episode under a policy, unless `after` stops it.
    pub(super) fn episode(
        &mut self,
        policy: usize,
        seed: u64,
        after: &mut dyn FnMut(u32) -> bool,
    ) -> anyhow::Result<Option<Episode>> {
        let Self { backend, evaluator, crew, worlds, entrants } = self;
        let Entrant { policy, world } = &mut entrants[policy];
        Ok(evaluator.episode(backend, &worlds[*world].1, &mut **policy, seed, crew, after)?)
    }

    fn actor(&mut self, run: &Path, learned: &Learned) -> anyhow::Result<Entrant<'a, B>> {
        let agent = self.backend.load_agent(&learned.spec, &learned.agent);
        let agent =
            agent.with_context(|| format!("could not bring the agent of {} to the device", run.display()))?;
        Ok(Entrant { policy: Box::new(Actor::<B> { agent }), world: self.world(&learned.environment)? })
    }

    /// The world as this environment has it, brought to the device once.
    fn world(&mut self, environment: &EnvironmentSpec) -> anyhow::Result<usize> {
        if let Some(place) = self.worlds.iter().position(|(known, _)| known == environment) {
            return Ok(place);
        }
        let world = self.backend.load_world(self.evaluator.world(), environment)?;
        self.worlds.push((*environment, world));
        Ok(self.worlds.len() - 1)
    }
}

/// Who chooses items under this name.
fn chooser<'a>(name: &Name, world: &World<'a>, environment: &EnvironmentSpec) -> Box<dyn ItemSelector + Sync + 'a> {
    let items = world.shape().items;
    let &EnvironmentSpec { rl_slots: chosen, slate_len: shown, .. } = environment;
    match name {
        Name::Random => Box::new(Random { num_items: items, items_per_user: chosen }),
        Name::RandomFull => Box::new(Random { num_items: items, items_per_user: shown }),
        Name::Popular => Box::new(Popular::new(world, chosen)),
        Name::Greedy => Box::new(Greedy::new(world, environment, chosen, Objective::Nearest)),
        Name::GreedyFull => Box::new(Greedy::new(world, environment, shown, Objective::Nearest)),
        Name::Anti => Box::new(Greedy::new(world, environment, chosen, Objective::Farthest)),
        Name::Pretrained | Name::Actor(_) => Box::new(Pretrained),
    }
}
