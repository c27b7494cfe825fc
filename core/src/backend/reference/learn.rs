//! The agent's side: acting, critic re-ranking, and the update of TD3 in the paper's order.

use alloc::vec;
use alloc::vec::Vec;

use super::mlp::{ForwardPass, Mode, backward, forward, update_running_stats};
use super::{Batch, Reference, Replay, World};
use crate::backend::Learn;
use crate::model::math::Real;
use crate::model::rng::{Key, index, normal_pair};
use crate::td3::adam::clip_coefficient;
use crate::td3::explore::action_toward;
use crate::td3::net::{MlpLayout, Weights};
use crate::td3::{
    AgentSpec, AgentState, Losses, Moments, Network, UpdateKeys, is_saturated, perturb, smooth_target_action,
    soft_update, target_value,
};
use crate::world::{WorldShape, row};

/// An agent in `T`. Arrays are in the order of [`Network`].
#[derive(Clone, Debug)]
pub struct Agent<T> {
    spec: AgentSpec,
    networks: [Weights<T>; 3],
    targets: [Weights<T>; 3],
    moments: [Moments<T>; 3],
    policy_updates: u64,
    critic_updates: u64,
    pub(super) losses: Losses,
}

impl<T: Real> Learn for Reference<T> {
    fn load_agent(&mut self, spec: &AgentSpec, state: &AgentState) -> Result<Agent<T>, Self::Error> {
        Ok(Agent {
            spec: spec.clone(),
            networks: state.networks.each_ref().map(convert_weights),
            targets: state.targets.each_ref().map(convert_weights),
            moments: state.moments.each_ref().map(convert_moments),
            policy_updates: state.policy_updates,
            critic_updates: state.critic_updates,
            losses: state.losses,
        })
    }

    fn act(&mut self, agent: &Agent<T>, batch: &mut Batch, exploration: Option<Key>) -> Result<(), Self::Error> {
        let spec = &agent.spec;
        let width = spec.action_dim();
        let max_action = spec.max_action as f32;
        let state: Vec<T> = batch.state.iter().copied().map(convert).collect();
        let output = forward(&spec.actor, &agent.networks[0], &state, Mode::Evaluate).output;
        let deviation = (spec.td3.exploration_noise * spec.max_action) as f32;
        (batch.components, batch.saturated) = (output.len() as u64, 0);
        for (n, user) in batch.users.clone().enumerate() {
            let noise = exploration.map(|key| key.fold_in(user as u64));
            for (column, (element, &out)) in
                batch.action[row(n, width)].iter_mut().zip(&output[row(n, width)]).enumerate()
            {
                let action = out.tanh().to_f64() as f32 * max_action;
                batch.saturated += u64::from(is_saturated(action, max_action));
                *element = match noise {
                    None => action,
                    Some(key) => perturb(action, normal(key, column) * deviation, max_action),
                };
            }
        }
        Ok(())
    }

    fn rerank(&mut self, world: &World, agent: &Agent<T>, batch: &mut Batch) -> Result<(), Self::Error> {
        let (spec, width) = (&agent.spec, agent.spec.action_dim());
        if spec.candidates() == 0 {
            return Ok(());
        }
        let critic = (agent.layout(Network::Critic1), &agent.networks[Network::Critic1 as usize]);
        for n in 0..batch.users.len() {
            let action = &mut batch.action[row(n, width)];
            let candidates = world.best_items(action, spec.candidates());
            let mut actions = action.to_vec();
            for item in candidates {
                let mut candidate = vec![0.0; width];
                action_toward(world.item_row(item), spec.max_action as f32, &mut candidate);
                actions.extend(candidate);
            }
            let state = batch.state[row(n, spec.state_dim())].iter().copied().map(convert);
            let states: Vec<T> = state.cycle().take(spec.state_dim() * actions.len() / width).collect();
            let input = concat_columns(&states, &convert_all(&actions), width);
            let values = forward(critic.0, critic.1, &input, Mode::Evaluate).output;
            let better = |best, index| if values[index] > values[best] { index } else { best };
            let best = (0..values.len()).fold(0, better);
            action.copy_from_slice(&actions[row(best, width)]);
        }
        Ok(())
    }

    fn update(
        &mut self,
        world: &World,
        replay: &Replay,
        agent: &mut Agent<T>,
        keys: &UpdateKeys,
        with_policy: bool,
    ) -> Result<(), Self::Error> {
        let minibatch = Minibatch::sample(world, replay, agent.spec.batch_size(), keys);
        let targets = agent.target_values(&minibatch, keys);
        agent.step_critics(&minibatch, &targets, keys);
        if with_policy {
            agent.step_actor(&minibatch.state, keys);
            agent.update_targets();
        }
        Ok(())
    }
}

/// The transitions of one update.
struct Minibatch<T> {
    /// `[rows, K + D]`
    state: Vec<T>,
    /// `[rows, D]`
    action: Vec<T>,
    /// `[rows]`
    reward: Vec<T>,
    /// `[rows, K + D]`
    next_state: Vec<T>,
}

impl<T: Real> Minibatch<T> {
    /// Samples `rows` transitions with replacement.
    fn sample(world: &World, replay: &Replay, rows: usize, keys: &UpdateKeys) -> Self {
        let WorldShape { clusters, dimensions, .. } = world.shape;
        let mut minibatch = Self { state: vec![], action: vec![], reward: vec![], next_state: vec![] };
        for n in 0..rows {
            let Replay { user, belief_before, belief, action, reward, .. } = replay;
            let offset = index(keys.sample.fold_in(n as u64), replay.index.len() as u64) as usize;
            let embedding = &world.user_embedding[row(user[offset] as usize, dimensions)];
            let state = |beliefs: &[f32]| -> Vec<T> {
                let beliefs = world.scaled_beliefs(&beliefs[row(offset, clusters)]);
                [&beliefs, embedding].concat().into_iter().map(convert).collect()
            };
            minibatch.state.extend(state(belief_before));
            minibatch.next_state.extend(state(belief));
            minibatch.action.extend(action[row(offset, dimensions)].iter().copied().map(convert::<T>));
            minibatch.reward.push(convert(reward[offset]));
        }
        minibatch
    }
}

impl<T: Real> Agent<T> {
    /// The critics' target values: `[rows]`.
    fn target_values(&self, minibatch: &Minibatch<T>, keys: &UpdateKeys) -> Vec<T> {
        let spec = &self.spec;
        let max_action = T::from_f64(spec.max_action);
        let deviation = T::from_f64(spec.td3.policy_noise * spec.max_action);
        let limit = T::from_f64(spec.td3.noise_clip * spec.max_action);
        let width = spec.action_dim();
        let output = forward(&spec.actor, &self.targets[0], &minibatch.next_state, Mode::Evaluate).output;
        let action: Vec<T> = output
            .iter()
            .enumerate()
            .map(|(index, &out)| {
                let noise = convert(normal(keys.noise.fold_in((index / width) as u64), index % width));
                smooth_target_action(out.tanh() * max_action, noise, deviation, limit, max_action)
            })
            .collect();
        let input = concat_columns(&minibatch.next_state, &action, width);
        let [value_1, value_2] = [Network::Critic1, Network::Critic2]
            .map(|n| forward(self.layout(n), &self.targets[n as usize], &input, Mode::Evaluate).output);
        let discount = T::from_f64(spec.td3.discount);
        let values = value_1.iter().zip(&value_2).zip(&minibatch.reward);
        values.map(|((&v1, &v2), &reward)| target_value(reward, discount, T::ONE, v1, v2)).collect()
    }

    /// One step of both critics, with gradients clipped together; then their running statistics.
    fn step_critics(&mut self, minibatch: &Minibatch<T>, targets: &[T], keys: &UpdateKeys) {
        let input = concat_columns(&minibatch.state, &minibatch.action, self.spec.action_dim());
        let rows = T::from_f64(targets.len() as f64);
        let critics = [Network::Critic1, Network::Critic2];
        let [pass_1, pass_2] = critics.map(|network| {
            let mode = Mode::Train { dropout: self.spec.td3.dropout, keys: *keys, network };
            forward(self.layout(network), &self.networks[network as usize], &input, mode)
        });
        let loss = |pass: &ForwardPass<T>| mean(pass.output.iter().zip(targets).map(|(&q, &y)| (q - y) * (q - y)));
        self.losses.critic_updates += 1;
        self.losses.critic_loss += loss(&pass_1) + loss(&pass_2);
        self.losses.q_value += mean(pass_1.output.iter().copied());
        self.losses.target_value += mean(targets.iter().copied());
        let two = T::ONE + T::ONE;
        let gradients = [(Network::Critic1, &pass_1), (Network::Critic2, &pass_2)].map(|(network, pass)| {
            let output_grad: Vec<T> =
                pass.output.iter().zip(targets).map(|(&q, &y)| two * (q - y) / rows).collect();
            backward(self.layout(network), &self.networks[network as usize], pass, &output_grad).0
        });
        let norm = norm(gradients.iter().flatten());
        self.losses.critic_gradient_norm += norm;
        self.critic_updates += 1;
        for ((network, pass), gradient) in critics.into_iter().zip([&pass_1, &pass_2]).zip(&gradients) {
            self.adam_step(network, self.critic_updates, norm, gradient);
            let layout = &self.spec.critics[network as usize - 1];
            update_running_stats(layout, &mut self.networks[network as usize], pass);
        }
    }

    /// One step of the actor, on the first critic's values of its actions; then its running statistics.
    fn step_actor(&mut self, states: &[T], keys: &UpdateKeys) {
        let spec = &self.spec;
        let (max_action, width) = (T::from_f64(spec.max_action), spec.action_dim());
        let mode = Mode::Train { dropout: spec.td3.dropout, keys: *keys, network: Network::Actor };
        let pass = forward(&spec.actor, &self.networks[0], states, mode);
        let squashed: Vec<T> = pass.output.iter().map(|out| out.tanh()).collect();
        let action: Vec<T> = squashed.iter().map(|&t| t * max_action).collect();
        let input = concat_columns(states, &action, width);
        let critic = (self.layout(Network::Critic1), &self.networks[Network::Critic1 as usize]);
        let critic_pass = forward(critic.0, critic.1, &input, Mode::Evaluate);
        let mean_square = mean(action.iter().map(|&a| a * a));
        let loss = spec.td3.action_l2 * mean_square - mean(critic_pass.output.iter().copied());

        let rows = T::from_f64(critic_pass.output.len() as f64);
        let value_grad = vec![-T::ONE / rows; critic_pass.output.len()];
        let input_grad = backward(critic.0, critic.1, &critic_pass, &value_grad).1;
        let l2_factor = T::from_f64(2.0 * spec.td3.action_l2 / action.len() as f64);
        let output_grad: Vec<T> = (0..action.len())
            .map(|n| {
                let (row, column) = (n / width, n % width);
                let action_grad = input_grad[row * (spec.state_dim() + width) + spec.state_dim() + column];
                (action_grad + l2_factor * action[n]) * max_action * (T::ONE - squashed[n] * squashed[n])
            })
            .collect();
        let (gradient, _) = backward(&spec.actor, &self.networks[0], &pass, &output_grad);
        let norm = norm(&gradient);
        self.losses.policy_updates += 1;
        self.losses.actor_loss += loss;
        self.losses.actor_gradient_norm += norm;
        self.policy_updates += 1;
        self.adam_step(Network::Actor, self.policy_updates, norm, &gradient);
        update_running_stats(&self.spec.actor, &mut self.networks[0], &pass);
    }

    /// Step number `number` of Adam on one network. `norm` is the global norm that clipping uses.
    fn adam_step(&mut self, network: Network, number: u64, norm: f64, gradient: &[T]) {
        let clip = clip_coefficient(T::from_f64(norm), T::from_f64(self.spec.td3.max_grad_norm));
        let step = self.spec.adam().step(number, clip);
        let moments = &mut self.moments[network as usize];
        let parameters = &mut self.networks[network as usize].parameters;
        for (n, parameter) in parameters.iter_mut().enumerate() {
            step.apply(parameter, &mut moments.first[n], &mut moments.second[n], gradient[n]);
        }
    }

    /// The soft update of all targets: parameters and running statistics.
    fn update_targets(&mut self) {
        let tau = T::from_f64(self.spec.td3.tau);
        for (target, online) in self.targets.iter_mut().zip(&self.networks) {
            let targets = target.parameters.iter_mut().chain(&mut target.running_stats);
            for (target, &online) in targets.zip(online.parameters.iter().chain(&online.running_stats)) {
                *target = soft_update(*target, online, tau);
            }
        }
    }

    fn layout(&self, network: Network) -> &MlpLayout {
        self.spec.layouts()[network as usize]
    }

    pub(super) fn export(&self) -> AgentState {
        AgentState {
            networks: self.networks.each_ref().map(convert_weights),
            targets: self.targets.each_ref().map(convert_weights),
            moments: self.moments.each_ref().map(convert_moments),
            policy_updates: self.policy_updates,
            critic_updates: self.critic_updates,
            losses: self.losses,
        }
    }
}

/// The normal noise on dimension `column`, for the key of a row.
fn normal(row: Key, column: usize) -> f32 {
    normal_pair(row.fold_in((column / 2) as u64))[column % 2]
}

/// Two arrays of the same number of rows, joined by columns: `[rows, left + width]`, for a right one of `width`
/// columns.
fn concat_columns<T: Real>(left: &[T], right: &[T], width: usize) -> Vec<T> {
    let rows = right.len() / width;
    let left = left.chunks_exact(left.len() / rows);
    left.zip(right.chunks_exact(width)).flat_map(|(left, right)| left.iter().chain(right)).copied().collect()
}

/// The mean, added in `f64`.
fn mean<T: Real>(values: impl ExactSizeIterator<Item = T>) -> f64 {
    let count = values.len() as f64;
    values.map(T::to_f64).sum::<f64>() / count
}

/// The Euclidean norm, added in `f64`.
fn norm<'a, T: Real>(gradient: impl IntoIterator<Item = &'a T>) -> f64 {
    libm::sqrt(gradient.into_iter().map(|g| g.to_f64() * g.to_f64()).sum())
}

fn convert<T: Real>(value: f32) -> T {
    T::from_f64(f64::from(value))
}

fn convert_all<A: Real, B: Real>(values: &[A]) -> Vec<B> {
    values.iter().map(|&value| B::from_f64(value.to_f64())).collect()
}

fn convert_weights<A: Real, B: Real>(weights: &Weights<A>) -> Weights<B> {
    Weights { parameters: convert_all(&weights.parameters), running_stats: convert_all(&weights.running_stats) }
}

fn convert_moments<A: Real, B: Real>(moments: &Moments<A>) -> Moments<B> {
    Moments { first: convert_all(&moments.first), second: convert_all(&moments.second) }
}
