//! Policies select the items of their definitions (`docs/spec.md`, section 8.1, Policies).
#![cfg(feature = "alloc")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use recsim_core::eval::policy::{Greedy, ItemSelector, Objective, Popular, UserView};
use recsim_core::model::EnvironmentSpec;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::session::config::Config;
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, WorldShape, brute_force_lists, generate};

/// A world of one user in which many items have equal probabilities, with the number of items to select and to show.
#[derive(Clone, Debug)]
struct GreedyCase {
    world: OwnedWorld,
    acceptance: Acceptance<f32>,
    belief_increment: f32,
    rl_slots: usize,
    slate_len: usize,
}

fn cases() -> impl Strategy<Value = GreedyCase> {
    let acceptance = prop_oneof![
        select(vec![0.0, 0.3, 1.0]).prop_map(Acceptance::Fixed),
        (select(vec![0.0, 10.0, 1e4]), select(vec![0.0, 0.1, 1.0])).prop_map(|(sigmoid_scale, baseline)| {
            Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale, baseline }
        }),
    ];
    let shape = (1_usize..=30, 1_usize..=4);
    (shape, acceptance, select(vec![1e-9, 0.01, 0.1, 0.3, 1.0])).prop_flat_map(
        |((items, clusters), acceptance, increment)| {
            let distance = select(vec![0.0, 0.5, 1.0, 1.0 + f32::EPSILON, 3.0, 4.999, 5.0, 7.0]);
            let share = select(vec![0.0, 0.0, 0.001, 0.3, 0.9, 0.999, 1.0]);
            let weight = select(vec![0.0, 1.0, 1.0, 2.0, 7.0]);
            (
                prop::collection::vec(0..clusters as u32, items),
                prop::collection::vec(distance, items),
                prop::collection::vec(weight, clusters),
                prop::collection::vec(share, clusters),
                Just((0..items as u32).collect::<Vec<_>>()).prop_shuffle(),
                select(vec![1.0, 0.9, 0.25]),
                (1..=items).prop_flat_map(|slate_len| (0..=slate_len, Just(slate_len))),
            )
                .prop_map(
                    move |(cluster, distance, weight, share, list, target_sum, (rl_slots, slate_len))| {
                        let weights: f32 = weight.iter().sum::<f32>().max(1.0);
                        let mut target: Vec<f32> =
                            weight.iter().map(|weight| target_sum * weight / weights).collect();
                        if weight.iter().all(|weight| *weight == 0.0) {
                            target[0] = target_sum;
                        }
                        recsim_core::world::shrink_to_unit_sum(&mut target);
                        let world = OwnedWorld {
                            shape: WorldShape { users: 1, items, clusters, dimensions: 1, pretrained_len: items },
                            item_embedding: vec![1.0; items],
                            item_cluster: cluster,
                            item_distance: distance,
                            user_belief: target.iter().zip(&share).map(|(target, share)| target * share).collect(),
                            user_embedding: vec![1.0],
                            user_pretrained: list,
                            target,
                        };
                        GreedyCase { world, acceptance, belief_increment: increment, rl_slots, slate_len }
                    },
                )
        },
    )
}

/// The file of failing cases, which later runs try first.
const REGRESSIONS: &str = "../proptest-regressions/core-policy.txt";

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn greedy_selects_what_brute_force_selects(case in cases()) {
        let world = case.world.view().unwrap();
        let environment = environment(&case);
        let key = Key::new(0, Purpose::EvaluationPolicy);
        let user = UserView { index: 0, beliefs: world.beliefs(0), key };
        for objective in [Objective::Nearest, Objective::Farthest] {
            let greedy = Greedy::new(&world, &environment, case.rl_slots, objective);
            let mut items = vec![0; greedy.items_per_user()];
            greedy.select(&user, &mut items);
            prop_assert_eq!(items, greedy.select_by_brute_force(&user), "{:?}", objective);
        }
    }
}

/// The default environment with the settings of the case.
fn environment(case: &GreedyCase) -> EnvironmentSpec {
    let config =
        SyntheticWorldConfig { users: 1, items: 30, clusters: 1, dimensions: 1, pretrained_len: 30, seed: 0 };
    let mut environment =
        Config::default().plan(&generate(&config, brute_force_lists).view().unwrap()).unwrap().environment;
    (environment.user_model.acceptance, environment.user_model.belief_increment) =
        (case.acceptance, case.belief_increment);
    (environment.rl_slots, environment.slate_len) = (case.rl_slots, case.slate_len);
    environment
}

#[test]
fn greedy_selects_what_brute_force_selects_in_a_synthetic_world() {
    let config =
        SyntheticWorldConfig { users: 30, items: 1500, clusters: 5, dimensions: 3, pretrained_len: 40, seed: 1 };
    let owned_world = generate(&config, brute_force_lists);
    let world = owned_world.view().unwrap();
    let plan = Config::default().plan(&world).unwrap();
    for (index, share) in [0.0, 0.01, 0.3, 0.8, 0.97, 0.999, 1.0].into_iter().enumerate() {
        let beliefs: Vec<f32> = world.target().iter().map(|target| target * share).collect();
        let user = UserView { index, beliefs: &beliefs, key: Key::new(0, Purpose::EvaluationPolicy) };
        for (objective, width) in [
            (Objective::Nearest, 10),
            (Objective::Farthest, 10),
            (Objective::Nearest, 20),
            (Objective::Farthest, 20),
        ] {
            let greedy = Greedy::new(&world, &plan.environment, width, objective);
            let mut items = vec![0; width];
            greedy.select(&user, &mut items);
            assert_eq!(items, greedy.select_by_brute_force(&user), "{objective:?} {width} at {share}");
        }
    }
}

#[test]
fn greedy_of_a_case_worked_by_hand() {
    // Both clusters are at the same distance from their targets, but items of the second are accepted with a higher
    // probability.
    let world = OwnedWorld {
        shape: WorldShape { users: 1, items: 5, clusters: 2, dimensions: 1, pretrained_len: 5 },
        item_embedding: vec![1.0; 5],
        item_cluster: vec![0, 0, 1, 1, 1],
        item_distance: vec![4.0, 4.0, 2.0, 0.0, 2.0],
        user_belief: vec![0.0, 0.0],
        user_embedding: vec![1.0],
        user_pretrained: vec![0, 1, 2, 3, 4],
        target: vec![0.25, 0.25],
    };
    let acceptance = Acceptance::Belief { max_cluster_distance: 4.0, sigmoid_scale: 0.0, baseline: 0.25 };
    let case = GreedyCase { world, acceptance, belief_increment: 0.25, rl_slots: 3, slate_len: 3 };
    let world = case.world.view().unwrap();
    let user = UserView { index: 0, beliefs: world.beliefs(0), key: Key::new(0, Purpose::EvaluationPolicy) };
    let mut items = [0; 3];
    // The probabilities are 0.25 and 0.25 in the first cluster, and 0.5, 0.75 and 0.5 in the second. Each target is
    // worth one expected acceptance. Item 3 gains 0.75 of one. Every other item then gains 0.25, so the lower index
    // comes first.
    Greedy::new(&world, &environment(&case), 3, Objective::Nearest).select(&user, &mut items);
    assert_eq!(items, [3, 0, 1]);
    // The opposite objective selects the items with the lowest probabilities.
    Greedy::new(&world, &environment(&case), 3, Objective::Farthest).select(&user, &mut items);
    assert_eq!(items, [0, 1, 2]);
}

#[test]
fn popular_sorts_items_by_the_lists_that_contain_them() {
    let config =
        SyntheticWorldConfig { users: 50, items: 80, clusters: 3, dimensions: 4, pretrained_len: 8, seed: 0 };
    let owned_world = generate(&config, brute_force_lists);
    let world = owned_world.view().unwrap();
    let popular = Popular::new(&world, 80);
    let count = |item: &u32| world.arrays().user_pretrained.iter().filter(|other| *other == item).count();
    let counts: Vec<(usize, i64)> = popular.items().iter().map(|item| (count(item), -i64::from(*item))).collect();
    assert!(counts.is_sorted_by(|a, b| a > b), "{counts:?}");
}
