//! On a GPU: the kernels do there what they do on the host, and what the CPU does with the default world.

mod common;

use recsim_backend_cpu::{Cpu, best_items};
use recsim_backend_cuda::Cuda;
use recsim_conformance::shadow::Shadow;
use recsim_conformance::{suite, td3};
use recsim_core::config::Config;
use recsim_core::session::Session;
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
    let recipe = Recipe { users, items: 19_130, clusters: 5, dimensions: 64, list: 40, seed: 0 };
    let generated = generate(&recipe, |items, users, dimensions, list| {
        best_items(items, users, dimensions, list, None).expect("there is memory for lists")
    });
    let mut config = Config::default();
    config.training.episodes = 1;
    config.training.warmup_transitions = config.training.warmup_transitions.min(2 * users as u64);
    let plan = config.plan(&generated.view()).expect("the defaults suit");
    let both = Shadow::new(Cpu::new(None).expect("there are cores"), gpu);
    let mut session = Session::new(both, &generated.view(), plan).expect("both begin alike");
    while !session.finished() {
        session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error:?}"));
    }
    assert!(session.progress().updates > 0, "a run that learns nothing would prove less");
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
