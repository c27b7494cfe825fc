//! The agent's side on the device: TD3's update in the paper's order.

use std::mem::take;
use std::ops::Range;

use recsim_core::backend::Learn;
use recsim_core::model::rng::Key;
use recsim_core::td3::{AgentSpec, AgentState, UpdateKeys, dropout_scale, dropout_threshold};

use crate::ffi::Device;
use crate::ffi::learning::{ActorOutput, CriticValues, LearningKernels};
use crate::packed::NetworkGroup;
use crate::pass::InputRows;
use crate::{Agent, Batch, Cuda, CudaError, Replay, World};

impl<D: Device> Learn for Cuda<D> {
    fn load_agent(&mut self, spec: &AgentSpec, state: &AgentState) -> Result<Agent<D>, CudaError> {
        self.num_agents += 1;
        Agent::new(&self.device, self.num_agents, spec, state)
    }

    fn act(&mut self, agent: &Agent<D>, batch: &mut Batch<D>, exploration: Option<Key>) -> Result<(), CudaError> {
        let device = &self.device;
        let Batch { users, state, action, action_round, inference, .. } = batch;
        let kernels = agent.kernels(device);
        kernels.set_action_noise(&agent.spec, exploration, action_round)?;
        let mut infer = || agent.infer(device, users, state, (action, action_round));
        if users.len() <= MAX_CAPTURED_TILES * device.tile_rows() {
            inference.launch(device, vec![agent.number], &mut infer)?;
        } else {
            infer()?;
        }
        batch.num_components = (users.len() * agent.spec.action_dim()) as u64;
        device.record_event(&mut batch.events[1])
    }

    fn rerank(&mut self, world: &World<D>, agent: &Agent<D>, batch: &mut Batch<D>) -> Result<(), CudaError> {
        let device = &self.device;
        let Some(reranker) = &agent.reranker else { return Ok(()) };
        reranker.rerank(&agent.kernels(device), (&agent.spec, &agent.packed, &agent.networks), world, batch)?;
        device.record_event(&mut batch.events[1])
    }

    fn update(
        &mut self,
        world: &World<D>,
        replay: &Replay<D>,
        agent: &mut Agent<D>,
        keys: &UpdateKeys,
        with_policy: bool,
    ) -> Result<(), CudaError> {
        self.update_critics(world, replay, agent, keys)?;
        if with_policy { self.update_policy(agent, keys) } else { Ok(()) }
    }
}

impl<D: Device> Cuda<D> {
    fn update_critics(
        &self,
        world: &World<D>,
        replay: &Replay<D>,
        agent: &mut Agent<D>,
        keys: &UpdateKeys,
    ) -> Result<(), CudaError> {
        replay.assert_world(&world.shape);
        let (state_dim, action_dim) = (agent.spec.state_dim(), agent.spec.action_dim());
        assert!(
            (state_dim, action_dim) == (world.shape.state_dim(), world.shape.dimensions),
            "the agent has this world's sizes"
        );
        agent.critic_updates += 1;
        agent.reported[0] += 1;
        let step = agent.spec.adam().step(agent.critic_updates, 1.0);
        agent.kernels(&self.device).set_update_params(keys, replay.len(), &step, &agent.update_params)?;
        let buffers = [
            &world.user_embedding,
            &replay.user,
            &replay.belief_before,
            &replay.belief,
            &replay.action,
            &replay.reward,
        ];
        let buffers = buffers.into_iter().chain([&world.belief_scale]);
        let addresses = buffers.map(|buffer| self.device.address(buffer)).collect();
        let mut graph = take(&mut agent.steps[0]);
        let result = graph.launch(&self.device, addresses, &mut || agent.step_critics(&self.device, world, replay));
        agent.steps[0] = graph;
        result
    }

    fn update_policy(&self, agent: &mut Agent<D>, keys: &UpdateKeys) -> Result<(), CudaError> {
        agent.policy_updates += 1;
        agent.reported[1] += 1;
        let step = agent.spec.adam().step(agent.policy_updates, 1.0);
        agent.kernels(&self.device).set_update_params(keys, 0, &step, &agent.update_params)?;
        let mut graph = take(&mut agent.steps[1]);
        let result = graph.launch(&self.device, Vec::new(), &mut || agent.step_actor(&self.device));
        agent.steps[1] = graph;
        result
    }
}

impl<D: Device> Agent<D> {
    fn kernels<'a>(&'a self, device: &'a D) -> LearningKernels<'a, D> {
        LearningKernels { device, mlp: &self.mlp, td3: &self.td3, adam: &self.adam }
    }

    /// The actions of a batch's users, tile by tile.
    fn infer(
        &self,
        device: &D,
        users: &Range<usize>,
        state: &D::DeviceBuffer,
        (action, action_round): (&D::DeviceBuffer, &D::DeviceBuffer),
    ) -> Result<(), CudaError> {
        let (kernels, spec, tile_rows) = (self.kernels(device), &self.spec, device.tile_rows());
        let actor = NetworkGroup::actor(spec, &self.packed);
        for row in (0..users.len()).step_by(tile_rows) {
            // Every tile has the same number of rows: the batch's states are padded.
            let input = InputRows { buffer: state, offset: row * spec.state_dim(), row_stride: spec.state_dim() };
            self.inference.forward_eval(&kernels, &actor, &self.networks, &input)?;
            let output = ActorOutput { pre_bias: self.inference.pre_bias(), weights: &self.networks };
            let users = (users.start + row, tile_rows.min(users.len() - row), row);
            kernels.act(spec, &actor, &output, users, (action, action_round))?;
        }
        Ok(())
    }

    fn step_critics(&self, device: &D, world: &World<D>, replay: &Replay<D>) -> Result<(), CudaError> {
        let kernels = self.kernels(device);
        let Self { spec, packed, networks, targets, update_params, report, grad, workspace, .. } = self;
        let (actor, critics) = (NetworkGroup::actor(spec, packed), NetworkGroup::critics(spec, packed));
        let (rows, input_dim) = (spec.batch_size(), spec.state_dim() + spec.action_dim());
        let threshold = dropout_threshold(spec.td3.dropout);
        let rows_of = |buffer| InputRows { buffer, offset: 0, row_stride: input_dim };
        let scratch = &workspace.scratch;

        kernels.sample_minibatch(
            rows,
            &world.shape,
            replay,
            (&world.belief_scale, &world.user_embedding, update_params),
            (&workspace.input, &workspace.next, &workspace.reward),
        )?;
        workspace.actor.forward_eval(&kernels, &actor, targets, &rows_of(&workspace.next))?;
        let output = ActorOutput { pre_bias: workspace.actor.pre_bias(), weights: targets };
        kernels.smooth_target_actions(rows, spec, &actor, &output, update_params, &workspace.next)?;
        workspace.target_critics.forward_eval(&kernels, &critics, targets, &rows_of(&workspace.next))?;

        let input = rows_of(&workspace.input);
        workspace.critics.forward_train(
            &kernels,
            &critics,
            networks,
            &input,
            scratch,
            (update_params, threshold),
        )?;
        let target_values = CriticValues { pre_bias: workspace.target_critics.pre_bias(), weights: targets };
        let values = CriticValues { pre_bias: workspace.critics.pre_bias(), weights: networks };
        let grads = scratch.grads.each_ref();
        kernels.critic_loss(
            rows,
            spec,
            &critics,
            [&target_values, &values],
            (&workspace.reward, grads[0], report),
        )?;
        let scale = Some(dropout_scale(threshold) as f32);
        workspace.critics.backward(
            &kernels,
            &critics,
            networks,
            &input,
            scratch,
            grads,
            scale,
            Some(grad),
            false,
        )?;
        self.adam_step(&kernels, &critics)
    }

    fn step_actor(&self, device: &D) -> Result<(), CudaError> {
        let kernels = self.kernels(device);
        let Self { spec, packed, networks, targets, update_params, report, grad, workspace, .. } = self;
        let actor = NetworkGroup::actor(spec, packed);
        let critic = NetworkGroup::first_critic(spec, packed);
        let (rows, input_dim) = (spec.batch_size(), spec.state_dim() + spec.action_dim());
        let threshold = dropout_threshold(spec.td3.dropout);
        let input = InputRows { buffer: &workspace.input, offset: 0, row_stride: input_dim };
        let scratch = &workspace.scratch;

        workspace.actor.forward_train(&kernels, &actor, networks, &input, scratch, (update_params, threshold))?;
        let output = ActorOutput { pre_bias: workspace.actor.pre_bias(), weights: networks };
        kernels.policy_forward(rows, spec, &actor, &output, &workspace.input)?;
        workspace.critics.forward_eval(&kernels, &critic, networks, &input)?;
        let values = CriticValues { pre_bias: workspace.critics.pre_bias(), weights: networks };
        let grads = scratch.grads.each_ref();
        let sums = (&scratch.partial, &scratch.blocks_done);
        kernels.policy_value(rows, spec, &critic, &values, (&workspace.input, grads[0], report), sums)?;
        let [input_grad, output_grad] =
            workspace.critics.backward(&kernels, &critic, networks, &input, scratch, grads, None, None, true)?;
        kernels.policy_backward(rows, spec, &actor, &output, (input_grad, output_grad))?;
        let scale = Some(dropout_scale(threshold) as f32);
        let grads = [output_grad, input_grad];
        workspace.actor.backward(&kernels, &actor, networks, &input, scratch, grads, scale, Some(grad), false)?;
        self.adam_step(&kernels, &actor)?;
        kernels.soft_update_targets(packed.len(), spec.td3.tau, networks, targets)
    }

    /// Adam's step on the actor or on both critics, with the gradient clipped by its norm over the whole group.
    fn adam_step(&self, kernels: &LearningKernels<'_, D>, group: &NetworkGroup<'_>) -> Result<(), CudaError> {
        let Self { spec, networks, moments: [first, second], grad, update_params, report, workspace, .. } = self;
        let sums = (&workspace.scratch.partial, &workspace.scratch.blocks_done);
        kernels.grad_norm(spec, group, (grad, report), sums)?;
        // The step's number does not matter here: the values that depend on it are in `update_params`.
        let step = spec.adam().step(1, 1.0);
        kernels.adam_step(&step, group, (update_params, report), [grad, networks, first, second])
    }
}

/// Above this number of tiles, inference is not captured as a graph: single launches keep the device busy.
const MAX_CAPTURED_TILES: usize = 64;
