//! The policy's actions and the noise on them.

use recsim_core::backend::Backend;
use recsim_core::model::rng::{Key, Purpose, normal_pair};
use recsim_core::td3::{AgentSpec, AgentState, is_saturated};

use super::setup::{Stage, USERS, agent_bits, bits, plan, world, worn};

/// The same bits for a user alone, in a crowd, and at either end of a batch; with noise and without.
pub fn a_users_action_does_not_depend_on_the_batch<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    for exploration in [None, Some(noise_key())] {
        let mut stage = Stage::new(new(), &world, plan(&world, |_| ()));
        let together = bits(&stage.actions(0..USERS, exploration));
        for split in [vec![0, 1, 2, 37], vec![0, 16, 37], vec![0, 21, 22, 30, 37], (0..=37).collect()] {
            let apart: Vec<f32> = split.windows(2).flat_map(|w| stage.actions(w[0]..w[1], exploration)).collect();
            assert_eq!(bits(&apart), together, "batches cut at {split:?}");
        }
    }
}

/// No action leaves plus or minus `max_action`, however loud the noise; and loud noise reaches both ends.
pub fn actions_stay_within_bounds<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let loud = plan(&world, |config| {
        config.environment.max_action = 0.37;
        config.td3.exploration_noise = 5.0;
    });
    let most = loud.agent.max_action as f32;
    let mut stage = Stage::new(new(), &world, loud);
    let actions = stage.actions(0..USERS, Some(noise_key()));
    assert!(actions.iter().all(|a| (-most..=most).contains(a)));
    assert!(actions.contains(&most) && actions.contains(&-most));
    let quiet = stage.actions(0..USERS, None);
    assert!(quiet.iter().all(|a| a.abs() < most), "tanh of a moderate sum is inside the bounds");
}

/// What exploration adds is `exploration_noise * max_action` times the normal draws that the contract names, to an `f32`
/// function's accuracy: a draw of at most 6.7 errs by some 5 units of `2^-24`, an action below 1 by one; doubled for a
/// device's own functions.
pub fn exploration_is_normal_noise_of_its_key<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut stage = Stage::new(new(), &world, plan(&world, |config| config.environment.max_action = 0.5));
    let deviation = (stage.plan.agent.td3.exploration_noise * 0.5) as f32;
    let (plain, noisy) = (stage.actions(0..USERS, None), stage.actions(0..USERS, Some(noise_key())));
    let width = stage.plan.agent.action_dim();
    for (place, (&plain, &noisy)) in plain.iter().zip(&noisy).enumerate() {
        let (user, column) = (place / width, place % width);
        let draw = normal_pair(noise_key().fold_in(user as u64).fold_in((column / 2) as u64))[column % 2];
        let due = (plain + draw * deviation).clamp(-0.5, 0.5);
        let budget = 2.0 * (5.0 * draw.abs() * deviation + 2.0) * f32::EPSILON / 2.0;
        assert!((noisy - due).abs() <= budget, "user {user}, {column}: {noisy} where {due} is due");
    }
    assert_ne!(bits(&plain), bits(&noisy));
    assert_ne!(
        bits(&noisy),
        bits(&stage.actions(0..USERS, Some(noise_key().fold_in(0)))),
        "another key, other noise"
    );
}

/// A tally has the components of the policy's actions, and those beyond 0.99 of `max_action` before noise: of every batch's
/// last round.
pub fn saturation_is_counted_before_noise<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut stage = Stage::new(new(), &world, plan(&world, |_| ()));
    let agent = excited(worn(&stage.plan.agent), &stage.plan.agent);
    stage.agent = stage.backend.load_agent(&stage.plan.agent, &agent).expect("the device takes an agent");
    let plain = stage.actions(0..USERS, None);
    let due = plain.iter().filter(|&&component| is_saturated(component, 1.0)).count();
    assert!((plain.len() / 10..plain.len() * 9 / 10).contains(&due), "{due} of {}", plain.len());
    for _ in 0..2 {
        let batches = [0..20, 20..USERS].map(|users| stage.acted(users, Some(noise_key())));
        let tally = stage.backend.tally(&stage.world, &batches).expect("the device counts");
        assert_eq!((tally.components, tally.saturated), (plain.len() as u64, due as u64));
    }
}

/// A batch that was served again and again, by one agent and then another, with noise and without, is served as a new one
/// is, and counted afresh.
pub fn a_batch_does_not_remember_who_served_it<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut stage = Stage::new(new(), &world, plan(&world, |_| ()));
    let spec = stage.plan.agent.clone();
    let mut batch = stage.acted(0..USERS, None);
    for seed in [1, 2] {
        let agent = excited(spec.initial_agent(seed), &spec);
        stage.agent = stage.backend.load_agent(&spec, &agent).expect("the device takes an agent");
        for exploration in [None, None, Some(noise_key()), Some(noise_key().fold_in(3))] {
            stage.backend.act(&stage.agent, &mut batch, exploration).expect("the device acts");
            let fresh = stage.acted(0..USERS, exploration);
            let [old, new] = [&batch, &fresh].map(|batch| {
                let action = stage.backend.snapshot(batch).expect("the device shows a batch").action;
                let tally =
                    stage.backend.tally(&stage.world, std::slice::from_ref(batch)).expect("the device counts");
                (bits(&action), tally.components, tally.saturated)
            });
            assert!(old == new, "agent {seed}, {exploration:?}");
            assert!(old.2 > 0, "an agent that saturates nothing would prove nothing");
        }
    }
}

/// Taking an agent to the device and back changes no bit, with normalisation and without.
pub fn an_agent_comes_back_as_it_went<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    for batch_norm in [true, false] {
        let plan = plan(&world, |config| config.td3.batch_norm = batch_norm);
        let went = worn(&plan.agent);
        let mut stage = Stage::new(new(), &world, plan);
        let came = stage.export();
        assert_eq!(agent_bits(&came), agent_bits(&went));
        assert_eq!((came.critic_updates, came.policy_updates), (went.critic_updates, went.policy_updates));
    }
}

/// An agent many components of whose actions are saturated.
fn excited(mut agent: AgentState, spec: &AgentSpec) -> AgentState {
    let last = spec.actor.layers().last().expect("a network has layers").weight.clone();
    agent.networks[0].parameters[last].iter_mut().for_each(|weight| *weight *= 200.0);
    agent
}

fn noise_key() -> Key {
    Key::new(2, Purpose::Exploration).fold_in(1).fold_in(1)
}
