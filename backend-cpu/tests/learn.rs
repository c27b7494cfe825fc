//! The learning side of the CPU: what it may not depend on, and what it must agree with.
#![expect(clippy::unwrap_used, reason = "the helpers of a test are tests too")]

use recsim_backend_cpu::{Cpu, InstructionSet};
use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Backend, BackendTypes, Inspect, Learn};
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::session::config::{Config, Plan};
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentState, Losses, UpdateKeys, is_policy_update};
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};

const USERS: usize = 300;

#[test]
fn an_action_depends_neither_on_batches_nor_on_threads() {
    let world = world();
    let plan = plan(&world, |_| {});
    for exploration in [None, Some(Key::new(3, Purpose::Exploration))] {
        let expected = actions(&mut cpu(1), &world, &plan, USERS, exploration);
        for threads in [1, 2, 3] {
            for size in [1, 7, 127, 128, 129, 200, USERS] {
                let found = actions(&mut cpu(threads), &world, &plan, size, exploration);
                assert_eq!(found, expected, "{threads} threads, batches of {size}");
            }
        }
    }
}

#[test]
fn an_action_is_near_the_references() {
    let world = world();
    let plan = plan(&world, |_| {});
    let key = Some(Key::new(3, Purpose::Exploration));
    let (found, share) = actions(&mut cpu(2), &world, &plan, USERS, key);
    let (expected, expected_share) = actions(&mut Reference::<f64>::default(), &world, &plan, USERS, key);
    assert_eq!(share, expected_share);
    for (found, expected) in found.iter().zip(&expected) {
        // Three layers' sums of some hundred products, then tanh, whose slope is at most 1.
        assert!((found - expected).abs() <= 32.0 * f32::EPSILON, "{found} is not {expected}");
    }
}

#[test]
fn learning_does_not_depend_on_threads() {
    let world = world();
    // Widths and rows of more than one tile, none a whole number of them.
    let plan = plan(&world, |config| {
        config.td3.hidden_sizes = vec![300, 131];
        config.td3.batch_size = 150;
    });
    let expected = learned(&mut cpu(1), &world, &plan, 4);
    for threads in [2, 3] {
        assert_eq!(learned(&mut cpu(threads), &world, &plan, 4), expected, "{threads} threads");
    }
}

#[test]
fn a_pinned_instruction_set_has_bits_of_its_own() {
    let world = world();
    let plan = plan(&world, |_| {});
    let on = |set| learned(&mut Cpu::on(set, Some(2)).unwrap(), &world, &plan, 4).1;
    let sets: Vec<_> = InstructionSet::available().collect();
    assert_eq!(
        on(sets[0]),
        learned(&mut cpu(1), &world, &plan, 4).1,
        "the best is what is taken if none is asked for"
    );
    for set in InstructionSet::ALL {
        match (sets.contains(&set), Cpu::on(set, None)) {
            (true, found) => assert_eq!(found.unwrap().instruction_set(), set),
            (false, found) => assert!(found.unwrap_err().to_string().contains(set.name())),
        }
    }
    // Fused products round once, plain ones twice: were the choice ignored, the bits would be the same.
    if sets.len() > 1 {
        assert_ne!(on(sets[0]), on(InstructionSet::Portable));
    }
}

#[test]
fn learning_with_dropout_follows_the_reference() {
    let world = world();
    for batch_norm in [true, false] {
        let plan = plan(&world, |config| {
            config.td3.batch_norm = batch_norm;
            config.td3.dropout = 0.25;
        });
        // The ring is smaller than what comes, so the oldest transitions are gone.
        let (expected, _) = learned(&mut Reference::<f64>::default(), &world, &plan, 4);
        for set in InstructionSet::available() {
            let (found, _) = learned(&mut Cpu::on(set, Some(2)).unwrap(), &world, &plan, 4);
            for (name, found, expected) in [
                ("critic loss", found.critic_loss, expected.critic_loss),
                ("actor loss", found.actor_loss, expected.actor_loss),
                ("value", found.q_value, expected.q_value),
                ("target", found.target_value, expected.target_value),
                ("critics' norm", found.critic_gradient_norm, expected.critic_gradient_norm),
                ("actor's norm", found.actor_gradient_norm, expected.actor_gradient_norm),
            ] {
                // A dropped unit too many would change each by some thousandths.
                assert!(
                    (found - expected).abs() <= 1e-5 * (1.0 + expected.abs()),
                    "{name}: {found} is not {expected} ({set})"
                );
            }
        }
    }
}

#[test]
fn critics_learn_a_fixed_problem() {
    let world = world();
    // Without a future, values have only to become the rewards in the ring.
    let plan = plan(&world, |config| {
        config.td3.discount = 0.0;
        config.td3.dropout = 0.0;
        config.td3.learning_rate = 3e-3;
    });
    let mut cpu = cpu(2);
    let mut scene = Scene::new(&mut cpu, &world, &plan);
    let first = scene.update(&mut cpu, &plan, 1..2).critic_loss;
    scene.update(&mut cpu, &plan, 2..300);
    let last = scene.update(&mut cpu, &plan, 300..301).critic_loss;
    assert!(last < 0.2 * first, "the loss went from {first} to {last}");
}

#[test]
fn an_agent_exported_and_brought_back_goes_on_as_if_nothing_had_been() {
    let world = world();
    let plan = plan(&world, |_| {});
    let mut cpu = cpu(2);
    let mut scene = Scene::new(&mut cpu, &world, &plan);
    scene.update(&mut cpu, &plan, 1..4);
    let state = cpu.export_agent(&scene.agent).unwrap().wait().unwrap();
    scene.update(&mut cpu, &plan, 4..7);
    let expected = cpu.export_agent(&scene.agent).unwrap().wait().unwrap();
    scene.agent = cpu.load_agent(&plan.agent, &state).unwrap();
    scene.update(&mut cpu, &plan, 4..7);
    assert_eq!(cpu.export_agent(&scene.agent).unwrap().wait().unwrap(), expected);
}

/// A world, its users' first two rounds in the ring, and an agent.
struct Scene<B: BackendTypes> {
    world: B::World,
    replay: B::Replay,
    agent: B::Agent,
}

impl<B: Backend> Scene<B> {
    fn new(backend: &mut B, world: &OwnedWorld, plan: &Plan) -> Self {
        let world = backend.load_world(&world.view().unwrap(), &plan.environment).unwrap();
        let agent = backend.load_agent(&plan.agent, &plan.agent.initial_agent(5)).unwrap();
        let mut replay = backend.create_replay(&world, plan.agent.buffer_size(), &Transitions::default()).unwrap();
        let mut batch = backend.create_batch(&world, 0..USERS).unwrap();
        let key = |purpose, round: u64| Key::new(5, purpose).fold_in(round);
        // Actions by draws alone, so that every backend has the same.
        let mut snapshot = backend.snapshot(&batch).unwrap();
        for round in 0..2 {
            let action =
                |place| recsim_core::model::rng::uniform(key(Purpose::Exploration, round).fold_in(place)) - 0.5;
            snapshot.action = (0..snapshot.action.len() as u64).map(action).collect();
            backend.observe(&world, &mut batch).unwrap();
            let mut now = backend.snapshot(&batch).unwrap();
            now.action.clone_from(&snapshot.action);
            backend.restore(&mut batch, &now).unwrap();
            backend.recommend(&world, &mut batch).unwrap();
            backend.respond(&world, &mut batch, key(Purpose::Acceptance, round), Some(&mut replay)).unwrap();
        }
        Self { world, replay, agent }
    }

    fn update(&mut self, backend: &mut B, plan: &Plan, numbers: std::ops::Range<u64>) -> Losses {
        for number in numbers {
            let keys = UpdateKeys::new(5, number);
            let with_policy = is_policy_update(number, plan.agent.td3.policy_freq);
            backend.update(&self.world, &self.replay, &mut self.agent, &keys, with_policy).unwrap();
        }
        backend.take_losses(&mut self.agent).unwrap()
    }
}

fn learned<B: Backend>(backend: &mut B, world: &OwnedWorld, plan: &Plan, updates: u64) -> (Losses, AgentState) {
    let mut scene = Scene::new(backend, world, plan);
    let losses = scene.update(backend, plan, 1..updates + 1);
    (losses, backend.export_agent(&scene.agent).unwrap().wait().unwrap())
}

/// Every user's action, served in batches of `size`, and the saturated components.
fn actions<B: Backend>(
    backend: &mut B,
    world: &OwnedWorld,
    plan: &Plan,
    size: usize,
    exploration: Option<Key>,
) -> (Vec<f32>, u64) {
    let world = backend.load_world(&world.view().unwrap(), &plan.environment).unwrap();
    let agent = backend.load_agent(&plan.agent, &plan.agent.initial_agent(5)).unwrap();
    let (mut actions, mut batches) = (Vec::new(), Vec::new());
    for first in (0..USERS).step_by(size) {
        let mut batch = backend.create_batch(&world, first..USERS.min(first + size)).unwrap();
        backend.observe(&world, &mut batch).unwrap();
        backend.act(&agent, &mut batch, exploration).unwrap();
        actions.extend(backend.snapshot(&batch).unwrap().action);
        batches.push(batch);
    }
    (actions, backend.tally(&world, &batches).unwrap().saturated)
}

fn world() -> OwnedWorld {
    let recipe =
        SyntheticWorldConfig { users: USERS, items: 60, clusters: 3, dimensions: 5, pretrained_len: 12, seed: 0 };
    generate(&recipe, brute_force_lists)
}

fn plan(world: &OwnedWorld, change: impl FnOnce(&mut Config)) -> Plan {
    let mut config = Config::default();
    config.td3.hidden_sizes = vec![24, 18];
    config.td3.batch_size = 64;
    config.td3.buffer_size = 400;
    config.training.warmup_transitions = 400;
    config.recommendation.rl_list_size = 3;
    config.recommendation.total_recommendations = 6;
    change(&mut config);
    config.plan(&world.view().unwrap()).unwrap()
}

fn cpu(threads: usize) -> Cpu {
    Cpu::new(Some(threads)).unwrap()
}
