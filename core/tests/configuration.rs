//! Settings that are valid only in combination.
#![cfg(feature = "alloc")]

use recsim_core::model::slate::Similarity;
use recsim_core::session::config::Config;
use recsim_core::world::{SyntheticWorldConfig, brute_force_lists, generate};

#[test]
fn check_names_noise_that_overflows_with_max_action() {
    type Set = fn(&mut Config);
    let settings: [(&str, Set); 3] = [
        ("td3.policy_noise", |config| config.td3.policy_noise = 1e10),
        ("td3.noise_clip", |config| config.td3.noise_clip = 1e10),
        ("td3.exploration_noise", |config| config.td3.exploration_noise = 1e10),
    ];
    for (key, set) in settings {
        let mut config = Config::default();
        config.environment.max_action = 1e30;
        assert_eq!(config.check(), Ok(()), "the large action alone is valid");
        set(&mut config);
        assert_eq!(config.check().expect_err("1e40 is no float32").key, key);
    }
}

#[test]
fn plan_rejects_actions_whose_scores_overflow() {
    let world_config =
        SyntheticWorldConfig { users: 2, items: 40, clusters: 2, dimensions: 4, pretrained_len: 20, seed: 0 };
    let owned_world = generate(&world_config, brute_force_lists);
    for similarity_metric in [Similarity::Cosine, Similarity::Dot] {
        let mut config = Config::default();
        config.recommendation.similarity_metric = similarity_metric;
        config.environment.max_action = 1e37;
        assert!(config.plan(&owned_world.view().unwrap()).is_ok());
        config.environment.max_action = 3e38;
        let invalid = config.plan(&owned_world.view().unwrap()).expect_err("a score would reach 6e38");
        assert_eq!(invalid.key, "environment.max_action");
    }
}
