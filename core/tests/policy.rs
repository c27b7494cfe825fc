//! Policies choose what their definitions say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use recsim_core::eval::policy::{Greedy, ItemSelector, Objective, Popular, UserView};
use recsim_core::model::EnvironmentSpec;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::session::config::Config;
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, World, WorldShape, brute_force_lists, generate};

/// A world of one user, whose items are as likely as each other in twos and threes, and how many are chosen of how many.
#[derive(Clone, Debug)]
struct Case {
    arrays: OwnedWorld,
    acceptance: Acceptance<f32>,
    increment: f32,
    chosen: usize,
    shown: usize,
}

fn cases() -> impl Strategy<Value = Case> {
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
                (1..=items).prop_flat_map(|shown| (0..=shown, Just(shown))),
            )
                .prop_map(move |(cluster, distance, weight, share, list, whole, (chosen, shown))| {
                    let weights: f32 = weight.iter().sum::<f32>().max(1.0);
                    let mut target: Vec<f32> = weight.iter().map(|weight| whole * weight / weights).collect();
                    if weight.iter().all(|weight| *weight == 0.0) {
                        target[0] = whole;
                    }
                    recsim_core::world::shrink_to_unit_sum(&mut target);
                    let arrays = OwnedWorld {
                        shape: WorldShape { users: 1, items, clusters, dimensions: 1, pretrained_len: items },
                        item_embedding: vec![1.0; items],
                        item_cluster: cluster,
                        item_distance: distance,
                        user_belief: target.iter().zip(&share).map(|(most, share)| most * share).collect(),
                        user_embedding: vec![1.0],
                        user_pretrained: list,
                        target,
                    };
                    Case { arrays, acceptance, increment, chosen, shown }
                })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("../proptest-regressions/core-policy.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn greedy_and_anti_choose_what_brute_force_chooses(case in cases()) {
        let world = World::new(case.arrays.shape, case.arrays.arrays()).unwrap();
        let environment = environment(&case);
        let key = Key::new(0, Purpose::EvaluationPolicy);
        let user = UserView { index: 0, beliefs: world.beliefs(0), key };
        for aim in [Objective::Nearest, Objective::Farthest] {
            let greedy = Greedy::new(&world, &environment, case.chosen, aim);
            let mut items = vec![0; greedy.items_per_user()];
            greedy.select(&user, &mut items);
            prop_assert_eq!(items, greedy.select_by_brute_force(&user), "{:?}", aim);
        }
    }
}

fn environment(case: &Case) -> EnvironmentSpec {
    let recipe =
        SyntheticWorldConfig { users: 1, items: 30, clusters: 1, dimensions: 1, pretrained_len: 30, seed: 0 };
    let mut environment =
        Config::default().plan(&generate(&recipe, brute_force_lists).view().unwrap()).unwrap().environment;
    (environment.user_model.acceptance, environment.user_model.belief_increment) =
        (case.acceptance, case.increment);
    (environment.rl_slots, environment.slate_len) = (case.chosen, case.shown);
    environment
}

#[test]
fn greedy_in_a_world_like_the_real_one_is_brute_force_wherever_the_user_stands() {
    let recipe =
        SyntheticWorldConfig { users: 30, items: 1500, clusters: 5, dimensions: 3, pretrained_len: 40, seed: 1 };
    let generated = generate(&recipe, brute_force_lists);
    let world = generated.view().unwrap();
    let plan = Config::default().plan(&world).unwrap();
    for (index, share) in [0.0, 0.01, 0.3, 0.8, 0.97, 0.999, 1.0].into_iter().enumerate() {
        let beliefs: Vec<f32> = world.target().iter().map(|most| most * share).collect();
        let user = UserView { index, beliefs: &beliefs, key: Key::new(0, Purpose::EvaluationPolicy) };
        for (aim, width) in [
            (Objective::Nearest, 10),
            (Objective::Farthest, 10),
            (Objective::Nearest, 20),
            (Objective::Farthest, 20),
        ] {
            let greedy = Greedy::new(&world, &plan.environment, width, aim);
            let mut items = vec![0; width];
            greedy.select(&user, &mut items);
            assert_eq!(items, greedy.select_by_brute_force(&user), "{aim:?} {width} at {share}");
        }
    }
}

#[test]
fn greedy_worked_by_hand() {
    // One cluster is as far from its target as the other, but items of the second are likelier; two of them reach its
    // target, so the third goes to the first cluster. Sure acceptances, no list.
    let arrays = OwnedWorld {
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
    let case = Case { arrays, acceptance, increment: 0.25, chosen: 3, shown: 3 };
    let world = World::new(case.arrays.shape, case.arrays.arrays()).unwrap();
    let user = UserView { index: 0, beliefs: world.beliefs(0), key: Key::new(0, Purpose::EvaluationPolicy) };
    let mut items = [0; 3];
    // Probabilities: 0.25 and 0.25; 0.5, 0.75, 0.5. One of the second cluster leaves 0.25 of its target of 1,
    Greedy::new(&world, &environment(&case), 3, Objective::Nearest).select(&user, &mut items);
    assert_eq!(items, [3, 0, 1]);
    // Whoever would do harm shows what is least likely.
    Greedy::new(&world, &environment(&case), 3, Objective::Farthest).select(&user, &mut items);
    assert_eq!(items, [0, 1, 2]);
}

#[test]
fn popular_items_are_those_most_lists_hold() {
    let recipe =
        SyntheticWorldConfig { users: 50, items: 80, clusters: 3, dimensions: 4, pretrained_len: 8, seed: 0 };
    let generated = generate(&recipe, brute_force_lists);
    let world = generated.view().unwrap();
    let popular = Popular::new(&world, 80);
    let count = |item: &u32| world.arrays().user_pretrained.iter().filter(|other| *other == item).count();
    let counts: Vec<(usize, i64)> = popular.items().iter().map(|item| (count(item), -i64::from(*item))).collect();
    assert!(counts.is_sorted_by(|a, b| a > b), "{counts:?}");
}
