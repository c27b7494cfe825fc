//! The agent on the CPU: TD3's two steps, in the paper's order.

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
use crate::isa::Processor;
use crate::mlp::{Dropout, Frozen, Host, Net, Room, TILE, Tape, record, squash, table, value};
use crate::noise::Noise;
use crate::optimizer::{descend, follow, square};
use crate::replay::{Replay, Sample};
use crate::{CpuError, World};

/// Networks, targets, optimizer. The arrays' order is that of [`Network`].
#[derive(Debug)]
pub struct Agent {
    pub(crate) processor: Processor,
    pub(crate) spec: AgentSpec,
    networks: [Net; 3],
    targets: [Weights; 3],
    /// The targets as evaluation takes them, from when they are asked for until they move.
    frozen: OnceLock<[Frozen; 3]>,
    moments: [Moments; 3],
    policy_updates: u64,
    critic_updates: u64,
    losses: Losses,
    /// What the critics learned from last.
    sample: Sample,
}

impl Agent {
    pub(crate) fn new(processor: Processor, spec: &AgentSpec, state: &AgentState) -> Self {
        let layouts = spec.layouts();
        Self {
            processor,
            spec: spec.clone(),
            // The critics go side by side.
            networks: [0, 1, 2].map(|n| Net::new(processor, n == 0, layouts[n], &state.networks[n])),
            targets: state.targets.clone(),
            frozen: OnceLock::new(),
            moments: state.moments.clone(),
            policy_updates: state.policy_updates,
            critic_updates: state.critic_updates,
            losses: state.losses,
            sample: Sample::default(),
        }
    }

    pub(crate) fn update_critics(
        &mut self,
        world: &World,
        replay: &Replay,
        keys: &UpdateKeys,
    ) -> Result<(), CpuError> {
        self.sample.draw(world, replay, self.spec.batch_size(), keys)?;
        let mut targets = crate::error::table("target values", self.sample.rows, 0.0)?;
        let mut values = [const { Ok(Vec::new()) }; 2];
        let (agent, frozen) = (&*self, self.frozen_targets());
        // None needs another one's numbers. In this order: the critics are cut into pieces, so whoever is done first helps.
        rayon::scope_fifo(|scope| {
            for tile in targets.chunks_mut(TILE).enumerate() {
                scope.spawn_fifo(move |_| agent.target_values(frozen, world, replay, keys, tile));
            }
            for (values, network) in values.iter_mut().zip([Network::Critic1, Network::Critic2]) {
                scope.spawn_fifo(move |_| *values = agent.values(network, keys));
            }
        });
        let [values_1, values_2] = values;
        self.step_critics(targets, [values_1?, values_2?])
    }

    pub(crate) fn update_policy(&mut self, keys: &UpdateKeys) -> Result<(), CpuError> {
        self.step_actor(keys)?;
        let tau = self.spec.td3.tau as f32;
        self.frozen.take();
        for (target, online) in self.targets.iter_mut().zip(&self.networks) {
            follow(self.processor.arch, &mut target.parameters, &online.weights().parameters, tau);
            follow(self.processor.arch, &mut target.running_stats, &online.weights().running_stats, tau);
        }
        Ok(())
    }

    /// The targets, in evaluation mode. They are asked for before pieces of work are handed out: whoever makes them takes up
    /// others meanwhile, and must not find one that asks too.
    fn frozen_targets(&self) -> &[Frozen; 3] {
        self.frozen.get_or_init(|| {
            let frozen = |n: usize| Frozen::new(self.processor, self.spec.layouts()[n], &self.targets[n]);
            let (actor, (critic_1, critic_2)) =
                rayon::join(|| frozen(0), || rayon::join(|| frozen(1), || frozen(2)));
            [actor, critic_1, critic_2]
        })
    }

    /// Fills in what the critics should say of a tile of rows, given its number: they go through all three targets.
    fn target_values(
        &self,
        [actor, critics @ ..]: &[Frozen; 3],
        world: &World,
        replay: &Replay,
        keys: &UpdateKeys,
        (tile, values): (usize, &mut [f32]),
    ) {
        let Self { processor, spec, sample, .. } = self;
        let (max_action, discount) = (spec.max_action as f32, spec.td3.discount as f32);
        let deviation = (spec.td3.policy_noise * spec.max_action) as f32;
        let limit = (spec.td3.noise_clip * spec.max_action) as f32;
        let disturb =
            |action, noise| smooth_target_action(tanh(action) * max_action, noise, deviation, limit, max_action);
        let rows = tile * TILE..tile * TILE + values.len();
        Room::lend(|[policy, critic]| {
            sample.next_states(world, replay, rows.clone(), policy.input(actor, rows.len()));
            let actions = policy.evaluate(actor, rows.len());
            Noise::default().add(processor.arch, keys.noise, rows.clone(), actions, disturb);
            let [value_1, value_2] = critics.each_ref().map(|network| {
                let inputs =
                    critic.input(network, rows.len()).chunks_exact_mut(spec.state_dim() + spec.action_dim());
                for (input, (state, action)) in inputs.zip(policy.passed(actor)) {
                    let (to_state, to_action) = input.split_at_mut(state.len());
                    to_state.copy_from_slice(state);
                    to_action.copy_from_slice(action);
                }
                critic.evaluate(network, rows.len()).to_vec()
            });
            let rewards = &sample.reward[rows];
            for (((value, &reward), value_1), value_2) in values.iter_mut().zip(rewards).zip(value_1).zip(value_2) {
                *value = target_value(reward, discount, 1.0, value_1, value_2);
            }
        });
    }

    /// A critic's values of the sample in training mode.
    fn values(&self, network: Network, keys: &UpdateKeys) -> Result<Vec<f32>, CpuError> {
        let dropout = Dropout { share: self.spec.td3.dropout, keys: *keys, network };
        self.networks[network as usize].forward(&self.sample.input, &dropout)
    }

    fn step_critics(&mut self, targets: Vec<f32>, values: [Vec<f32>; 2]) -> Result<(), CpuError> {
        self.losses.critic_updates += 1;
        self.losses.target_value += mean(&targets);
        self.losses.q_value += mean(&values[0]);
        let rows = self.sample.rows;
        let [_, critic_1, critic_2] = &self.networks;
        let [values_1, values_2] = record([critic_1, critic_2], values, rows);
        let targets = table(targets, rows);
        let loss = mse_loss(values_1, targets.clone()) + mse_loss(values_2, targets);
        self.losses.critic_loss += f64::from(loss.array());
        self.critic_updates += 1;
        self.losses.critic_gradient_norm +=
            self.descend(&[Network::Critic1, Network::Critic2], loss, self.critic_updates)?;
        for net in &mut self.networks[1..] {
            net.track();
        }
        Ok(())
    }

    fn step_actor(&mut self, keys: &UpdateKeys) -> Result<(), CpuError> {
        let Self { processor, spec, networks, sample, .. } = &*self;
        let dropout = Dropout { share: spec.td3.dropout, keys: *keys, network: Network::Actor };
        let critic = self.critic();
        let states = sample.states(spec.action_dim());
        let (output, back) =
            rayon::join(|| networks[0].forward(states, &dropout), || critic.there_and_back(spec.action_dim()));
        let [output] = record([&networks[0]], [output?], sample.rows);
        let action = squash(processor.arch, output, spec.max_action as f32);
        let (action, tape) = action.split_tape();
        let values = value(critic, &back, states, action.clone().put_tape(tape));
        let size = action.put_tape(Default::default()).square().mean::<Rank0, _>();
        let loss = size * spec.td3.action_l2 as f32 - values.mean::<Rank0, _>();
        self.losses.policy_updates += 1;
        self.losses.actor_loss += f64::from(loss.array());
        self.policy_updates += 1;
        self.losses.actor_gradient_norm += self.descend(&[Network::Actor], loss, self.policy_updates)?;
        self.networks[0].track();
        Ok(())
    }

    /// Adam's step number `step` down a loss on some networks, their gradient clipped by its norm over all of them.
    /// Returns the norm.
    fn descend(
        &mut self,
        of: &[Network],
        loss: Tensor<Rank0, f32, Host, Tape>,
        step: u64,
    ) -> Result<f64, CpuError> {
        let elements = of.iter().map(|&network| self.networks[network as usize].layout.parameter_count()).sum();
        let no_memory = |_| CpuError::Memory { table: "gradients", elements };
        let mut gradients = loss.try_backward().map_err(no_memory)?;
        let mut norm_square = 0.0;
        for &network in of {
            let slot = &self.networks[network as usize].slot;
            norm_square += square(self.processor.arch, gradients.get_or_alloc_mut(slot).map_err(no_memory)?);
        }
        let norm = norm_square.sqrt();
        let step = self.spec.adam().step(step, clip_coefficient(norm as f32, self.spec.td3.max_grad_norm as f32));
        for &network in of {
            let net = &mut self.networks[network as usize];
            let gradient = gradients.get_or_alloc_mut(&net.slot).map_err(no_memory)?;
            descend(self.processor.arch, &step, net.parameters(), &mut self.moments[network as usize], gradient);
        }
        Ok(norm)
    }

    /// The actor's layout and weights.
    pub(crate) fn actor(&self) -> &Net {
        &self.networks[0]
    }

    /// The critic that the policy climbs.
    pub(crate) fn critic(&self) -> &Net {
        &self.networks[Network::Critic1 as usize]
    }

    pub(crate) fn losses(&mut self) -> Losses {
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
