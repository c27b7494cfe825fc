//! Any text as a JSON configuration: it is refused with a message, or becomes a plan whose numbers are all usable.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recsim_core::session::config::{Config, Plan};
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};

static WORLD: LazyLock<OwnedWorld> = LazyLock::new(|| {
    let config =
        SyntheticWorldConfig { users: 40, items: 60, clusters: 5, dimensions: 4, pretrained_len: 40, seed: 0 };
    generate(&config, brute_force_lists)
});

fuzz_target!(|text: &[u8]| {
    let Ok(config) = serde_json::from_slice::<Config>(text) else { return };
    let world = WORLD.view().expect("a generated world is valid");
    let (checked, planned) = (config.check(), config.plan(&world));
    if let Err(invalid) = &checked {
        assert!(planned.is_err(), "a configuration that fails the check has no plan");
        assert!(!invalid.key.is_empty() && !invalid.to_string().is_empty());
    }
    if let Ok(plan) = planned {
        assert!(checked.is_ok());
        assert_usable(&plan);
        let written = serde_json::to_string(&config).expect("a valid configuration can be written");
        assert_eq!(serde_json::from_str::<Config>(&written).expect("and read"), config);
    }
});

fn assert_usable(plan: &Plan) {
    let Plan { environment, agent, schedule, .. } = plan;
    let td3 = &agent.td3;
    assert!(
        environment.rl_slots >= 1 && environment.rl_slots <= environment.slate_len && environment.slate_len <= 40
    );
    assert!(schedule.episodes >= 1 && schedule.rounds_per_episode >= 1 && schedule.batch_size >= 1);
    assert!((1..=40).contains(&schedule.users) && schedule.train_frequency >= 1);
    assert!(schedule.warmup_transitions <= td3.buffer_size && td3.buffer_size >= 1);
    assert!(td3.batch_size >= 1 && td3.policy_freq >= 1);
    assert_eq!((agent.state_dim(), agent.action_dim()), (9, 4));
    let positive = |x: f64| x > 0.0 && (x as f32) > 0.0 && (x as f32).is_finite();
    let finite = |x: f64| (x as f32).is_finite();
    assert!(positive(agent.max_action) && positive(td3.learning_rate) && positive(td3.max_grad_norm));
    assert!(td3.tau > 0.0 && td3.tau <= 1.0 && (0.0..1.0).contains(&td3.dropout));
    // Noise in the action's units must be finite too: infinity times a draw of 0 is NaN.
    assert!(finite(td3.exploration_noise * agent.max_action), "{agent:?}");
    assert!(finite(td3.policy_noise * agent.max_action) && finite(td3.noise_clip * agent.max_action));
    let user_model = environment.user_model;
    assert!((0.0..=1.0).contains(&user_model.acceptance.probability(0.5, 1.0)));
    assert!((0.0..=1.0).contains(&user_model.belief_increment));
    assert!(
        user_model.reward.max > 0.0 && user_model.reward.max.is_finite() && user_model.reward.scale.is_finite()
    );
}
