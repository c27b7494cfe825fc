//! The agent on the CPU: TD3's update, in the paper's order.

use std::sync::OnceLock;

use dfdx::losses::mse_loss;
use dfdx::shapes::Rank0;
use dfdx::tensor::{AsArray, PutTape, SplitTape, Tensor};
use dfdx::tensor_ops::{Backward, MeanTo};
use recsim_core::td3::adam::clip_coefficient;
use recsim_core::td3::net::Weights;
use recsim_core::td3::{
    AgentSpec, AgentState, Losses, Moments, Network, UpdateKeys, smooth_target_action, target_value,
};

use crate::elementary::tanh;
use crate::mlp::{
    DfdxCpu, Dropout, GradTape, InferenceScratch, InferenceWeights, Net, Processor, UPDATE_TILE, critic_value,
    record_outputs, scaled_tanh, tensor_2d,
};
use crate::noise::Noise;
use crate::optimizer::{adam_step, soft_update_all, squared_norm};
use crate::replay::{MinibatchSample, Replay};
use crate::{CpuError, World};

/// The networks, their targets and the optimizer's state. Arrays are in the order of [`Network`].
#[derive(Debug)]
pub struct Agent {
    pub(crate) processor: Processor,
    pub(crate) spec: AgentSpec,
    networks: [Net; 3],
    targets: [Weights; 3],
    /// The targets' inference weights: built on first use, dropped when the targets change.
    target_inference_weights: OnceLock<[InferenceWeights; 3]>,
    moments: [Moments; 3],
    policy_updates: u64,
    critic_updates: u64,
    losses: Losses,
    /// The minibatch of the last critic update. The policy update uses it too.
    minibatch: MinibatchSample,
}

impl Agent {
    pub(crate) fn new(processor: Processor, spec: &AgentSpec, state: &AgentState) -> Self {
        let layouts = spec.layouts();
        Self {
            processor,
            spec: spec.clone(),
            // The critics run concurrently; the actor runs alone.
            networks: [0, 1, 2].map(|n| Net::new(processor, n == 0, layouts[n], &state.networks[n])),
            targets: state.targets.clone(),
            target_inference_weights: OnceLock::new(),
            moments: state.moments.clone(),
            policy_updates: state.policy_updates,
            critic_updates: state.critic_updates,
            losses: state.losses,
            minibatch: MinibatchSample::default(),
        }
    }

    /// Runs one TD3 update: the critics, then, if `with_policy`, the policy and the targets.
    ///
    /// # Errors
    /// [`CpuError::Memory`] if the buffers of an update do not fit into memory.
    pub(crate) fn update(
        &mut self,
        world: &World,
        replay: &Replay,
        keys: &UpdateKeys,
        with_policy: bool,
    ) -> Result<(), CpuError> {
        self.update_critics(world, replay, keys)?;
        if with_policy { self.update_policy(keys) } else { Ok(()) }
    }

    fn update_critics(&mut self, world: &World, replay: &Replay, keys: &UpdateKeys) -> Result<(), CpuError> {
        self.minibatch.sample(world, replay, self.spec.batch_size(), keys)?;
        let mut targets = crate::error::filled("target values", self.minibatch.rows, 0.0)?;
        let mut values = [const { Ok(Vec::new()) }; 2];
        let (agent, target_inference_weights) = (&*self, self.target_inference_weights());
        // The tasks are independent. The target tiles are spawned first: the critics' work is split further, so idle
        // threads help with it.
        rayon::scope_fifo(|scope| {
            for tile in targets.chunks_mut(UPDATE_TILE).enumerate() {
                scope.spawn_fifo(move |_| agent.target_values(target_inference_weights, world, replay, keys, tile));
            }
            for (values, network) in values.iter_mut().zip([Network::Critic1, Network::Critic2]) {
                scope.spawn_fifo(move |_| *values = agent.values(network, keys));
            }
        });
        let [values_1, values_2] = values;
        self.step_critics(targets, [values_1?, values_2?])
    }

    /// Updates the actor on the minibatch of the last critic update, then all targets.
    fn update_policy(&mut self, keys: &UpdateKeys) -> Result<(), CpuError> {
        self.step_actor(keys)?;
        let tau = self.spec.td3.tau as f32;
        self.target_inference_weights.take();
        for (target, online) in self.targets.iter_mut().zip(&self.networks) {
            soft_update_all(self.processor.arch, &mut target.parameters, &online.weights().parameters, tau);
            soft_update_all(self.processor.arch, &mut target.running_stats, &online.weights().running_stats, tau);
        }
        Ok(())
    }

    /// The targets' inference weights. Must be called before tasks are spawned: while a thread waits in `join` it may
    /// run a stolen task, which must not enter the same `OnceLock`.
    fn target_inference_weights(&self) -> &[InferenceWeights; 3] {
        self.target_inference_weights.get_or_init(|| {
            let weights =
                |n: usize| InferenceWeights::new(self.processor, self.spec.layouts()[n], &self.targets[n]);
            let (actor, (critic_1, critic_2)) =
                rayon::join(|| weights(0), || rayon::join(|| weights(1), || weights(2)));
            [actor, critic_1, critic_2]
        })
    }

    /// Computes the TD3 target values of one tile of rows, given its index: the target policy, smoothing noise, and
    /// both target critics.
    fn target_values(
        &self,
        [actor, critics @ ..]: &[InferenceWeights; 3],
        world: &World,
        replay: &Replay,
        keys: &UpdateKeys,
        (tile, values): (usize, &mut [f32]),
    ) {
        let Self { processor, spec, minibatch, .. } = self;
        let (max_action, discount) = (spec.max_action as f32, spec.td3.discount as f32);
        let std_dev = (spec.td3.policy_noise * spec.max_action) as f32;
        let limit = (spec.td3.noise_clip * spec.max_action) as f32;
        let smooth =
            |action, noise| smooth_target_action(tanh(action) * max_action, noise, std_dev, limit, max_action);
        let rows = tile * UPDATE_TILE..tile * UPDATE_TILE + values.len();
        InferenceScratch::with_thread_local(|[policy, critic]| {
            minibatch.next_states(world, replay, rows.clone(), policy.input(actor, rows.len()));
            let actions = policy.evaluate(actor, rows.len());
            Noise::default().add(processor.arch, keys.noise, rows.clone(), actions, smooth);
            let [value_1, value_2] = critics.each_ref().map(|network| {
                let inputs =
                    critic.input(network, rows.len()).chunks_exact_mut(spec.state_dim() + spec.action_dim());
                for (input, (state, action)) in inputs.zip(policy.inputs_and_outputs(actor)) {
                    let (input_state, input_action) = input.split_at_mut(state.len());
                    input_state.copy_from_slice(state);
                    input_action.copy_from_slice(action);
                }
                critic.evaluate(network, rows.len()).to_vec()
            });
            let rewards = &minibatch.reward[rows];
            for (((value, &reward), value_1), value_2) in values.iter_mut().zip(rewards).zip(value_1).zip(value_2) {
                *value = target_value(reward, discount, 1.0, value_1, value_2);
            }
        });
    }

    /// A critic's values of the minibatch in training mode, `[rows]`.
    fn values(&self, network: Network, keys: &UpdateKeys) -> Result<Vec<f32>, CpuError> {
        let dropout = Dropout { probability: self.spec.td3.dropout, keys: *keys, network };
        self.networks[network as usize].forward(&self.minibatch.input, &dropout)
    }

    fn step_critics(&mut self, targets: Vec<f32>, values: [Vec<f32>; 2]) -> Result<(), CpuError> {
        self.losses.critic_updates += 1;
        self.losses.target_value += mean(&targets);
        self.losses.q_value += mean(&values[0]);
        let rows = self.minibatch.rows;
        let [_, critic_1, critic_2] = &self.networks;
        let [values_1, values_2] = record_outputs([critic_1, critic_2], values, rows);
        let targets = tensor_2d(targets, rows);
        let loss = mse_loss(values_1, targets.clone()) + mse_loss(values_2, targets);
        self.losses.critic_loss += f64::from(loss.array());
        self.critic_updates += 1;
        self.losses.critic_gradient_norm +=
            self.minimize(&[Network::Critic1, Network::Critic2], loss, self.critic_updates)?;
        for net in &mut self.networks[1..] {
            net.update_running_stats();
        }
        Ok(())
    }

    fn step_actor(&mut self, keys: &UpdateKeys) -> Result<(), CpuError> {
        let Self { processor, spec, networks, minibatch, .. } = &*self;
        let dropout = Dropout { probability: spec.td3.dropout, keys: *keys, network: Network::Actor };
        let critic = self.critic();
        let states = minibatch.states(spec.action_dim());
        let (output, grad_weights) =
            rayon::join(|| networks[0].forward(states, &dropout), || critic.input_grad_weights(spec.action_dim()));
        let [output] = record_outputs([&networks[0]], [output?], minibatch.rows);
        let action = scaled_tanh(processor.arch, output, spec.max_action as f32);
        let (action, tape) = action.split_tape();
        let values = critic_value(critic, &grad_weights, states, action.clone().put_tape(tape));
        let squared_action = action.put_tape(Default::default()).square().mean::<Rank0, _>();
        let loss = squared_action * spec.td3.action_l2 as f32 - values.mean::<Rank0, _>();
        self.losses.policy_updates += 1;
        self.losses.actor_loss += f64::from(loss.array());
        self.policy_updates += 1;
        self.losses.actor_gradient_norm += self.minimize(&[Network::Actor], loss, self.policy_updates)?;
        self.networks[0].update_running_stats();
        Ok(())
    }

    /// Applies Adam step number `step` on a loss to some networks. Their gradient is clipped by its norm over all of
    /// them. Returns the norm before clipping.
    ///
    /// # Errors
    /// [`CpuError::Memory`] if the gradients do not fit into memory.
    fn minimize(
        &mut self,
        optimized: &[Network],
        loss: Tensor<Rank0, f32, DfdxCpu, GradTape>,
        step: u64,
    ) -> Result<f64, CpuError> {
        let elements =
            optimized.iter().map(|&network| self.networks[network as usize].layout.parameter_count()).sum();
        let no_memory = |_| CpuError::Memory { array: "gradients", elements };
        let mut gradients = loss.try_backward().map_err(no_memory)?;
        let mut norm_squared = 0.0;
        for &network in optimized {
            let slot = &self.networks[network as usize].grad_slot;
            norm_squared += squared_norm(self.processor.arch, gradients.get_or_alloc_mut(slot).map_err(no_memory)?);
        }
        let norm = norm_squared.sqrt();
        let step = self.spec.adam().step(step, clip_coefficient(norm as f32, self.spec.td3.max_grad_norm as f32));
        for &network in optimized {
            let net = &mut self.networks[network as usize];
            let gradient = gradients.get_or_alloc_mut(&net.grad_slot).map_err(no_memory)?;
            adam_step(
                self.processor.arch,
                &step,
                net.parameters_mut(),
                &mut self.moments[network as usize],
                gradient,
            );
        }
        Ok(norm)
    }

    /// The online actor.
    pub(crate) fn actor(&self) -> &Net {
        &self.networks[0]
    }

    /// The online critic whose value the policy update increases.
    pub(crate) fn critic(&self) -> &Net {
        &self.networks[Network::Critic1 as usize]
    }

    pub(crate) fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    pub(crate) fn export(&self) -> AgentState {
        AgentState {
            networks: self.networks.each_ref().map(|net| net.weights().clone()),
            targets: self.targets.clone(),
            moments: self.moments.clone(),
            policy_updates: self.policy_updates,
            critic_updates: self.critic_updates,
            losses: self.losses,
        }
    }
}

fn mean(values: &[f32]) -> f64 {
    values.iter().copied().map(f64::from).sum::<f64>() / values.len() as f64
}
