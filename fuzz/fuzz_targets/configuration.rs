//! Any text as a configuration: refused with a message, or a plan in which every number can be computed with.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recsim_core::session::config::{Config, Plan};
use recsim_core::world::{GeneratedWorld, Recipe, generate, lists_by_brute_force};

static WORLD: LazyLock<GeneratedWorld> = LazyLock::new(|| {
    let recipe = Recipe { users: 40, items: 60, clusters: 5, dimensions: 4, list: 40, seed: 0 };
    generate(&recipe, lists_by_brute_force)
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
    let Plan { environment, learner, schedule, .. } = plan;
    assert!(environment.chosen >= 1 && environment.chosen <= environment.shown && environment.shown <= 40);
    assert!(schedule.episodes >= 1 && schedule.rounds >= 1 && schedule.batch_size >= 1);
    assert!((1..=40).contains(&schedule.users) && schedule.train_frequency >= 1);
    assert!(schedule.warmup_transitions <= learner.replay_capacity as u64 && learner.replay_capacity >= 1);
    assert!(learner.batch_size >= 1 && learner.policy_freq >= 1);
    assert_eq!((learner.state(), learner.action()), (9, 4));
    let positive = |x: f64| x > 0.0 && (x as f32) > 0.0 && (x as f32).is_finite();
    let finite = |x: f64| (x as f32).is_finite();
    assert!(positive(learner.max_action) && positive(learner.learning_rate) && positive(learner.grad_clip_norm));
    assert!(learner.tau > 0.0 && learner.tau <= 1.0 && (0.0..1.0).contains(&learner.dropout));
    // Noise in the action's own units must be a number too: infinity times a draw of 0 is none.
    assert!(finite(learner.exploration_noise * learner.max_action), "{learner:?}");
    assert!(finite(learner.policy_noise * learner.max_action) && finite(learner.noise_clip * learner.max_action));
    let rules = environment.rules;
    assert!((0.0..=1.0).contains(&rules.acceptance.probability(0.5, 1.0)));
    assert!((0.0..=1.0).contains(&rules.belief_increment));
    assert!(rules.reward.max > 0.0 && rules.reward.max.is_finite() && rules.reward.scale.is_finite());
}
