//! On a GPU, the kernels do what they do on the host, and what the CPU does with the default world.

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
fn gpu_passes_the_conformance_suite() {
    if find_gpu("gpu_passes_the_conformance_suite").is_some() {
        suite::in_float32(new_gpu);
    }
}

#[test]
fn gpu_observe_computes_beliefs_and_embeddings() {
    if let Some(mut gpu) = find_gpu("gpu_observe_computes_beliefs_and_embeddings") {
        common::observe_computes_beliefs_and_embeddings(&mut gpu);
    }
}

#[test]
fn gpu_tally_reports_non_finite_actions() {
    if let Some(mut gpu) = find_gpu("gpu_tally_reports_non_finite_actions") {
        common::tally_reports_non_finite_actions(&mut gpu);
    }
}

#[test]
fn gpu_td3_matches_pytorch() {
    if find_gpu("gpu_td3_matches_pytorch").is_some() {
        td3::matches_pytorch(new_gpu);
    }
}

/// The CPU runs the default world, learning included, and the GPU does every stage too. With the CPU's actions, the
/// GPU's slates, acceptances, beliefs and rewards must have the same bits, and its learning must agree within a
/// tolerance.
///
/// The environment variable `RECSIM_GPU_USERS` reduces the number of users: compute-sanitizer makes kernels a hundred
/// times slower.
#[test]
fn gpu_matches_the_cpu_for_twenty_rounds_of_the_default_world() {
    let Some(gpu) = find_gpu("gpu_matches_the_cpu_for_twenty_rounds_of_the_default_world") else { return };
    let users = std::env::var("RECSIM_GPU_USERS").map_or(50_000, |text| text.parse().expect("a number of users"));
    let world_config =
        SyntheticWorldConfig { users, items: 19_130, clusters: 5, dimensions: 64, pretrained_len: 40, seed: 0 };
    let generated = generate(&world_config, |items, users, dimensions, len| {
        best_items(items, users, dimensions, len, None).expect("enough memory for the lists")
    });
    let mut config = Config::default();
    config.training.episodes = 1;
    config.training.warmup_transitions = config.training.warmup_transitions.min(2 * users as u64);
    let plan = config.plan(&generated.view().expect("a valid world")).expect("a valid configuration");
    let both = Shadow::new(Cpu::new(None).expect("a CPU backend"), gpu);
    let mut session = Session::new(both, &generated.view().expect("a valid world"), plan).expect("a session");
    while !session.is_finished() {
        session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error:?}"));
    }
    assert!(session.progress().updates > 0, "the run includes updates");
}

/// cuBLAS chooses its kernels by the shape of a product.
#[test]
fn actions_do_not_depend_on_the_batch_for_many_users() {
    let Some(mut gpu) = find_gpu("actions_do_not_depend_on_the_batch_for_many_users") else { return };
    let generated = world_of_few_items();
    let plan = Config::default().plan(&generated.view().expect("a valid world")).expect("a valid configuration");
    let world = gpu.load_world(&generated.view().expect("a valid world"), &plan.environment).expect("a world");
    let agent = gpu.load_agent(&plan.agent, &plan.agent.initial_agent(1)).expect("an agent");
    let mut actions = |bounds: &[usize]| -> Vec<u32> {
        let mut all = Vec::new();
        for bound in bounds.windows(2) {
            let mut batch = gpu.create_batch(&world, bound[0]..bound[1]).expect("a batch");
            gpu.observe(&world, &mut batch).expect("states");
            gpu.act(&agent, &mut batch, None).expect("actions");
            all.extend(gpu.snapshot(&batch).expect("a snapshot").action.iter().map(|action| action.to_bits()));
        }
        all
    };
    let one_batch = actions(&[0, USERS]);
    let equal_batches: Vec<usize> = (0..=USERS).step_by(4_000).collect();
    assert!(actions(&equal_batches) == one_batch);
    assert!(actions(&[0, 1, 18, 4_097, 8_193, 12_345, USERS]) == one_batch);
}

/// At the reference experiment's sizes, libraries may split sums.
#[test]
fn learning_repeats_at_full_size() {
    if find_gpu("learning_repeats_at_full_size").is_none() {
        return;
    }
    let run = || {
        let generated = world_of_few_items();
        let mut config = Config::default();
        (config.training.episodes, config.training.rounds_per_episode) = (1, 6);
        config.training.warmup_transitions = 1;
        let plan = config.plan(&generated.view().expect("a valid world")).expect("a valid configuration");
        let mut session =
            Session::new(new_gpu(), &generated.view().expect("a valid world"), plan).expect("a session");
        while !session.is_finished() {
            session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error:?}"));
        }
        assert!(session.progress().updates > 0, "the run includes updates");
        session.agent().expect("a pending agent").wait().expect("an agent")
    };
    assert!(run() == run());
}

/// Tensor cores use 11 or 8 bits of a factor. After four layers, actions differ from those in float32 by a few such
/// roundings, and they do differ.
#[test]
fn less_precise_products_are_close_to_float32() {
    if find_gpu("less_precise_products_are_close_to_float32").is_none() {
        return;
    }
    let generated = world_of_few_items();
    let plan = Config::default().plan(&generated.view().expect("a valid world")).expect("a valid configuration");
    let actions = |precision| {
        let mut gpu = Cuda::on(Gpu::new(precision).expect("the GPU that was found before"));
        let world = gpu.load_world(&generated.view().expect("a valid world"), &plan.environment).expect("a world");
        let agent = gpu.load_agent(&plan.agent, &plan.agent.initial_agent(1)).expect("an agent");
        let mut batch = gpu.create_batch(&world, 0..4_000).expect("a batch");
        gpu.observe(&world, &mut batch).expect("states");
        gpu.act(&agent, &mut batch, None).expect("actions");
        gpu.snapshot(&batch).expect("a snapshot").action
    };
    let float32 = actions(Precision::Float32);
    for (precision, max_error) in [(Precision::Tf32, 0.01), (Precision::Bf16, 0.08)] {
        let error = actions(precision).iter().zip(&float32).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error > 0.0 && error <= max_error, "{precision}: {error}");
    }
}

const USERS: usize = 20_000;

fn world_of_few_items() -> OwnedWorld {
    let config =
        SyntheticWorldConfig { users: USERS, items: 50, clusters: 5, dimensions: 64, pretrained_len: 40, seed: 0 };
    generate(&config, |_, _, _, len| (0..USERS).flat_map(|_| 0..len as u32).collect())
}

/// Returns `None`, and reports that `test` is skipped, without a GPU.
fn find_gpu(test: &str) -> Option<Cuda> {
    match Cuda::new() {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            common::skip(test, &error.to_string(), "RECSIM_NEEDS_GPU");
            None
        }
    }
}

fn new_gpu() -> Cuda {
    Cuda::new().expect("the GPU that was found before")
}
