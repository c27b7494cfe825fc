//! What the suite does not ask of a machine that runs the kernels, and how a test says that it was skipped.
#![allow(dead_code, reason = "each test program uses its own share")]

use std::io::Write;

use recsim_backend_cuda::{Cuda, Machine};
use recsim_core::backend::{BackendError, ErrorKind, Inspect, Learn, Simulate};
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::session::config::Config;
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};

/// Says loudly, past what the test harness keeps to itself, that a test did nothing; or fails, if `variable` is set.
pub(crate) fn skipped(what: &str, variable: &str) {
    assert!(std::env::var_os(variable).is_none(), "{variable} is set: {what}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

/// The stage that no snapshot shows, of more users than a block serves.
pub(crate) fn states_are_beliefs_and_embeddings<M: Machine>(cuda: &mut Cuda<M>) {
    let generated = world();
    let world = generated.view().unwrap();
    let environment = Config::default().plan(&world).expect("the defaults suit").environment;
    let scales = environment.belief_scales(world.target());
    let on_device = cuda.load_world(&world, &environment).expect("a world");
    let mut batch = cuda.create_batch(&on_device, 3..USERS).expect("a batch");
    for round in 0..2 {
        cuda.observe(&on_device, &mut batch).expect("states");
        let (states, shown) =
            (cuda.states(&on_device, &batch).expect("states"), cuda.snapshot(&batch).expect("a snapshot"));
        let due = shown.belief.chunks(3).zip(3..USERS).flat_map(|(belief, user)| {
            let seen: Vec<f32> = belief.iter().zip(&scales).map(|(belief, scale)| belief * scale).collect();
            [&seen, world.user_embedding(user)].concat()
        });
        assert!(due.map(f32::to_bits).eq(states.into_iter().map(f32::to_bits)), "round {round}");
        cuda.recommend(&on_device, &mut batch).expect("slates");
        cuda.respond(&on_device, &mut batch, Key::new(0, Purpose::Acceptance), None).expect("a response");
    }
}

/// An actor with a weight that is no number makes actions that are none: whoever counts the round is told.
pub(crate) fn a_spoilt_actor_is_noticed<M: Machine>(cuda: &mut Cuda<M>) {
    let generated = world();
    let world = generated.view().unwrap();
    let plan = Config::default().plan(&world).expect("the defaults suit");
    let on_device = cuda.load_world(&world, &plan.environment).expect("a world");
    let mut state = plan.agent.initial_agent(0);
    let sound = cuda.load_agent(&plan.agent, &state).expect("an agent");
    state.networks[0].parameters[5] = f32::NAN;
    let spoilt = cuda.load_agent(&plan.agent, &state).expect("an agent");
    let noise = Some(Key::new(0, Purpose::Exploration));
    for (exploration, spoils) in [(None, [true, false]), (noise, [true, false]), (noise, [false, true])] {
        let mut batches =
            [0..USERS - 3, USERS - 3..USERS].map(|users| cuda.create_batch(&on_device, users).expect("a batch"));
        for (batch, spoilt_one) in batches.iter_mut().zip(spoils) {
            cuda.observe(&on_device, batch).expect("states");
            cuda.act(if spoilt_one { &spoilt } else { &sound }, batch, exploration).expect("actions");
            cuda.recommend(&on_device, batch).expect("slates");
            cuda.respond(&on_device, batch, Key::new(0, Purpose::Acceptance), None).expect("a response");
            let action = cuda.snapshot(batch).expect("a snapshot").action;
            assert!(action.iter().all(|component| component.is_finite()), "nothing leads the search astray");
        }
        let error = cuda.tally(&on_device, &batches).expect_err("a spoilt actor is an error");
        assert_eq!(error.kind(), ErrorKind::NotFinite);
    }
}

const USERS: usize = 300;

fn world() -> OwnedWorld {
    let recipe =
        SyntheticWorldConfig { users: USERS, items: 61, clusters: 3, dimensions: 7, pretrained_len: 40, seed: 0 };
    generate(&recipe, brute_force_lists)
}
