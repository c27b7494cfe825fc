//! The learning side at the reference experiment's sizes, and as an upper bound an actor so wide that nearly all its
//! time is matrix products.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use recsim_backend_cpu::{Agent, Batch, Cpu, Replay, World};
use recsim_core::backend::{Learn, Simulate};
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::session::config::{Config, Plan};
use recsim_core::td3::net::MlpLayout;
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentSpec, UpdateKeys};
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, generate};

const USERS: usize = 4000;

fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("learn");
    group.sample_size(20);
    let generated = world();
    let mut cpu = Cpu::new(None).expect("threads");
    let plan = plan(&generated, &[512, 512, 256]);
    let world =
        cpu.load_world(&generated.view().expect("a generated world is valid"), &plan.environment).expect("a world");
    let mut agent = cpu.load_agent(&plan.agent, &plan.agent.initial_agent(0)).expect("an agent");
    let (mut batch, replay) = after_one_round(&mut cpu, &world, &agent);

    // Throughput is in floating-point operations: "elem/s" reads as FLOP/s.
    let mut update_index = 0;
    group.throughput(Throughput::Elements(2 * update_operations(&plan.agent)));
    group.bench_function("two_td3_updates", |bencher| {
        bencher.iter(|| {
            for with_policy in [false, true] {
                update_index += 1;
                let keys = UpdateKeys::new(0, update_index);
                cpu.update(&world, &replay, &mut agent, &keys, with_policy).expect("an update");
            }
        });
    });
    let wide = self::plan(&generated, &[2048, 2048]).agent;
    for (name, spec) in [("actor_4000", &plan.agent), ("wide_actor_4000", &wide)] {
        let agent = cpu.load_agent(spec, &spec.initial_agent(0)).expect("an agent");
        group.throughput(Throughput::Elements(USERS as u64 * operations(&spec.actor)));
        group.bench_function(name, |bencher| {
            let exploration = Some(Key::new(0, Purpose::Exploration));
            bencher.iter(|| cpu.act(black_box(&agent), &mut batch, exploration).expect("actions"));
        });
    }
    group.finish();
}

/// Multiplications and additions of one row's forward pass.
fn operations(layout: &MlpLayout) -> u64 {
    layout.layers().iter().map(|layer| 2 * layer.inputs * layer.outputs).sum::<usize>() as u64
}

/// Operations of an update, with a policy update at every second one: three targets' forward passes, both critics'
/// forward passes and their backward passes at twice the cost; half of the actor's forward and backward pass, and of
/// one critic's forward pass and backward pass to its input.
fn update_operations(spec: &AgentSpec) -> u64 {
    let (actor, critic) = (operations(&spec.actor), operations(&spec.critics[0]));
    spec.batch_size() as u64 * ((actor + 2 * critic) + 6 * critic + (3 * actor + 2 * critic) / 2)
}

fn world() -> OwnedWorld {
    let config =
        SyntheticWorldConfig { users: USERS, items: 500, clusters: 5, dimensions: 64, pretrained_len: 40, seed: 0 };
    generate(&config, |_, _, _, list| (0..USERS).flat_map(|_| 0..list as u32).collect())
}

fn plan(world: &OwnedWorld, hidden_sizes: &[u32]) -> Plan {
    let mut config = Config::default();
    config.td3.hidden_sizes = hidden_sizes.to_vec();
    config.plan(&world.view().expect("a generated world is valid")).expect("the default configuration fits")
}

/// A batch with the states of its second round, and a replay buffer with the transitions of its first.
fn after_one_round(cpu: &mut Cpu, world: &World, agent: &Agent) -> (Batch, Replay) {
    let mut batch = cpu.create_batch(world, 0..USERS).expect("a batch");
    let mut replay = cpu.create_replay(world, USERS, &Transitions::default()).expect("a replay buffer");
    cpu.observe(world, &mut batch).expect("states");
    cpu.act(agent, &mut batch, Some(Key::new(0, Purpose::Exploration))).expect("actions");
    cpu.recommend(world, &mut batch).expect("slates");
    cpu.respond(world, &mut batch, Key::new(0, Purpose::Acceptance), Some(&mut replay)).expect("responses");
    cpu.observe(world, &mut batch).expect("states");
    (batch, replay)
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
