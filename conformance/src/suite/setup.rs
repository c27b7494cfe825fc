//! A small world and agent for the facts of the agent's side.

use recsim_core::backend::{Backend, Pending};
use recsim_core::model::rng::{Key, Purpose, normal_pair, uniform};
use recsim_core::session::config::{Config, Plan};
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentSpec, AgentState, UpdateKeys};
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};

pub(super) const USERS: usize = 37;

/// 37 users, 60 items, 3 clusters and 7 dimensions: sizes that no tile divides.
pub(super) fn world() -> OwnedWorld {
    let recipe =
        SyntheticWorldConfig { users: USERS, items: 60, clusters: 3, dimensions: 7, pretrained_len: 16, seed: 4 };
    generate(&recipe, brute_force_lists)
}

/// Small networks, learning from the first round on; `change` makes it another plan.
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
    config.plan(&world.view().unwrap()).expect("the plan is possible")
}

/// An agent in the midst of its life: no buffer is at its initial value, and targets lag behind.
pub(super) fn worn(spec: &AgentSpec) -> AgentState {
    let mut agent = spec.initial_agent(5);
    let key = Key::new(6, Purpose::World);
    for n in 0..3 {
        let networks = [(&mut agent.networks[n], 0), (&mut agent.targets[n], 1)];
        for (weights, which) in networks {
            let key = key.fold_in(n as u64).fold_in(which);
            for (place, x) in weights.parameters.iter_mut().enumerate() {
                *x += 0.05 * normal_pair(key.fold_in(place as u64))[0];
            }
            // Means around 0 and variances around 1 alike stay what they are: a little off.
            for (place, x) in weights.running_stats.iter_mut().enumerate() {
                *x += 0.2 * uniform(key.fold_in(place as u64).fold_in(1));
            }
        }
        for (place, (first, second)) in
            agent.moments[n].first.iter_mut().zip(&mut agent.moments[n].second).enumerate()
        {
            let [a, b] = normal_pair(key.fold_in(7).fold_in(n as u64).fold_in(place as u64));
            (*first, *second) = (1e-3 * a, 1e-6 * b * b + 1e-6);
        }
    }
    (agent.critic_updates, agent.policy_updates) = (9, 4);
    agent
}

/// A device with its world and a worn agent.
pub(super) struct Stage<B: Backend> {
    pub(super) backend: B,
    pub(super) plan: Plan,
    pub(super) world: B::World,
    pub(super) agent: B::Agent,
}

impl<B: Backend> Stage<B> {
    pub(super) fn new(mut backend: B, world: &OwnedWorld, plan: Plan) -> Self {
        let on_device =
            backend.load_world(&world.view().unwrap(), &plan.environment).expect("the device takes a world");
        let agent = backend.load_agent(&plan.agent, &worn(&plan.agent)).expect("the device takes an agent");
        Self { backend, plan, world: on_device, agent }
    }

    /// A ring of these rounds of all users.
    pub(super) fn replay(&mut self, rounds: core::ops::RangeInclusive<u64>) -> B::Replay {
        let none = Transitions::default();
        let mut replay = self.backend.create_replay(&self.world, 100, &none).expect("the device takes a ring");
        rounds.for_each(|round| self.serve(round, &mut replay));
        replay
    }

    fn serve(&mut self, round: u64, replay: &mut B::Replay) {
        let mut batch = self.acted(0..USERS, Some(Key::new(1, Purpose::Exploration).fold_in(round)));
        let luck = Key::new(1, Purpose::Acceptance).fold_in(round);
        self.backend.recommend(&self.world, &mut batch).expect("the device recommends");
        self.backend.respond(&self.world, &mut batch, luck, Some(replay)).expect("users respond");
    }

    /// The users, with their initial beliefs, having been given actions.
    pub(super) fn acted(&mut self, users: core::ops::Range<usize>, exploration: Option<Key>) -> B::Batch {
        let mut batch = self.backend.create_batch(&self.world, users).expect("the device takes a batch");
        self.backend.observe(&self.world, &mut batch).expect("the device observes");
        self.backend.act(&self.agent, &mut batch, exploration).expect("the device acts");
        batch
    }

    pub(super) fn actions(&mut self, users: core::ops::Range<usize>, exploration: Option<Key>) -> Vec<f32> {
        let batch = self.acted(users, exploration);
        self.backend.snapshot(&batch).expect("the device shows a batch").action
    }

    /// An update of critics and policy.
    pub(super) fn update(&mut self, replay: &B::Replay, keys: &UpdateKeys) {
        self.backend.update(&self.world, replay, &mut self.agent, keys, true).expect("the device learns");
    }

    pub(super) fn export(&mut self) -> AgentState {
        self.backend.export_agent(&self.agent).and_then(Pending::wait).expect("the device shows its agent")
    }
}

pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Every number of an agent, as bits.
pub(super) fn agent_bits(agent: &AgentState) -> Vec<Vec<u32>> {
    let weights = agent.networks.iter().chain(&agent.targets).flat_map(|w| [&w.parameters, &w.running_stats]);
    let moments = agent.moments.iter().flat_map(|m| [&m.first, &m.second]);
    weights.chain(moments).map(|buffer| bits(buffer)).collect()
}
