//! The agent's side on the device: TD3's two steps, in the paper's order.

use std::mem::take;
use std::ops::Range;

use recsim_core::backend::Learn;
use recsim_core::model::rng::Key;
use recsim_core::td3::{AgentSpec, AgentState, Network, UpdateKeys, dropout_scale, dropout_threshold};

use crate::agent::{actor, critics};
use crate::ffi::Machine;
use crate::ffi::learning::{Kernels, Output, Values};
use crate::flat::Group;
use crate::pass::Input;
use crate::{Agent, Batch, Cuda, CudaError, Replay, World};

impl<M: Machine> Learn for Cuda<M> {
    fn load_agent(&mut self, spec: &AgentSpec, state: &AgentState) -> Result<Agent<M>, CudaError> {
        self.agents += 1;
        Agent::new(&self.machine, self.agents, spec, state)
    }

    fn act(&mut self, agent: &Agent<M>, batch: &mut Batch<M>, exploration: Option<Key>) -> Result<(), CudaError> {
        let machine = &self.machine;
        let Batch { users, state, action, acting, inference, .. } = batch;
        let kernels = agent.kernels(machine);
        kernels.explore(&agent.spec, exploration, acting)?;
        let mut infer = || agent.infer(machine, users, state, (action, acting));
        if users.len() <= RECORDED_TILES * machine.tile() {
            inference.repeat(machine, vec![agent.number], &mut infer)?;
        } else {
            infer()?;
        }
        batch.components = (users.len() * agent.spec.action_dim()) as u64;
        machine.mark(&mut batch.marks[1])
    }

    fn rerank(&mut self, world: &World<M>, agent: &Agent<M>, batch: &mut Batch<M>) -> Result<(), CudaError> {
        let machine = &self.machine;
        let Some(refine) = &agent.refine else { return Ok(()) };
        refine.refine(&agent.kernels(machine), (&agent.spec, &agent.flat, &agent.networks), world, batch)?;
        machine.mark(&mut batch.marks[1])
    }

    fn update(
        &mut self,
        world: &World<M>,
        replay: &Replay<M>,
        agent: &mut Agent<M>,
        keys: &UpdateKeys,
        with_policy: bool,
    ) -> Result<(), CudaError> {
        self.update_critics(world, replay, agent, keys)?;
        if with_policy { self.update_policy(agent, keys) } else { Ok(()) }
    }
}

impl<M: Machine> Cuda<M> {
    fn update_critics(
        &self,
        world: &World<M>,
        replay: &Replay<M>,
        agent: &mut Agent<M>,
        keys: &UpdateKeys,
    ) -> Result<(), CudaError> {
        replay.suits(&world.shape);
        let (state, action) = (agent.spec.state_dim(), agent.spec.action_dim());
        assert!(
            (state, action) == (world.shape.state_dim(), world.shape.dimensions),
            "an agent of this world's sizes"
        );
        agent.critic_updates += 1;
        agent.reported[0] += 1;
        let step = agent.spec.adam().step(agent.critic_updates, 1.0);
        agent.kernels(&self.machine).tell(keys, replay.held(), &step, &agent.update)?;
        let tables =
            [&world.embedding, &replay.user, &replay.belief_before, &replay.belief, &replay.action, &replay.reward];
        let tables = tables.into_iter().chain([&world.belief_scale]);
        let addresses = tables.map(|table| self.machine.address(table)).collect();
        let mut step = take(&mut agent.steps[0]);
        let done = step.repeat(&self.machine, addresses, &mut || agent.step_critics(&self.machine, world, replay));
        agent.steps[0] = step;
        done
    }

    fn update_policy(&self, agent: &mut Agent<M>, keys: &UpdateKeys) -> Result<(), CudaError> {
        agent.policy_updates += 1;
        agent.reported[1] += 1;
        let step = agent.spec.adam().step(agent.policy_updates, 1.0);
        agent.kernels(&self.machine).tell(keys, 0, &step, &agent.update)?;
        let mut step = take(&mut agent.steps[1]);
        let done = step.repeat(&self.machine, Vec::new(), &mut || agent.step_actor(&self.machine));
        agent.steps[1] = step;
        done
    }
}

impl<M: Machine> Agent<M> {
    fn kernels<'a>(&'a self, machine: &'a M) -> Kernels<'a, M> {
        Kernels { machine, mlp: &self.mlp, td3: &self.td3, adam: &self.adam }
    }

    /// The actions of a batch's users, tile by tile.
    fn infer(
        &self,
        machine: &M,
        users: &Range<usize>,
        state: &M::Memory,
        (action, acting): (&M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let (kernels, spec, tile) = (self.kernels(machine), &self.spec, machine.tile());
        let actor = actor(spec, &self.flat);
        for row in (0..users.len()).step_by(tile) {
            // Always as many rows: what lies behind the last user is room of the batch's.
            let input = Input { table: state, first: row * spec.state_dim(), apart: spec.state_dim() };
            self.inference.evaluate(&kernels, &actor, &self.networks, &input)?;
            let output = Output { raw: self.inference.raw(), weights: &self.networks };
            let users = (users.start + row, tile.min(users.len() - row), row);
            kernels.act(spec, &actor, &output, users, (action, acting))?;
        }
        Ok(())
    }

    fn step_critics(&self, machine: &M, world: &World<M>, replay: &Replay<M>) -> Result<(), CudaError> {
        let kernels = Kernels { machine, mlp: &self.mlp, td3: &self.td3, adam: &self.adam };
        let Self { spec, flat, networks, targets, update, report, gradient, room, .. } = self;
        let (actor, critics) = (actor(spec, flat), critics(spec, flat));
        let (rows, width) = (spec.batch_size(), spec.state_dim() + spec.action_dim());
        let threshold = dropout_threshold(spec.td3.dropout);
        let rows_of = |table| Input { table, first: 0, apart: width };

        kernels.sample(
            rows,
            &world.shape,
            replay,
            (&world.belief_scale, &world.embedding, update),
            (&room.input, &room.next, &room.reward),
        )?;
        room.actor.evaluate(&kernels, &actor, targets, &rows_of(&room.next))?;
        let output = Output { raw: room.actor.raw(), weights: targets };
        kernels.smooth_targets(rows, spec, &actor, &output, update, &room.next)?;
        room.target_critics.evaluate(&kernels, &critics, targets, &rows_of(&room.next))?;

        let input = rows_of(&room.input);
        room.critics.learn(&kernels, &critics, networks, &input, &room.scratch, (update, threshold))?;
        let due = Values { raw: room.target_critics.raw(), weights: targets };
        let values = Values { raw: room.critics.raw(), weights: networks };
        let slopes = room.scratch.slopes.each_ref();
        kernels.criticise(rows, spec, &critics, [&due, &values], (&room.reward, slopes[0], report))?;
        let boost = Some(dropout_scale(threshold) as f32);
        let scratch = &room.scratch;
        room.critics.back(&kernels, &critics, networks, &input, scratch, slopes, boost, Some(gradient), false)?;
        self.descend(machine, Network::Critic1)
    }

    fn step_actor(&self, machine: &M) -> Result<(), CudaError> {
        let kernels = Kernels { machine, mlp: &self.mlp, td3: &self.td3, adam: &self.adam };
        let Self { spec, flat, networks, update, report, gradient, room, .. } = self;
        let (actor, critics) = (actor(spec, flat), critics(spec, flat));
        let critic = Group { nets: 1, ..critics };
        let (rows, width) = (spec.batch_size(), spec.state_dim() + spec.action_dim());
        let threshold = dropout_threshold(spec.td3.dropout);
        let input = Input { table: &room.input, first: 0, apart: width };

        room.actor.learn(&kernels, &actor, networks, &input, &room.scratch, (update, threshold))?;
        let output = Output { raw: room.actor.raw(), weights: networks };
        kernels.propose(rows, spec, &actor, &output, &room.input)?;
        room.critics.evaluate(&kernels, &critic, networks, &input)?;
        let values = Values { raw: room.critics.raw(), weights: networks };
        let slopes = room.scratch.slopes.each_ref();
        let seen = (&room.input, slopes[0], report);
        let sums = (&room.scratch.partial, &room.scratch.done);
        kernels.appraise(rows, spec, &critic, &values, seen, sums)?;
        let scratch = &room.scratch;
        let [by_input, slope] =
            room.critics.back(&kernels, &critic, networks, &input, scratch, slopes, None, None, true)?;
        kernels.back_to_policy(rows, spec, &actor, &output, (by_input, slope))?;
        let boost = Some(dropout_scale(threshold) as f32);
        let slopes = [slope, by_input];
        room.actor.back(&kernels, &actor, networks, &input, scratch, slopes, boost, Some(gradient), false)?;
        self.descend(machine, Network::Actor)?;
        self.kernels(machine).follow(self.flat.len(), self.spec.td3.tau, &self.networks, &self.targets)
    }

    /// Adam's step on the actor, or on both critics, their gradient clipped by its norm over all of them.
    fn descend(&self, machine: &M, of: Network) -> Result<(), CudaError> {
        let Self { spec, flat, networks, moments: [first, second], gradient, update, report, room, .. } = self;
        let kernels = self.kernels(machine);
        let group = if of == Network::Actor { actor(spec, flat) } else { critics(spec, flat) };
        let sums = (&room.scratch.partial, &room.scratch.done);
        kernels.measure(spec, &group, (gradient, report), sums)?;
        // The numbers that change with the step are the device's.
        let step = spec.adam().step(1, 1.0);
        kernels.descend(&step, &group, (update, report), [gradient, networks, first, second])
    }
}

/// A batch of more tiles than these keeps the device busy while they are handed over one by one.
const RECORDED_TILES: usize = 64;
