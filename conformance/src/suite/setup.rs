//! A small world and agent for the tests of learning.

use recsim_core::backend::{Backend, Pending};
use recsim_core::model::rng::{Key, Purpose, normal_pair, uniform};
use recsim_core::session::config::{Config, Plan};
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentSpec, AgentState, UpdateKeys};
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};

pub(super) const USERS: usize = 37;

/// 37 users, 60 items, 3 clusters and 7 dimensions: sizes that no tile divides.
pub(super) fn world() -> OwnedWorld {
    let world_config =
        SyntheticWorldConfig { users: USERS, items: 60, clusters: 3, dimensions: 7, pretrained_len: 16, seed: 4 };
    generate(&world_config, brute_force_lists)
}

/// The plan of a small experiment with small networks that trains after every second round. `change` modifies its
/// configuration.
pub(super) fn plan(world: &OwnedWorld, change: impl FnOnce(&mut Config)) -> Plan {
    let mut config = Config::default();
    config.training.episodes = 2;
    config.training.rounds_per_episode = 3;
    config.training.train_frequency = 2;
    config.training.warmup_transitions = 1;
    config.recommendation.rl_list_size = 4;
    config.recommendation.total_recommendations = 8;
    config.td3.hidden_sizes = vec![19, 12];
    config.td3.batch_size = 24;
    config.td3.gradient_steps = 4;
    config.td3.buffer_size = 100;
    config.experiment.seed = 13;
    change(&mut config);
    config.plan(&world.view().expect("a valid world")).expect("the configuration is valid")
}

/// An agent as in the middle of training: no buffer has its initial value, and the targets differ from the networks.
pub(super) fn trained_agent(spec: &AgentSpec) -> AgentState {
    let mut agent = spec.initial_agent(5);
    let key = Key::new(6, Purpose::World);
    for n in 0..3 {
        let networks = [(&mut agent.networks[n], 0), (&mut agent.targets[n], 1)];
        for (weights, which) in networks {
            let key = key.fold_in(n as u64).fold_in(which);
            for (index, x) in weights.parameters.iter_mut().enumerate() {
                *x += 0.05 * normal_pair(key.fold_in(index as u64))[0];
            }
            // Small offsets keep means near 0 and variances near 1.
            for (index, x) in weights.running_stats.iter_mut().enumerate() {
                *x += 0.2 * uniform(key.fold_in(index as u64).fold_in(1));
            }
        }
        for (index, (first, second)) in
            agent.moments[n].first.iter_mut().zip(&mut agent.moments[n].second).enumerate()
        {
            let [a, b] = normal_pair(key.fold_in(7).fold_in(n as u64).fold_in(index as u64));
            (*first, *second) = (1e-3 * a, 1e-6 * b * b + 1e-6);
        }
    }
    (agent.critic_updates, agent.policy_updates) = (9, 4);
    agent
}

/// A backend with its world and a trained agent loaded.
pub(super) struct LoadedBackend<B: Backend> {
    pub(super) backend: B,
    pub(super) plan: Plan,
    pub(super) world: B::World,
    pub(super) agent: B::Agent,
}

impl<B: Backend> LoadedBackend<B> {
    /// Loads the world and a [`trained_agent`].
    pub(super) fn new(mut backend: B, world: &OwnedWorld, plan: Plan) -> Self {
        let on_device = backend
            .load_world(&world.view().expect("a valid world"), &plan.environment)
            .expect("the backend loads a world");
        let agent =
            backend.load_agent(&plan.agent, &trained_agent(&plan.agent)).expect("the backend loads an agent");
        Self { backend, plan, world: on_device, agent }
    }

    /// A replay buffer with the transitions of these rounds of all users.
    pub(super) fn replay(&mut self, rounds: core::ops::RangeInclusive<u64>) -> B::Replay {
        let none = Transitions::default();
        let mut replay =
            self.backend.create_replay(&self.world, 100, &none).expect("the backend creates a replay buffer");
        rounds.for_each(|round| self.play_round(round, &mut replay));
        replay
    }

    /// Plays one round of all users.
    fn play_round(&mut self, round: u64, replay: &mut B::Replay) {
        let mut batch = self.batch_with_actions(0..USERS, Some(Key::new(1, Purpose::Exploration).fold_in(round)));
        let acceptance_key = Key::new(1, Purpose::Acceptance).fold_in(round);
        self.backend.recommend(&self.world, &mut batch).expect("the backend recommends");
        self.backend.respond(&self.world, &mut batch, acceptance_key, Some(replay)).expect("the backend responds");
    }

    /// A batch of these users with their initial beliefs and the policy's actions.
    pub(super) fn batch_with_actions(
        &mut self,
        users: core::ops::Range<usize>,
        exploration: Option<Key>,
    ) -> B::Batch {
        let mut batch = self.backend.create_batch(&self.world, users).expect("the backend creates a batch");
        self.backend.observe(&self.world, &mut batch).expect("the backend observes");
        self.backend.act(&self.agent, &mut batch, exploration).expect("the backend acts");
        batch
    }

    /// The policy's actions for these users, `[users, D]`.
    pub(super) fn actions(&mut self, users: core::ops::Range<usize>, exploration: Option<Key>) -> Vec<f32> {
        let batch = self.batch_with_actions(users, exploration);
        self.backend.snapshot(&batch).expect("the backend returns a snapshot").action
    }

    /// One update of critics and policy.
    pub(super) fn update(&mut self, replay: &B::Replay, keys: &UpdateKeys) {
        self.backend.update(&self.world, replay, &mut self.agent, keys, true).expect("the backend learns");
    }

    /// The current agent.
    pub(super) fn export(&mut self) -> AgentState {
        self.backend.export_agent(&self.agent).and_then(Pending::wait).expect("the backend exports an agent")
    }
}

/// The bits of values, so that a comparison tells -0 from 0 and NaN equals itself.
pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The bits of all values of an agent, buffer by buffer.
pub(super) fn agent_bits(agent: &AgentState) -> Vec<Vec<u32>> {
    let weights = agent.networks.iter().chain(&agent.targets).flat_map(|w| [&w.parameters, &w.running_stats]);
    let moments = agent.moments.iter().flat_map(|m| [&m.first, &m.second]);
    weights.chain(moments).map(|buffer| bits(buffer)).collect()
}
