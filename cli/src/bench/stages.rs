//! Times the stages of a round, one at a time over all users.

use std::time::Instant;

use recsim_core::backend::Backend;
use recsim_core::backend::round::{RoundKeys, choose_actions, play_round, run_update};
use recsim_core::session::config::Plan;
use recsim_core::td3::replay::Transitions;
use recsim_core::world::World;

use super::report::PhaseTiming;

/// The state of a session, driven stage by stage.
pub(super) struct StageBench<B: Backend> {
    backend: B,
    plan: Plan,
    world: B::World,
    batches: Vec<B::Batch>,
    agent: B::Agent,
    replay: B::Replay,
    rounds: u32,
    updates: u64,
    transitions: u64,
}

impl<B: Backend> StageBench<B> {
    pub(super) fn new(mut backend: B, world: &World<'_>, plan: Plan) -> Result<Self, B::Error> {
        let num_users = plan.schedule.users;
        let on_device = backend.load_world(&world.first_users(num_users), &plan.environment)?;
        let size = plan.schedule.batch_size;
        let batches = (0..num_users).step_by(size).map(|first| first..num_users.min(first + size));
        let batches = batches.map(|users| backend.create_batch(&on_device, users)).collect::<Result<_, _>>()?;
        let agent = backend.load_agent(&plan.agent, &plan.agent.initial_agent(plan.seed))?;
        let replay = backend.create_replay(&on_device, plan.agent.buffer_size(), &Transitions::default())?;
        Ok(Self { backend, plan, world: on_device, batches, agent, replay, rounds: 0, updates: 0, transitions: 0 })
    }

    /// Times one call of `stage` and then `reps` repetitions. `gigaflop` is the work of its matrix products, in units
    /// of 10^9 floating-point operations.
    ///
    /// # Errors
    /// If the backend fails.
    pub(super) fn time(
        &mut self,
        phase: &'static str,
        reps: usize,
        gigaflop: Option<f64>,
        mut stage: impl FnMut(&mut Self) -> Result<(), B::Error>,
    ) -> Result<PhaseTiming, B::Error> {
        let mut seconds = Vec::new();
        for _ in 0..=reps {
            let start = Instant::now();
            stage(self)?;
            self.synchronize()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        Ok(PhaseTiming::new(phase, self.plan.schedule.users, gigaflop, &seconds))
    }

    /// Observe, act, re-rank and explore.
    pub(super) fn actor(&mut self) -> Result<(), B::Error> {
        let keys = self.keys();
        for batch in &mut self.batches {
            choose_actions(&mut self.backend, &self.world, &self.agent, batch, Some(&keys.exploration))?;
        }
        Ok(())
    }

    /// Fill the slates.
    pub(super) fn matching(&mut self) -> Result<(), B::Error> {
        self.batches.iter_mut().try_for_each(|batch| self.backend.recommend(&self.world, batch))
    }

    /// Respond, and store the transitions.
    pub(super) fn step(&mut self) -> Result<(), B::Error> {
        let keys = self.keys();
        for batch in &mut self.batches {
            self.backend.respond(&self.world, batch, keys.acceptance, Some(&mut self.replay))?;
        }
        self.rounds += 1;
        self.transitions += self.plan.schedule.users as u64;
        Ok(())
    }

    /// A round as in the session's loop, batch by batch, with the tally and without training.
    pub(super) fn round(&mut self) -> Result<(), B::Error> {
        let keys = self.keys();
        for batch in &mut self.batches {
            let replay = &mut self.replay;
            play_round(&mut self.backend, &self.world, &self.agent, batch, replay, &keys, &mut |_| ())?;
        }
        self.rounds += 1;
        self.transitions += self.plan.schedule.users as u64;
        self.backend.tally(&self.world, &self.batches).map(drop)
    }

    /// A training session.
    pub(super) fn session(&mut self) -> Result<(), B::Error> {
        for _ in 0..self.plan.schedule.gradient_steps {
            self.updates += 1;
            let update = (self.plan.seed, self.updates, self.plan.agent.td3.policy_freq);
            run_update(&mut self.backend, &self.world, &self.replay, &mut self.agent, update)?;
        }
        Ok(())
    }

    /// Runs rounds until there are enough transitions to train.
    pub(super) fn fill_replay(&mut self) -> Result<(), B::Error> {
        let needed = self.plan.schedule.warmup_transitions.max(1);
        while self.transitions < needed {
            self.round()?;
        }
        Ok(())
    }

    /// Resets the beliefs of all users to the initial ones.
    pub(super) fn reset(&mut self) -> Result<(), B::Error> {
        self.batches.iter_mut().try_for_each(|batch| self.backend.reset(&self.world, batch))
    }

    /// Transitions in the replay buffer.
    pub(super) fn replay_len(&self) -> u64 {
        self.transitions.min(self.plan.agent.buffer_size() as u64)
    }

    /// The backend; everything else is freed.
    pub(super) fn into_backend(self) -> B {
        self.backend
    }

    /// Waits until the backend has finished all enqueued work.
    fn synchronize(&mut self) -> Result<(), B::Error> {
        self.backend.take_losses(&mut self.agent).map(drop)
    }

    fn keys(&self) -> RoundKeys {
        RoundKeys::new(self.plan.seed, 1, self.rounds + 1, &self.plan.agent)
    }
}
