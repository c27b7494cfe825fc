//! The learning side of the CPU backend: what its results must not depend on, and what they must agree with.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "../src/skip.rs"]
mod skip;

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
fn actions_do_not_depend_on_batches_or_threads() {
    let world = world();
    let plan = plan(&world, |_| {});
    for exploration in [None, Some(Key::new(3, Purpose::Exploration))] {
        let expected = actions(&mut cpu(1), &world, &plan, USERS, exploration);
        for threads in [1, 2, 3] {
            for size in [1, 7, 127, 128, 129, 200, USERS] {
                let actual = actions(&mut cpu(threads), &world, &plan, size, exploration);
                assert_eq!(actual, expected, "{threads} threads, batches of {size}");
            }
        }
    }
}

#[test]
fn actions_are_near_those_of_the_reference_backend() {
    let world = world();
    let plan = plan(&world, |_| {});
    let key = Some(Key::new(3, Purpose::Exploration));
    let (actual, saturated) = actions(&mut cpu(2), &world, &plan, USERS, key);
    let (expected, expected_saturated) = actions(&mut Reference::<f64>::default(), &world, &plan, USERS, key);
    assert_eq!(saturated, expected_saturated);
    for (actual, expected) in actual.iter().zip(&expected) {
        // Three layers' sums of some hundred products, then tanh, whose derivative is at most 1.
        assert!((actual - expected).abs() <= 32.0 * f32::EPSILON, "{actual} is not {expected}");
    }
}

#[test]
fn learning_does_not_depend_on_threads() {
    let world = world();
    // Widths and rows of more than one tile, and not whole numbers of tiles.
    let plan = plan(&world, |config| {
        config.td3.hidden_sizes = vec![300, 131];
        config.td3.batch_size = 150;
    });
    let expected = train(&mut cpu(1), &world, &plan, 4);
    for threads in [2, 3] {
        assert_eq!(train(&mut cpu(threads), &world, &plan, 4), expected, "{threads} threads");
    }
}

#[test]
fn instruction_set_determines_the_bits() {
    let world = world();
    let plan = plan(&world, |_| {});
    let on = |set| train(&mut Cpu::on(set, Some(2)).unwrap(), &world, &plan, 4).1;
    let sets: Vec<_> = InstructionSet::available().collect();
    assert_eq!(on(sets[0]), train(&mut cpu(1), &world, &plan, 4).1, "the best instruction set is the default");
    for set in InstructionSet::ALL {
        match (sets.contains(&set), Cpu::on(set, None)) {
            (true, actual) => assert_eq!(actual.unwrap().instruction_set(), set),
            (false, actual) => assert!(actual.unwrap_err().to_string().contains(set.name())),
        }
    }
    // Fused products round once, plain ones twice: if the choice were ignored, the bits would be the same.
    if sets.len() > 1 {
        assert_ne!(on(sets[0]), on(InstructionSet::Portable));
    }
}

#[test]
fn learning_with_dropout_follows_the_reference() {
    if InstructionSet::Amx.arch().is_none() {
        skip::no_amx("learning_with_dropout_follows_the_reference on amx");
    }
    let world = world();
    for batch_norm in [true, false] {
        let plan = plan(&world, |config| {
            config.td3.batch_norm = batch_norm;
            config.td3.dropout = 0.25;
        });
        // The replay buffer is smaller than what is inserted, so the oldest transitions are overwritten.
        let (expected, _) = train(&mut Reference::<f64>::default(), &world, &plan, 4);
        for set in InstructionSet::available() {
            let (actual, _) = train(&mut Cpu::on(set, Some(2)).unwrap(), &world, &plan, 4);
            for (name, actual, expected) in [
                ("critic loss", actual.critic_loss, expected.critic_loss),
                ("actor loss", actual.actor_loss, expected.actor_loss),
                ("value", actual.q_value, expected.q_value),
                ("target", actual.target_value, expected.target_value),
                ("critics' norm", actual.critic_gradient_norm, expected.critic_gradient_norm),
                ("actor's norm", actual.actor_gradient_norm, expected.actor_gradient_norm),
            ] {
                // One more dropped unit would change each value by some thousandths.
                assert!(
                    (actual - expected).abs() <= 1e-5 * (1.0 + expected.abs()),
                    "{name}: {actual} is not {expected} ({set})"
                );
            }
        }
    }
}

#[test]
fn critic_loss_falls_on_a_fixed_problem() {
    let world = world();
    // With a discount of 0 the values only have to approach the stored rewards.
    let plan = plan(&world, |config| {
        config.td3.discount = 0.0;
        config.td3.dropout = 0.0;
        config.td3.learning_rate = 3e-3;
    });
    let mut cpu = cpu(2);
    let mut run = TrainingRun::new(&mut cpu, &world, &plan);
    let first = run.update(&mut cpu, &plan, 1..2).critic_loss;
    run.update(&mut cpu, &plan, 2..300);
    let last = run.update(&mut cpu, &plan, 300..301).critic_loss;
    assert!(last < 0.2 * first, "the loss fell only from {first} to {last}");
}

#[test]
fn exported_agent_resumes_with_the_same_bits() {
    let world = world();
    let plan = plan(&world, |_| {});
    let mut cpu = cpu(2);
    let mut run = TrainingRun::new(&mut cpu, &world, &plan);
    run.update(&mut cpu, &plan, 1..4);
    let state = cpu.export_agent(&run.agent).unwrap().wait().unwrap();
    run.update(&mut cpu, &plan, 4..7);
    let expected = cpu.export_agent(&run.agent).unwrap().wait().unwrap();
    run.agent = cpu.load_agent(&plan.agent, &state).unwrap();
    run.update(&mut cpu, &plan, 4..7);
    assert_eq!(cpu.export_agent(&run.agent).unwrap().wait().unwrap(), expected);
}

/// A world, a replay buffer with its users' first two rounds, and an agent.
struct TrainingRun<B: BackendTypes> {
    world: B::World,
    replay: B::Replay,
    agent: B::Agent,
}

impl<B: Backend> TrainingRun<B> {
    fn new(backend: &mut B, world: &OwnedWorld, plan: &Plan) -> Self {
        let world = backend.load_world(&world.view().unwrap(), &plan.environment).unwrap();
        let agent = backend.load_agent(&plan.agent, &plan.agent.initial_agent(5)).unwrap();
        let mut replay = backend.create_replay(&world, plan.agent.buffer_size(), &Transitions::default()).unwrap();
        let mut batch = backend.create_batch(&world, 0..USERS).unwrap();
        let key = |purpose, round: u64| Key::new(5, purpose).fold_in(round);
        // Random actions, the same for every backend.
        let mut snapshot = backend.snapshot(&batch).unwrap();
        for round in 0..2 {
            let action =
                |index| recsim_core::model::rng::uniform(key(Purpose::Exploration, round).fold_in(index)) - 0.5;
            snapshot.action = (0..snapshot.action.len() as u64).map(action).collect();
            backend.observe(&world, &mut batch).unwrap();
            let mut current = backend.snapshot(&batch).unwrap();
            current.action.clone_from(&snapshot.action);
            backend.restore(&mut batch, &current).unwrap();
            backend.recommend(&world, &mut batch).unwrap();
            backend.respond(&world, &mut batch, key(Purpose::Acceptance, round), Some(&mut replay)).unwrap();
        }
        Self { world, replay, agent }
    }

    fn update(&mut self, backend: &mut B, plan: &Plan, updates: std::ops::Range<u64>) -> Losses {
        for update_index in updates {
            let keys = UpdateKeys::new(5, update_index);
            let with_policy = is_policy_update(update_index, plan.agent.td3.policy_freq);
            backend.update(&self.world, &self.replay, &mut self.agent, &keys, with_policy).unwrap();
        }
        backend.take_losses(&mut self.agent).unwrap()
    }
}

fn train<B: Backend>(backend: &mut B, world: &OwnedWorld, plan: &Plan, updates: u64) -> (Losses, AgentState) {
    let mut run = TrainingRun::new(backend, world, plan);
    let losses = run.update(backend, plan, 1..updates + 1);
    (losses, backend.export_agent(&run.agent).unwrap().wait().unwrap())
}

/// Every user's action, in batches of `size`, and the number of saturated components.
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
    let config =
        SyntheticWorldConfig { users: USERS, items: 60, clusters: 3, dimensions: 5, pretrained_len: 12, seed: 0 };
    generate(&config, brute_force_lists)
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
