//! On a GPU: the kernels do there what they do on the host, and what the CPU does with the default world.

mod common;

use recsim_backend_cpu::{Cpu, best_items};
use recsim_backend_cuda::{Cuda, Gpu, Precision};
use recsim_conformance::shadow::Shadow;
use recsim_conformance::{suite, td3};
use recsim_core::backend::{Inspect, Learn, Simulate};
use recsim_core::session::Session;
use recsim_core::session::config::Config;
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, generate};

#[test]
fn a_gpu_does_what_every_backend_does() {
    if gpu().is_some() {
        suite::in_float32(|| gpu().expect("the GPU was there a moment ago"));
    }
}

#[test]
fn states_are_what_core_says() {
    if let Some(mut gpu) = gpu() {
        common::states_are_beliefs_and_embeddings(&mut gpu);
    }
}

#[test]
fn a_spoilt_actor_is_noticed() {
    if let Some(mut gpu) = gpu() {
        common::a_spoilt_actor_is_noticed(&mut gpu);
    }
}

#[test]
fn td3_is_pytorchs_on_a_gpu() {
    if gpu().is_some() {
        td3::matches_pytorch(|| gpu().expect("the GPU was there a moment ago"));
    }
}

/// The CPU's run of the default world, learning included, with every stage done by the GPU too: given the CPU's actions it
/// must show, accept, believe and pay the same to the bit, and learn the same to a tolerance.
///
/// Compute-sanitizer slows kernels down a hundredfold: `RECSIM_GPU_USERS` takes fewer users.
#[test]
fn twenty_rounds_of_the_default_world_are_the_cpus_to_the_bit() {
    let Some(gpu) = gpu() else { return };
    let users = std::env::var("RECSIM_GPU_USERS").map_or(50_000, |text| text.parse().expect("a number of users"));
    let recipe =
        SyntheticWorldConfig { users, items: 19_130, clusters: 5, dimensions: 64, pretrained_len: 40, seed: 0 };
    let generated = generate(&recipe, |items, users, dimensions, list| {
        best_items(items, users, dimensions, list, None).expect("there is memory for lists")
    });
    let mut config = Config::default();
    config.training.episodes = 1;
    config.training.warmup_transitions = config.training.warmup_transitions.min(2 * users as u64);
    let plan = config.plan(&generated.view().unwrap()).expect("the defaults suit");
    let both = Shadow::new(Cpu::new(None).expect("there are cores"), gpu);
    let mut session = Session::new(both, &generated.view().unwrap(), plan).expect("both begin alike");
    while !session.is_finished() {
        session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error:?}"));
    }
    assert!(session.progress().updates > 0, "a run that learns nothing would prove less");
}

/// The actor's own kernels are cuBLAS's choice: they must be the same for every cut of the users.
#[test]
fn actions_of_many_users_do_not_depend_on_the_batch() {
    let Some(mut gpu) = gpu() else { return };
    let generated = few_items();
    let plan = Config::default().plan(&generated.view().unwrap()).expect("the defaults suit");
    let world = gpu.load_world(&generated.view().unwrap(), &plan.environment).expect("a world");
    let agent = gpu.load_agent(&plan.agent, &plan.agent.initial_agent(1)).expect("an agent");
    let mut actions = |cuts: &[usize]| -> Vec<u32> {
        let mut all = Vec::new();
        for cut in cuts.windows(2) {
            let mut batch = gpu.create_batch(&world, cut[0]..cut[1]).expect("a batch");
            gpu.observe(&world, &mut batch).expect("states");
            gpu.act(&agent, &mut batch, None).expect("actions");
            all.extend(gpu.snapshot(&batch).expect("a snapshot").action.iter().map(|action| action.to_bits()));
        }
        all
    };
    let whole = actions(&[0, USERS]);
    let thousands: Vec<usize> = (0..=USERS).step_by(4_000).collect();
    assert!(actions(&thousands) == whole && actions(&[0, 1, 18, 4_097, 8_193, 12_345, USERS]) == whole);
}

/// At the reference experiment's sizes, where libraries might share sums out.
#[test]
fn learning_repeats_itself_at_full_size() {
    if gpu().is_none() {
        return;
    }
    let learned = || {
        let generated = few_items();
        let mut config = Config::default();
        (config.training.episodes, config.training.rounds_per_episode) = (1, 6);
        config.training.warmup_transitions = 1;
        let plan = config.plan(&generated.view().unwrap()).expect("the defaults suit");
        let gpu = gpu().expect("the GPU was there a moment ago");
        let mut session = Session::new(gpu, &generated.view().unwrap(), plan).expect("a run begins");
        while !session.is_finished() {
            session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error:?}"));
        }
        assert!(session.progress().updates > 0, "a run that learns nothing would prove nothing");
        session.agent().expect("a copy begins").wait().expect("the agent is sound")
    };
    assert!(learned() == learned());
}

/// Tensor cores keep 11 or 8 bits of a number: through four layers actions are off by a few such steps, and off they are.
#[test]
fn less_precise_products_are_nearly_as_good() {
    if gpu().is_none() {
        return;
    }
    let generated = few_items();
    let plan = Config::default().plan(&generated.view().unwrap()).expect("the defaults suit");
    let actions = |precision| {
        let mut gpu = Cuda::on(Gpu::new(precision).expect("the GPU was there a moment ago"));
        let world = gpu.load_world(&generated.view().unwrap(), &plan.environment).expect("a world");
        let agent = gpu.load_agent(&plan.agent, &plan.agent.initial_agent(1)).expect("an agent");
        let mut batch = gpu.create_batch(&world, 0..4_000).expect("a batch");
        gpu.observe(&world, &mut batch).expect("states");
        gpu.act(&agent, &mut batch, None).expect("actions");
        gpu.snapshot(&batch).expect("a snapshot").action
    };
    let exact = actions(Precision::Float32);
    for (precision, most) in [(Precision::Tf32, 0.01), (Precision::Bf16, 0.08)] {
        let off = actions(precision).iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off > 0.0 && off <= most, "{precision}: {off}");
    }
}

const USERS: usize = 20_000;

fn few_items() -> OwnedWorld {
    let recipe =
        SyntheticWorldConfig { users: USERS, items: 50, clusters: 5, dimensions: 64, pretrained_len: 40, seed: 0 };
    generate(&recipe, |_, _, _, list| (0..USERS).flat_map(|_| 0..list as u32).collect())
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
