//! Any text as a configuration: refused with a message, or a plan in which every number can be computed with.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recsim_core::session::config::{Config, Plan};
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, generate, brute_force_lists};

static WORLD: LazyLock<OwnedWorld> = LazyLock::new(|| {
    let recipe = SyntheticWorldConfig { users: 40, items: 60, clusters: 5, dimensions: 4, pretrained_len: 40, seed: 0 };
    generate(&recipe, brute_force_lists)
});

fuzz_target!(|text: &[u8]| {
    let Ok(config) = serde_json::from_slice::<Config>(text) else { return };
    let world = WORLD.view();
    let (checked, planned) = (config.check(), config.plan(&world));
    if let Err(invalid) = &checked {
        assert!(planned.is_err(), "what the check refuses is not planned");
        assert!(!invalid.key.is_empty() && !invalid.to_string().is_empty());
    }
    if let Ok(plan) = planned {
        assert!(checked.is_ok());
        sane(&plan);
        let written = serde_json::to_string(&config).expect("a valid configuration can be written");
        assert_eq!(serde_json::from_str::<Config>(&written).expect("and read"), config);
    }
});

fn sane(plan: &Plan) {
    let Plan { environment, agent, schedule, .. } = plan;
    assert!(environment.rl_slots >= 1 && environment.rl_slots <= environment.slate_len && environment.slate_len <= 40);
    assert!(schedule.episodes >= 1 && schedule.rounds >= 1 && schedule.batch_size >= 1);
    assert!((1..=40).contains(&schedule.users) && schedule.train_frequency >= 1);
    assert!(schedule.warmup_transitions <= agent.buffer_size as u64 && agent.buffer_size >= 1);
    assert!(agent.batch_size >= 1 && agent.policy_freq >= 1);
    assert_eq!((agent.state_dim(), agent.action_dim()), (9, 4));
    let positive = |x: f64| x > 0.0 && (x as f32) > 0.0 && (x as f32).is_finite();
    let finite = |x: f64| (x as f32).is_finite();
    assert!(positive(agent.max_action) && positive(agent.learning_rate) && positive(agent.max_grad_norm));
    assert!(agent.tau > 0.0 && agent.tau <= 1.0 && (0.0..1.0).contains(&agent.dropout));
    // Noise in the action's own units must be a number too: infinity times a draw of 0 is none.
    assert!(finite(agent.exploration_noise * agent.max_action), "{agent:?}");
    assert!(finite(agent.policy_noise * agent.max_action) && finite(agent.noise_clip * agent.max_action));
    let rules = environment.user_model;
    assert!((0.0..=1.0).contains(&rules.acceptance.probability(0.5, 1.0)));
    assert!((0.0..=1.0).contains(&rules.belief_increment));
    assert!(rules.reward.max > 0.0 && rules.reward.max.is_finite() && rules.reward.scale.is_finite());
}
