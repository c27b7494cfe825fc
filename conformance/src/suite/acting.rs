//! Acting: the policy's actions and the exploration noise.

use recsim_core::backend::Backend;
use recsim_core::model::rng::{Key, Purpose, normal_pair};
use recsim_core::td3::{AgentSpec, AgentState, is_saturated};

use super::setup::{LoadedBackend, USERS, agent_bits, bits, plan, trained_agent, world};

/// A user's action has the same bits alone, in a large batch and at either end of one, with noise and without.
pub fn action_does_not_depend_on_batch<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    for exploration in [None, Some(noise_key())] {
        let mut loaded = LoadedBackend::new(new(), &world, plan(&world, |_| ()));
        let together = bits(&loaded.actions(0..USERS, exploration));
        for split in [vec![0, 1, 2, 37], vec![0, 16, 37], vec![0, 21, 22, 30, 37], (0..=37).collect()] {
            let separate: Vec<f32> =
                split.windows(2).flat_map(|w| loaded.actions(w[0]..w[1], exploration)).collect();
            assert_eq!(bits(&separate), together, "batches cut at {split:?}");
        }
    }
}

/// Every action lies in `[-max_action, max_action]`, whatever the noise. Large noise reaches both ends.
pub fn actions_stay_within_bounds<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let noisy_plan = plan(&world, |config| {
        config.environment.max_action = 0.37;
        config.td3.exploration_noise = 5.0;
    });
    let max = noisy_plan.agent.max_action as f32;
    let mut loaded = LoadedBackend::new(new(), &world, noisy_plan);
    let actions = loaded.actions(0..USERS, Some(noise_key()));
    assert!(actions.iter().all(|a| (-max..=max).contains(a)));
    assert!(actions.contains(&max) && actions.contains(&-max));
    let without_noise = loaded.actions(0..USERS, None);
    assert!(without_noise.iter().all(|a| a.abs() < max), "tanh of a moderate value is inside the bounds");
}

/// The noise is `exploration_noise * max_action` times the normal draws that
/// [`Learn::act`](recsim_core::backend::Learn::act) names, to the accuracy of an `f32` function: a draw of at most 6.7
/// has an error of some 5 units of `2^-24`, an action below 1 of one unit; doubled for a backend's own functions.
pub fn exploration_noise_is_normal<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut loaded = LoadedBackend::new(new(), &world, plan(&world, |config| config.environment.max_action = 0.5));
    let deviation = (loaded.plan.agent.td3.exploration_noise * 0.5) as f32;
    let (plain, noisy) = (loaded.actions(0..USERS, None), loaded.actions(0..USERS, Some(noise_key())));
    let dimensions = loaded.plan.agent.action_dim();
    for (index, (&plain, &noisy)) in plain.iter().zip(&noisy).enumerate() {
        let (user, column) = (index / dimensions, index % dimensions);
        let draw = normal_pair(noise_key().fold_in(user as u64).fold_in((column / 2) as u64))[column % 2];
        let expected = (plain + draw * deviation).clamp(-0.5, 0.5);
        let budget = 2.0 * (5.0 * draw.abs() * deviation + 2.0) * f32::EPSILON / 2.0;
        assert!(
            (noisy - expected).abs() <= budget,
            "user {user}, component {column}: {noisy}, expected {expected}"
        );
    }
    assert_ne!(bits(&plain), bits(&noisy));
    assert_ne!(
        bits(&noisy),
        bits(&loaded.actions(0..USERS, Some(noise_key().fold_in(0)))),
        "another key must give other noise"
    );
}

/// A tally counts the components of the policy's actions, and those beyond 0.99 of `max_action` before noise, of the
/// last round of every batch.
pub fn saturation_is_counted_before_noise<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut loaded = LoadedBackend::new(new(), &world, plan(&world, |_| ()));
    let agent = with_large_weights(trained_agent(&loaded.plan.agent), &loaded.plan.agent);
    loaded.agent = loaded.backend.load_agent(&loaded.plan.agent, &agent).expect("the backend loads an agent");
    let plain = loaded.actions(0..USERS, None);
    let expected = plain.iter().filter(|&&component| is_saturated(component, 1.0)).count();
    assert!((plain.len() / 10..plain.len() * 9 / 10).contains(&expected), "{expected} of {}", plain.len());
    for _ in 0..2 {
        let batches = [0..20, 20..USERS].map(|users| loaded.batch_with_actions(users, Some(noise_key())));
        let tally = loaded.backend.tally(&loaded.world, &batches).expect("the backend counts");
        assert_eq!((tally.components, tally.saturated), (plain.len() as u64, expected as u64));
    }
}

/// A batch that was served repeatedly, by different agents, with noise and without, gets the actions and counts of a
/// new batch.
pub fn act_does_not_depend_on_earlier_rounds<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut loaded = LoadedBackend::new(new(), &world, plan(&world, |_| ()));
    let spec = loaded.plan.agent.clone();
    let mut batch = loaded.batch_with_actions(0..USERS, None);
    for seed in [1, 2] {
        let agent = with_large_weights(spec.initial_agent(seed), &spec);
        loaded.agent = loaded.backend.load_agent(&spec, &agent).expect("the backend loads an agent");
        for exploration in [None, None, Some(noise_key()), Some(noise_key().fold_in(3))] {
            loaded.backend.act(&loaded.agent, &mut batch, exploration).expect("the backend acts");
            let fresh = loaded.batch_with_actions(0..USERS, exploration);
            let [old, new] = [&batch, &fresh].map(|batch| {
                let action = loaded.backend.snapshot(batch).expect("the backend returns a snapshot").action;
                let tally =
                    loaded.backend.tally(&loaded.world, std::slice::from_ref(batch)).expect("the backend counts");
                (bits(&action), tally.components, tally.saturated)
            });
            assert!(old == new, "agent {seed}, {exploration:?}");
            assert!(old.2 > 0, "the agent must saturate components for the test to mean something");
        }
    }
}

/// Loading an agent and exporting it changes no bit, with BatchNorm and without.
pub fn exported_agent_equals_loaded_agent<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    for batch_norm in [true, false] {
        let plan = plan(&world, |config| config.td3.batch_norm = batch_norm);
        let original = trained_agent(&plan.agent);
        let mut loaded = LoadedBackend::new(new(), &world, plan);
        let exported = loaded.export();
        assert_eq!(agent_bits(&exported), agent_bits(&original));
        assert_eq!(
            (exported.critic_updates, exported.policy_updates),
            (original.critic_updates, original.policy_updates)
        );
    }
}

/// The agent with a last layer so large that many action components are saturated.
fn with_large_weights(mut agent: AgentState, spec: &AgentSpec) -> AgentState {
    let last = spec.actor.layers().last().expect("a network has layers").weight.clone();
    agent.networks[0].parameters[last].iter_mut().for_each(|weight| *weight *= 200.0);
    agent
}

fn noise_key() -> Key {
    Key::new(2, Purpose::Exploration).fold_in(1).fold_in(1)
}
