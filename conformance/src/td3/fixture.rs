//! The fixture that `scripts/td3_fixture.py` wrote, and its inputs, which script and test draw from the same keys.

use std::collections::BTreeMap;

use recsim_core::model::rng::{Key, Purpose, uniform};
use recsim_core::session::config::{Config, Plan};
use recsim_core::td3::net::{LayerLayout, MlpLayout, Weights};
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentSpec, AgentState, Td3Config};
use recsim_core::world::{World, WorldArrays, WorldShape};
use safetensors::SafeTensors;
use serde::Deserialize;

use super::tolerance::ElementTolerance;

/// A case of the fixture: a configuration and PyTorch's results. Field names without `rename` are the keys of
/// `testdata/td3_pytorch.json`.
#[derive(Deserialize)]
pub(super) struct PytorchCase {
    pub(super) name: String,
    pub(super) seed: u64,
    clusters: usize,
    dimensions: usize,
    pub(super) users: usize,
    max_action: f64,
    pub(super) td3: Td3Config,
    /// The file has the elements of a buffer at multiples of this index.
    stride: usize,
    /// The updates, from 1, after which the file has the buffers.
    #[serde(rename = "shown")]
    pub(super) compared_updates: Vec<u64>,
    pub(super) losses: Vec<PytorchLosses>,
    /// The largest error of PyTorch's `f32` run against its `f64` run, by the name of the buffer or loss.
    pub(super) errors: BTreeMap<String, f64>,
    /// The Euclidean norms of whole buffers, by name.
    norms: BTreeMap<String, f64>,
    /// The elements in the file, by the buffer's name.
    #[serde(skip)]
    buffers: BTreeMap<String, Vec<f32>>,
}

/// The losses of one update in PyTorch.
#[derive(Deserialize)]
pub(super) struct PytorchLosses {
    pub(super) critic_loss: f64,
    pub(super) q_value: f64,
    pub(super) target_value: f64,
    pub(super) critic_gradient_norm: f64,
    pub(super) actor_loss: Option<f64>,
    pub(super) actor_gradient_norm: Option<f64>,
}

/// Every case, with its buffers.
pub(super) fn cases() -> Vec<PytorchCase> {
    let mut cases: Vec<PytorchCase> = serde_json::from_str(include_str!("../../../testdata/td3_pytorch.json"))
        .expect("the fixture is as scripts/td3_fixture.py writes it");
    let file = include_bytes!("../../../testdata/td3_pytorch.safetensors");
    for (name, view) in
        SafeTensors::deserialize(file).expect("the fixture is as scripts/td3_fixture.py writes it").iter()
    {
        let case = cases.iter_mut().find(|case| name.split('/').next() == Some(&case.name));
        let (chunks, _) = view.data().as_chunks();
        let values = chunks.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        case.expect("a buffer is named after its case").buffers.insert(name.to_owned(), values);
    }
    cases
}

impl PytorchCase {
    /// A world with these users. Its items only fill a slate.
    pub(super) fn world(&self) -> World<'static> {
        let Self { users, clusters, dimensions, .. } = *self;
        let shape = WorldShape { users, items: clusters, clusters, dimensions, pretrained_len: 1 };
        // Leaked: there are a few small worlds per test.
        let arrays = WorldArrays {
            item_embedding: vec![0.0; clusters * dimensions].leak(),
            item_cluster: (0..clusters as u32).collect::<Vec<_>>().leak(),
            item_distance: vec![1.0; clusters].leak(),
            user_belief: vec![0.0; users * clusters].leak(),
            user_embedding: self.draws(0, users * dimensions, symmetric).leak(),
            user_pretrained: vec![0; users].leak(),
            target: vec![0.5 / clusters as f32; clusters].leak(),
        };
        World::new(shape, arrays).expect("a valid world")
    }

    /// The plan of the case's configuration.
    pub(super) fn plan(&self) -> Plan {
        let mut config = Config { td3: self.td3.clone(), ..Config::default() };
        config.td3.buffer_size = self.users as u64;
        // The script does not normalize beliefs.
        config.td3.normalize_beliefs = false;
        config.training.warmup_transitions = self.users as u64;
        config.environment.max_action = self.max_action;
        config.recommendation.rl_list_size = 1;
        config.recommendation.total_recommendations = 1;
        config.plan(&self.world()).expect("the script's configuration is valid")
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

    /// Networks of this seed and targets of the next one, with scales, shifts and running statistics that are not 1 and
    /// 0.
    pub(super) fn initial(&self, spec: &AgentSpec) -> AgentState {
        let layouts = [&spec.actor, &spec.critics[0], &spec.critics[1]];
        let perturbed = |seed: u64| {
            let mut networks = spec.initial_agent(seed).networks;
            for (n, weights) in networks.iter_mut().enumerate() {
                perturb_batch_norm(
                    Key::new(seed, Purpose::World).fold_in(5).fold_in(n as u64),
                    layouts[n],
                    weights,
                );
            }
            networks
        };
        AgentState {
            networks: perturbed(self.seed),
            targets: perturbed(self.seed + 1),
            ..spec.initial_agent(self.seed)
        }
    }

    /// Asserts that a buffer is the one in the file, to a tolerance.
    pub(super) fn compare(&self, name: &str, actual: &[f32], allowed: &ElementTolerance<'_>) {
        let (expected, error) = (&self.buffers[name], self.errors[name]);
        assert_eq!(expected.len(), actual.len().div_ceil(self.stride), "{name}: the length differs");
        let largest = expected.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
        for (index, &expected) in (0..).step_by(self.stride).zip(expected) {
            let allowed = allowed.at(index, error, largest);
            let difference = f64::from(actual[index] - expected).abs();
            assert!(
                difference <= allowed,
                "{name}[{index}] is {}, PyTorch has {expected}: they differ by {difference:e}, allowed is {allowed:e}",
                actual[index]
            );
        }
        let euclidean = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
        let norm = euclidean(&mut actual.iter().copied().map(f64::from));
        let allowed = euclidean(&mut (0..actual.len()).map(|index| allowed.at(index, error, largest)));
        let expected = self.norms[name];
        assert!(
            (norm - expected).abs() <= allowed,
            "{name}: the norm is {norm}, PyTorch has {expected}, and {allowed:e} is allowed"
        );
    }

    /// `count` draws of array number `array`.
    fn draws(&self, array: u64, count: usize, draw: impl Fn(Key) -> f32) -> Vec<f32> {
        let key = Key::new(self.seed, Purpose::World).fold_in(array);
        (0..count as u64).map(|index| draw(key.fold_in(index))).collect()
    }
}

/// Changes scales, shifts and running statistics from their initial 1 and 0.
fn perturb_batch_norm(key: Key, layout: &MlpLayout, weights: &mut Weights) {
    for norm in layout.layers().iter().filter_map(|LayerLayout { batch_norm, .. }| batch_norm.as_ref()) {
        for index in norm.scale.clone().chain(norm.shift.clone()) {
            weights.parameters[index] += 0.5 * symmetric(key.fold_in(index as u64));
        }
        for index in norm.mean.clone().chain(norm.variance.clone()) {
            weights.running_stats[index] += 0.5 * symmetric(key.fold_in(RUNNING_STATS + index as u64));
        }
    }
}

/// Uniform in `[-1, 1)`.
fn symmetric(key: Key) -> f32 {
    2.0 * uniform(key) - 1.0
}

/// The first coordinate of the running statistics' draws; the parameters' draws have lower ones.
const RUNNING_STATS: u64 = 1_000_000;
