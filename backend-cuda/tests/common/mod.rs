//! Checks that the conformance suite does not have, for every device that runs the kernels, and how tests report that
//! they are skipped.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::Write;

use recsim_backend_cuda::{Cuda, Device};
use recsim_core::backend::{BackendError, ErrorKind, Inspect, Learn, Simulate};
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::session::config::Config;
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};

/// Reports on stderr, past the capture of the test harness, that a test is skipped.
///
/// # Panics
/// If the environment variable `required_by` is set.
pub(crate) fn skip(test: &str, reason: &str, required_by: &str) {
    assert!(std::env::var_os(required_by).is_none(), "{required_by} is set, and {test} cannot run: {reason}");
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}

/// Snapshots do not contain states. The users are more than one block has.
pub(crate) fn observe_computes_beliefs_and_embeddings<D: Device>(cuda: &mut Cuda<D>) {
    let generated = world();
    let world = generated.view().expect("a valid world");
    let environment = Config::default().plan(&world).expect("a valid configuration").environment;
    let scales = environment.belief_scales(world.target());
    let device_world = cuda.load_world(&world, &environment).expect("a world");
    let mut batch = cuda.create_batch(&device_world, 3..USERS).expect("a batch");
    for round in 0..2 {
        cuda.observe(&device_world, &mut batch).expect("states");
        let actual = cuda.states(&device_world, &batch).expect("states");
        let snapshot = cuda.snapshot(&batch).expect("a snapshot");
        let expected = snapshot.belief.chunks(3).zip(3..USERS).flat_map(|(belief, user)| {
            let scaled: Vec<f32> = belief.iter().zip(&scales).map(|(belief, scale)| belief * scale).collect();
            [&scaled, world.user_embedding(user)].concat()
        });
        assert!(expected.map(f32::to_bits).eq(actual.into_iter().map(f32::to_bits)), "round {round}");
        cuda.recommend(&device_world, &mut batch).expect("slates");
        cuda.respond(&device_world, &mut batch, Key::new(0, Purpose::Acceptance), None).expect("a response");
    }
}

/// An actor with a weight that is NaN computes actions that are NaN.
pub(crate) fn tally_reports_non_finite_actions<D: Device>(cuda: &mut Cuda<D>) {
    let generated = world();
    let world = generated.view().expect("a valid world");
    let plan = Config::default().plan(&world).expect("a valid configuration");
    let device_world = cuda.load_world(&world, &plan.environment).expect("a world");
    let mut state = plan.agent.initial_agent(0);
    let finite_agent = cuda.load_agent(&plan.agent, &state).expect("an agent");
    state.networks[0].parameters[5] = f32::NAN;
    let nan_agent = cuda.load_agent(&plan.agent, &state).expect("an agent");
    let noise = Some(Key::new(0, Purpose::Exploration));
    for (exploration, uses_nan) in [(None, [true, false]), (noise, [true, false]), (noise, [false, true])] {
        let mut batches =
            [0..USERS - 3, USERS - 3..USERS].map(|users| cuda.create_batch(&device_world, users).expect("a batch"));
        for (batch, uses_nan) in batches.iter_mut().zip(uses_nan) {
            let agent = if uses_nan { &nan_agent } else { &finite_agent };
            cuda.observe(&device_world, batch).expect("states");
            cuda.act(agent, batch, exploration).expect("actions");
            cuda.recommend(&device_world, batch).expect("slates");
            cuda.respond(&device_world, batch, Key::new(0, Purpose::Acceptance), None).expect("a response");
            let action = cuda.snapshot(batch).expect("a snapshot").action;
            assert!(action.iter().all(|component| component.is_finite()), "the search receives finite actions");
        }
        let error = cuda.tally(&device_world, &batches).expect_err("an action is not finite");
        assert_eq!(error.kind(), ErrorKind::NotFinite);
    }
}

const USERS: usize = 300;

fn world() -> OwnedWorld {
    let config =
        SyntheticWorldConfig { users: USERS, items: 61, clusters: 3, dimensions: 7, pretrained_len: 40, seed: 0 };
    generate(&config, brute_force_lists)
}
