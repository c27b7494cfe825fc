//! What the script wrote, and what it made it from: the numbers in both are the same draws.

use std::collections::BTreeMap;

use recsim_core::model::rng::{Key, Purpose, uniform};
use recsim_core::session::config::{Config, Plan};
use recsim_core::td3::net::{LayerLayout, MlpLayout, Weights};
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentSpec, AgentState, Td3Config};
use recsim_core::world::{World, WorldArrays, WorldShape};
use safetensors::SafeTensors;
use serde::Deserialize;

use super::tolerance::Allowed;

/// A case of the fixture.
#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) seed: u64,
    clusters: usize,
    dimensions: usize,
    pub(super) users: usize,
    max_action: f64,
    pub(super) td3: Td3Config,
    /// Of a buffer, every number at a multiple of this is in the file.
    stride: usize,
    /// After these updates.
    pub(super) shown: Vec<u64>,
    pub(super) losses: Vec<Losses>,
    /// How far PyTorch's `f32` is from its `f64`, at most: by the buffer's name, or the loss's.
    pub(super) errors: BTreeMap<String, f64>,
    /// The Euclidean norms of whole buffers.
    norms: BTreeMap<String, f64>,
    #[serde(skip)]
    buffers: BTreeMap<String, Vec<f32>>,
}

/// What one update reported.
#[derive(Deserialize)]
pub(super) struct Losses {
    pub(super) critic_loss: f64,
    pub(super) q_value: f64,
    pub(super) target_value: f64,
    pub(super) critic_gradient_norm: f64,
    pub(super) actor_loss: Option<f64>,
    pub(super) actor_gradient_norm: Option<f64>,
}

/// Every case, with its buffers.
pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../testdata/td3_pytorch.json")).expect("the script wrote it");
    let file = include_bytes!("../../../testdata/td3_pytorch.safetensors");
    for (name, view) in SafeTensors::deserialize(file).expect("the script wrote it").iter() {
        let of = cases.iter_mut().find(|case| name.split('/').next() == Some(&case.name));
        let (numbers, _) = view.data().as_chunks();
        let numbers = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        of.expect("a buffer is named after its case").buffers.insert(name.to_owned(), numbers);
    }
    cases
}

impl Case {
    /// A world with these users; its items only fill a slate.
    pub(super) fn world(&self) -> World<'static> {
        let Self { users, clusters, dimensions, .. } = *self;
        let shape = WorldShape { users, items: clusters, clusters, dimensions, pretrained_len: 1 };
        // One world a case, in tests: leaking it spares an owner.
        let parts = WorldArrays {
            item_embedding: vec![0.0; clusters * dimensions].leak(),
            item_cluster: (0..clusters as u32).collect::<Vec<_>>().leak(),
            item_distance: vec![1.0; clusters].leak(),
            user_belief: vec![0.0; users * clusters].leak(),
            user_embedding: self.draws(0, users * dimensions, symmetric).leak(),
            user_pretrained: vec![0; users].leak(),
            target: vec![0.5 / clusters as f32; clusters].leak(),
        };
        World::new(shape, parts).expect("a world in order")
    }

    pub(super) fn plan(&self) -> Plan {
        let mut config = Config { td3: self.td3.clone(), ..Config::default() };
        config.td3.buffer_size = self.users as u64;
        // PyTorch was given beliefs as they are.
        config.td3.normalize_beliefs = false;
        config.training.warmup_transitions = self.users as u64;
        config.environment.max_action = self.max_action;
        config.recommendation.rl_list_size = 1;
        config.recommendation.total_recommendations = 1;
        config.plan(&self.world()).expect("the script's configuration is possible")
    }

    /// One transition of every user.
    pub(super) fn transitions(&self) -> Transitions {
        let Self { users, clusters, dimensions, .. } = *self;
        let scaled = |key| symmetric(key) * self.max_action as f32;
        Transitions {
            inserted: users as u64,
            user: (0..users as u32).collect(),
            belief_before: self.draws(1, users * clusters, uniform),
            belief: self.draws(2, users * clusters, uniform),
            action: self.draws(3, users * dimensions, symmetric),
            reward: self.draws(4, users, scaled),
        }
    }

    /// Networks of this seed and targets of the next, off their even beginnings.
    pub(super) fn initial(&self, spec: &AgentSpec) -> AgentState {
        let layouts = [&spec.actor, &spec.critics[0], &spec.critics[1]];
        let pushed = |seed: u64| {
            let mut networks = spec.initial_agent(seed).networks;
            for (n, weights) in networks.iter_mut().enumerate() {
                push(Key::new(seed, Purpose::World).fold_in(5).fold_in(n as u64), layouts[n], weights);
            }
            networks
        };
        AgentState { networks: pushed(self.seed), targets: pushed(self.seed + 1), ..spec.initial_agent(self.seed) }
    }

    /// Asserts that a buffer is the one in the file.
    pub(super) fn compare(&self, name: &str, found: &[f32], allowed: &Allowed<'_>) {
        let (expected, error) = (&self.buffers[name], self.errors[name]);
        assert_eq!(expected.len(), found.len().div_ceil(self.stride), "{name}: as many numbers");
        let largest = expected.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        for (place, &expected) in (0..).step_by(self.stride).zip(expected) {
            let allowed = allowed.at(place, error, largest);
            let off = f64::from(found[place] - expected).abs();
            assert!(
                off <= allowed,
                "{name}[{place}] is {}, PyTorch says {expected}: off by {off:e}, where {allowed:e} is allowed",
                found[place]
            );
        }
        let square = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
        let norm = square(&mut found.iter().copied().map(f64::from));
        let allowed = square(&mut (0..found.len()).map(|place| allowed.at(place, error, largest)));
        let expected = self.norms[name];
        assert!((norm - expected).abs() <= allowed, "{name}: norm {norm}, PyTorch says {expected} +- {allowed:e}");
    }

    fn draws(&self, table: u64, count: usize, draw: impl Fn(Key) -> f32) -> Vec<f32> {
        let key = Key::new(self.seed, Purpose::World).fold_in(table);
        (0..count as u64).map(|place| draw(key.fold_in(place))).collect()
    }
}

/// Moves scales, shifts and running statistics off their 1 and 0.
fn push(key: Key, layout: &MlpLayout, weights: &mut Weights) {
    for norm in layout.layers().iter().filter_map(|LayerLayout { batch_norm: norm, .. }| norm.as_ref()) {
        for place in norm.scale.clone().chain(norm.shift.clone()) {
            weights.parameters[place] += 0.5 * symmetric(key.fold_in(place as u64));
        }
        for place in norm.mean.clone().chain(norm.variance.clone()) {
            weights.running_stats[place] += 0.5 * symmetric(key.fold_in(STATISTICS + place as u64));
        }
    }
}

/// Uniform in `[-1, 1)`.
fn symmetric(key: Key) -> f32 {
    2.0 * uniform(key) - 1.0
}

/// Where the statistics' draws begin, beyond the parameters'.
const STATISTICS: u64 = 1_000_000;
