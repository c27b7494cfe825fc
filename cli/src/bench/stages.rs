//! The stages of a round, one at a time over all users.

use std::time::Instant;

use recsim_core::backend::Device;
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::session::config::Plan;
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{UpdateKeys, policy_moves};
use recsim_core::world::World;

use super::report::Timing;

/// What a session holds, open to be driven stage by stage.
pub(super) struct Stages<B: Device> {
    backend: B,
    plan: Plan,
    world: B::World,
    batches: Vec<B::Batch>,
    agent: B::Agent,
    replay: B::Replay,
    rounds: u64,
    updates: u64,
    transitions: u64,
}

impl<B: Device> Stages<B> {
    pub(super) fn new(mut backend: B, world: &World<'_>, plan: Plan) -> Result<Self, B::Error> {
        let served = plan.schedule.users;
        let on_device = backend.world(&world.first_users(served), &plan.environment)?;
        let size = plan.schedule.batch_size;
        let batches = (0..served).step_by(size).map(|first| first..served.min(first + size));
        let batches = batches.map(|users| backend.batch(&on_device, users)).collect::<Result<_, _>>()?;
        let agent = backend.agent(&plan.learner, &plan.learner.initial(plan.seed))?;
        let replay = backend.replay(&on_device, plan.learner.replay_capacity, &Transitions::default())?;
        Ok(Self { backend, plan, world: on_device, batches, agent, replay, rounds: 0, updates: 0, transitions: 0 })
    }

    /// Times `stage` once and then `reps` times. `gigaflop` is what its matrix products cost.
    pub(super) fn time(
        &mut self,
        phase: &'static str,
        reps: usize,
        gigaflop: Option<f64>,
        mut stage: impl FnMut(&mut Self) -> Result<(), B::Error>,
    ) -> Result<Timing, B::Error> {
        let mut seconds = Vec::new();
        for _ in 0..=reps {
            let began = Instant::now();
            stage(self)?;
            self.wait()?;
            seconds.push(began.elapsed().as_secs_f64());
        }
        Ok(Timing::new(phase, self.plan.schedule.users, gigaflop, &seconds))
    }

    /// Observe, act, refine and explore.
    pub(super) fn actor(&mut self) -> Result<(), B::Error> {
        (0..self.batches.len()).try_for_each(|batch| self.act(batch))
    }

    fn act(&mut self, batch: usize) -> Result<(), B::Error> {
        let exploration = self.key(Purpose::Exploration);
        let trial = self.plan.learner.trial(self.key(Purpose::ExplorationItem));
        let batch = &mut self.batches[batch];
        self.backend.observe(&self.world, batch)?;
        self.backend.act(&self.agent, batch, Some(exploration))?;
        self.backend.refine(&self.world, &self.agent, batch)?;
        trial.map_or(Ok(()), |trial| self.backend.explore(&self.world, batch, &trial))
    }

    /// Fill the slates.
    pub(super) fn matching(&mut self) -> Result<(), B::Error> {
        self.batches.iter_mut().try_for_each(|batch| self.backend.recommend(&self.world, batch))
    }

    /// Respond, transitions written into the ring.
    pub(super) fn step(&mut self) -> Result<(), B::Error> {
        let luck = self.key(Purpose::Acceptance);
        for batch in &mut self.batches {
            self.backend.respond(&self.world, batch, luck, Some(&mut self.replay))?;
        }
        self.rounds += 1;
        self.transitions += self.plan.schedule.users as u64;
        Ok(())
    }

    /// A round as the loop has it, batch by batch and counted, without learning.
    pub(super) fn round(&mut self) -> Result<(), B::Error> {
        let luck = self.key(Purpose::Acceptance);
        for n in 0..self.batches.len() {
            self.act(n)?;
            let batch = &mut self.batches[n];
            self.backend.recommend(&self.world, batch)?;
            self.backend.respond(&self.world, batch, luck, Some(&mut self.replay))?;
        }
        self.rounds += 1;
        self.transitions += self.plan.schedule.users as u64;
        self.backend.tally(&self.world, &self.batches).map(drop)
    }

    /// A learning session.
    pub(super) fn session(&mut self) -> Result<(), B::Error> {
        for _ in 0..self.plan.schedule.gradient_steps {
            self.updates += 1;
            let keys = UpdateKeys::new(self.plan.seed, self.updates);
            self.backend.improve_critics(&self.world, &self.replay, &mut self.agent, &keys)?;
            if policy_moves(self.updates, self.plan.learner.policy_freq) {
                self.backend.improve_policy(&mut self.agent, &keys)?;
            }
        }
        Ok(())
    }

    /// Rounds, until there are transitions enough to learn from.
    pub(super) fn fill_replay(&mut self) -> Result<(), B::Error> {
        let enough = self.plan.schedule.warmup_transitions.max(1);
        while self.transitions < enough {
            self.round()?;
        }
        Ok(())
    }

    /// Every user's beliefs as an episode begins.
    pub(super) fn reset(&mut self) -> Result<(), B::Error> {
        self.batches.iter_mut().try_for_each(|batch| self.backend.reset(&self.world, batch))
    }

    /// Transitions that can be learned from.
    pub(super) fn replayed(&self) -> u64 {
        self.transitions.min(self.plan.learner.replay_capacity as u64)
    }

    /// The device, all else given back.
    pub(super) fn into_backend(self) -> B {
        self.backend
    }

    /// Waits for all that was enqueued.
    fn wait(&mut self) -> Result<(), B::Error> {
        self.backend.losses(&mut self.agent).map(drop)
    }

    fn key(&self, purpose: Purpose) -> Key {
        Key::new(self.plan.seed, purpose).with(1).with(self.rounds + 1)
    }
}
