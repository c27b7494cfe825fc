//! Evaluations measure what their definitions say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Sequential, Simulate};
use recsim_core::eval::catalogue::{coverage, gini};
use recsim_core::eval::policy::{Greedy, ItemSelector, Objective, PerUser, Popular, Pretrained, Random};
use recsim_core::eval::reliability::Reliability;
use recsim_core::eval::resample::{Interval, RESAMPLE_COUNT, ResampleWeights};
use recsim_core::eval::slates::{calibration, diversity, entropy};
use recsim_core::eval::{Comparison, Episode, Evaluator, Measure, PolicyMetrics, RankedValues};
use recsim_core::model::rng::{Key, Purpose, normal_pair};
use recsim_core::model::slate::normalize;
use recsim_core::session::config::{Config, Plan};
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("../proptest-regressions/core-evaluation.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn diversity_is_the_mean_over_all_pairs(
        mut rows in prop::collection::vec(prop::collection::vec(-2.0_f32..2.0, 3), 2..9), zero in any::<bool>(),
    ) {
        if zero {
            rows[0].fill(0.0);
        }
        rows.iter_mut().for_each(|row| normalize(row));
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (n, a) in rows.iter().enumerate() {
            for b in &rows[n + 1..] {
                sum += 1.0 - dot(a, b);
                pairs += 1.0;
            }
        }
        let found = diversity(rows.iter().map(Vec::as_slice), &mut [0.0; 3]);
        prop_assert!((found - sum / pairs).abs() < 1e-12, "{} {}", found, sum / pairs);
    }

    #[test]
    fn entropy_lies_between_none_and_even(counts in prop::collection::vec(0_u32..9, 1..6)) {
        prop_assume!(counts.iter().any(|&count| count > 0));
        let entropy = entropy(&counts);
        prop_assert!((0.0..=(counts.len() as f64).ln() + 1e-12).contains(&entropy));
    }

    #[test]
    fn calibration_is_nothing_where_slate_and_target_agree_and_more_elsewhere(
        counts in prop::collection::vec(1_u32..9, 2..6), other in prop::collection::vec(0_u32..9, 6),
    ) {
        let target: Vec<f32> = counts.iter().map(|&count| count as f32 / 64.0).collect();
        prop_assert!(calibration(&counts, &target) < 1e-12);
        let other = &other[..counts.len()];
        prop_assume!(other.iter().any(|&count| count > 0));
        // Even is farther from the target than what a target says itself.
        prop_assert!(calibration(other, &target) >= 0.0);
    }

    #[test]
    fn gini_is_the_mean_difference_of_two(shown in prop::collection::vec(0_u64..50, 1..20)) {
        let (items, all) = (shown.len() as f64, shown.iter().sum::<u64>() as f64);
        prop_assume!(all > 0.0);
        let differences: f64 = shown.iter().flat_map(|a| shown.iter().map(move |b| a.abs_diff(*b) as f64)).sum();
        prop_assert!((gini(&shown) - differences / (2.0 * items * all)).abs() < 1e-12);
        prop_assert!((0.0..1.0).contains(&gini(&shown)) && coverage(&shown) <= 1.0);
    }

    #[test]
    fn the_middle_half_is_that_of_every_number_repeated_as_often_as_it_weighs(
        numbers in prop::collection::vec((0_u32..100, 0_u32..4), 1..20),
    ) {
        // Repeated four times, so that quarters are whole numbers of them.
        let mut repeated: Vec<f64> =
            numbers.iter().flat_map(|&(number, weight)| std::iter::repeat_n(f64::from(number), 4 * weight as usize)).collect();
        repeated.sort_by(f64::total_cmp);
        let quarter = repeated.len() / 4;
        let middle = &repeated[quarter..repeated.len() - quarter];
        let due = middle.iter().sum::<f64>() / middle.len() as f64;
        let weights: Vec<u32> = numbers.iter().map(|(_, weight)| *weight).collect();
        let ranked = RankedValues::new(numbers.iter().map(|(number, _)| f64::from(*number)).zip(0..));
        match ranked.interquartile_mean(&weights) {
            Some(found) => prop_assert!((found - due).abs() < 1e-9, "{} {}", found, due),
            None => prop_assert!(repeated.is_empty()),
        }
    }
}

#[test]
fn an_episode_does_not_depend_on_its_batches() {
    let (world, plan) = setting();
    for chooser in choosers(&world, &plan) {
        let whole = episode(&world, &plan, &*chooser, 1, 1000);
        for batch_size in [1, 7, 40] {
            assert_eq!(episode(&world, &plan, &*chooser, 1, batch_size), whole);
        }
        assert_ne!(episode(&world, &plan, &*chooser, 2, 1000), whole, "seeds differ");
    }
}

#[test]
fn policies_lie_where_the_scale_says() {
    let study = study(3);
    let (seeds, blocks) = study.sample_sizes();
    let findings = study.estimates(&ResampleWeights::uniform(seeds, blocks));
    let [random, greedy, _, pretrained, anti] =
        [0, 1, 2, 3, 4].map(|n| findings.metrics[n].normalized_area.unwrap());
    assert_eq!((random, greedy), (0.0, 1.0));
    assert!(anti < random && pretrained < greedy, "{findings:?}");
    // A policy's users against themselves would be ties; against those of `anti` nearly all come off better.
    let of = |a, b| findings.probability_of_improvement[study.pairs().position(|pair| pair == (a, b)).unwrap()];
    assert!(of(1, 4) > 0.99 && (0.0..=1.0).contains(&of(0, 2)));
    assert_eq!(findings.curves[0].distance.len(), 5);
}

#[test]
fn metrics_are_sums_over_users_whatever_the_blocks() {
    let (world, plan) = setting();
    let chooser = Random { num_items: 120, items_per_user: 4 };
    let episode = episode(&world, &plan, &chooser, 1, 1000);
    let users = episode.user_areas.len() as f64;
    let sum = |column| (0..5).flat_map(|round| episode.block_sums(round, column).to_vec()).sum::<f64>();
    let (area, acceptance) = (sum(Measure::Distance) / users, sum(Measure::Acceptance) / users / 5.0);
    let accepted: u64 = episode.reliability.bins.iter().map(|bin| bin.accepted).sum();
    assert!((acceptance - accepted as f64 / (users * 5.0 * 8.0)).abs() < 1e-12);
    assert!((area - episode.user_areas.iter().sum::<f64>() / users).abs() < 1e-9);
    assert_eq!(episode.shown_counts.iter().sum::<u64>(), 300 * 5 * 8);
    let study = Comparison::new(vec![vec![episode.clone()], vec![episode]], 0, 1);
    let metrics = study.estimates(&ResampleWeights::uniform(1, study.sample_sizes().1)).metrics[0];
    assert_eq!(metrics.normalized_area, None, "a scale without a length measures nothing");
    assert!(
        (metrics.area.unwrap() - area).abs() < 1e-9 && (metrics.acceptance.unwrap() - acceptance).abs() < 1e-12
    );
}

#[test]
fn users_accept_as_often_as_predicted() {
    let (world, plan) = setting();
    let mut table = Reliability::default();
    for seed in 0..20 {
        table += &episode(&world, &plan, &Random { num_items: 120, items_per_user: 8 }, seed, 1000).reliability;
    }
    assert!(table.max_z_score() < 4.0 && table.expected_calibration_error() < 0.01, "{table:?}");
    assert!(table.bins.iter().filter(|bin| bin.shown > 1000).count() > 3);
}

#[test]
fn an_interval_holds_what_was_found_and_shrinks_with_users() {
    let study = study(3);
    let (seeds, blocks) = study.sample_sizes();
    let found = study.estimates(&ResampleWeights::uniform(seeds, blocks));
    let resamples: Vec<_> = (0..RESAMPLE_COUNT as u64)
        .map(|number| study.estimates(&ResampleWeights::resample(1, number, seeds, blocks)))
        .collect();
    for (policy, metrics) in found.metrics.iter().enumerate() {
        for (n, mean) in metrics.into_array().into_iter().enumerate() {
            let interval =
                Interval::from_resamples(mean, resamples.iter().map(|found| found.metrics[policy].into_array()[n]));
            let (Some(mean), Some(low), Some(high)) = (mean, interval.low, interval.high) else { continue };
            assert!(low <= mean && mean <= high, "policy {policy}, measure {n}: {interval:?}");
        }
    }
    let area = |n: usize| Interval::from_resamples(None, resamples.iter().map(move |found| found.metrics[n].area));
    assert!(area(0).high.unwrap() - area(0).low.unwrap() > 0.0);
    assert_eq!(PolicyMetrics::from_array(found.metrics[0].into_array()), found.metrics[0]);
}

/// 300 users, slates of 8 of which 4 are chosen, 5 rounds.
fn setting() -> (OwnedWorld, Plan) {
    let recipe =
        SyntheticWorldConfig { users: 300, items: 120, clusters: 3, dimensions: 6, pretrained_len: 16, seed: 3 };
    let world = generate(&recipe, brute_force_lists);
    let mut config = Config::default();
    config.training.rounds_per_episode = 5;
    (config.recommendation.rl_list_size, config.recommendation.total_recommendations) = (4, 8);
    let plan = config.plan(&world.view().unwrap()).unwrap();
    (world, plan)
}

/// `random`, `greedy`, `popular`, `pretrained` and `anti`.
fn choosers<'a>(world: &'a OwnedWorld, plan: &Plan) -> [Box<dyn ItemSelector + Sync + 'a>; 5] {
    let (view, environment) = (world.view().unwrap(), &plan.environment);
    [
        Box::new(Random { num_items: 120, items_per_user: 4 }),
        Box::new(Greedy::new(&view, environment, 4, Objective::Nearest)),
        Box::new(Popular::new(&view, 4)),
        Box::new(Pretrained),
        Box::new(Greedy::new(&view, environment, 4, Objective::Farthest)),
    ]
}

fn study(seeds: u64) -> Comparison {
    let (world, plan) = setting();
    let of = |chooser: &(dyn ItemSelector + Sync)| {
        (1..=seeds).map(|seed| episode(&world, &plan, chooser, seed, 64)).collect()
    };
    Comparison::new(choosers(&world, &plan).iter().map(|chooser| of(&**chooser)).collect(), 0, 1)
}

fn episode(
    world: &OwnedWorld,
    plan: &Plan,
    chooser: &(dyn ItemSelector + Sync),
    seed: u64,
    batch_size: usize,
) -> Episode {
    let mut backend = Reference::<f32>::default();
    let schedule = recsim_core::session::config::Schedule { batch_size, ..plan.schedule };
    let evaluator = Evaluator::new(&world.view().unwrap(), &plan.environment, &schedule);
    let on_device = backend.load_world(evaluator.world(), &plan.environment).unwrap();
    let mut policy = PerUser { selector: chooser, parallel: Sequential };
    let episode = evaluator.episode(&mut backend, &on_device, &mut policy, seed, &Sequential, &mut |_| false);
    episode.unwrap().expect("nobody stops it")
}

#[test]
fn an_interval_covers_the_mean_of_normal_numbers_as_often_as_it_says() {
    // Means of 256 blocks, drawn anew 300 times.
    let covered = (0..300_u64).filter(|&trial| {
        let key = Key::new(trial, Purpose::World);
        let blocks: Vec<f64> = (0..256).map(|n| f64::from(normal_pair(key.fold_in(n))[0])).collect();
        let mean = |weights: &[u32]| {
            blocks.iter().zip(weights).map(|(x, &weight)| x * f64::from(weight)).sum::<f64>() / 256.0
        };
        let resamples = (0..400).map(|n| Some(mean(&ResampleWeights::resample(trial, n, 1, 256).blocks)));
        let interval = Interval::from_resamples(None, resamples);
        interval.low.unwrap() <= 0.0 && 0.0 <= interval.high.unwrap()
    });
    // 285 of 300 are to be expected, give or take 4.
    let covered = covered.count();
    assert!((270..=297).contains(&covered), "{covered}");
}
