//! On a GPU: the kernels do there what they do on the host, and what the CPU does with the default world.

mod common;

use recsim_backend_cpu::{Cpu, best_items};
use recsim_backend_cuda::Cuda;
use recsim_conformance::{suite, td3};
use recsim_core::backend::{Inspect, Simulate, Snapshot};
use recsim_core::config::Config;
use recsim_core::rng::{Key, Purpose, normal_pair};
use recsim_core::world::{Recipe, generate};

#[test]
fn a_gpu_does_what_every_backend_does() {
    if gpu().is_some() {
        suite::all(|| gpu().expect("the GPU was there a moment ago"));
    }
}

#[test]
fn states_are_what_core_says() {
    if let Some(mut gpu) = gpu() {
        common::states_are_beliefs_and_embeddings(&mut gpu);
    }
}

#[test]
fn td3_is_pytorchs_on_a_gpu() {
    if gpu().is_some() {
        td3::matches_pytorch(|| gpu().expect("the GPU was there a moment ago"));
    }
}

/// Compute-sanitizer slows kernels down a hundredfold: `RECSIM_GPU_USERS` takes fewer users.
#[test]
fn twenty_rounds_of_the_default_world_are_the_cpus_to_the_bit() {
    let Some(mut gpu) = gpu() else { return };
    let users = std::env::var("RECSIM_GPU_USERS").map_or(50_000, |text| text.parse().expect("a number of users"));
    let recipe = Recipe { users, items: 19_130, clusters: 5, dimensions: 64, list: 40, seed: 0 };
    let generated = generate(&recipe, |items, users, dimensions, list| {
        best_items(items, users, dimensions, list, None).expect("there is memory for lists")
    });
    let world = generated.view();
    let environment = Config::default().plan(&world).expect("the defaults suit").environment;
    let mut cpu = Cpu::new(None).expect("there are cores");
    let on_gpu = gpu.world(&world, &environment).expect("the GPU takes a world");
    let on_cpu = cpu.world(&world, &environment).expect("the CPU takes a world");
    let ranges: Vec<_> = (0..users).step_by(4_000).map(|first| first..users.min(first + 4_000)).collect();
    let mut batches: Vec<_> =
        ranges.iter().map(|users| gpu.batch(&on_gpu, users.clone()).expect("the GPU takes a batch")).collect();
    let mut beside: Vec<_> =
        ranges.iter().map(|users| cpu.batch(&on_cpu, users.clone()).expect("the CPU takes a batch")).collect();
    let mut first = Vec::new();
    for round in 1..=20 {
        let luck = Key::new(0, Purpose::Acceptance).with(1).with(round);
        for (n, users) in ranges.iter().enumerate() {
            let actions =
                actions(&world.parts().user_embedding[users.start * 64..users.end * 64], users.start, round);
            let found = served(&mut gpu, &on_gpu, &mut batches[n], &actions, luck);
            let due = served(&mut cpu, &on_cpu, &mut beside[n], &actions, luck);
            assert!(found == due, "users {users:?} of round {round} differ from the CPU's");
            if round == 1 && n == 0 {
                first = found.belief;
            } else if n == 0 {
                assert_ne!(found.belief, first, "beliefs that stand still would prove nothing");
            }
        }
        let tally = gpu.tally(&on_gpu, &batches).expect("the GPU counts");
        let due = cpu.tally(&on_cpu, &beside).expect("the CPU counts");
        assert_eq!((tally.accepted, tally.reward, tally.distance), (due.accepted, due.reward, due.distance));
    }
}

/// Around the users' tastes, as a policy's are; another cloud each round.
fn actions(tastes: &[f32], first: usize, round: u64) -> Vec<f32> {
    let key = Key::new(1, Purpose::Exploration).with(round);
    let width = 0.1 * round as f32;
    let action = |(place, taste)| {
        let draw = normal_pair(key.with((first * 64 + place) as u64))[0];
        f32::clamp(taste + width * draw, -1.0, 1.0)
    };
    tastes.iter().copied().enumerate().map(action).collect()
}

fn served<B: Simulate + Inspect>(
    backend: &mut B,
    world: &B::World,
    batch: &mut B::Batch,
    actions: &[f32],
    luck: Key,
) -> Snapshot {
    let mut snapshot = backend.snapshot(batch).expect("a batch is shown");
    snapshot.action = actions.to_vec();
    backend.restore(batch, &snapshot).expect("it takes actions");
    backend.observe(world, batch).expect("it observes");
    backend.recommend(world, batch).expect("it recommends");
    backend.respond(world, batch, luck, None).expect("users respond");
    backend.snapshot(batch).expect("a batch is shown")
}

/// The GPU, if there is one.
fn gpu() -> Option<Cuda> {
    match Cuda::new() {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            common::skipped(&format!("nothing was run on a GPU: {error}"), "RECSIM_NEEDS_GPU");
            None
        }
    }
}
