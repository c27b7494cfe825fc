//! Metrics, policies and confidence intervals have the values of their definitions (`docs/spec.md`, section 8,
//! Evaluation).
#![cfg(feature = "alloc")]
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

/// The file of failing cases, which later runs try first.
const REGRESSIONS: &str = "../proptest-regressions/core-evaluation.txt";

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
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
        let actual = diversity(rows.iter().map(Vec::as_slice), &mut [0.0; 3]);
        prop_assert!((actual - sum / pairs).abs() < 1e-12, "{} {}", actual, sum / pairs);
    }

    #[test]
    fn entropy_lies_between_zero_and_that_of_even_counts(counts in prop::collection::vec(0_u32..9, 1..6)) {
        prop_assume!(counts.iter().any(|&count| count > 0));
        let entropy = entropy(&counts);
        prop_assert!((0.0..=(counts.len() as f64).ln() + 1e-12).contains(&entropy));
    }

    #[test]
    fn calibration_is_zero_where_slate_and_target_agree_and_never_negative(
        counts in prop::collection::vec(1_u32..9, 2..6), other in prop::collection::vec(0_u32..9, 6),
    ) {
        let target: Vec<f32> = counts.iter().map(|&count| count as f32 / 64.0).collect();
        prop_assert!(calibration(&counts, &target) < 1e-12);
        let other = &other[..counts.len()];
        prop_assume!(other.iter().any(|&count| count > 0));
        prop_assert!(calibration(other, &target) >= 0.0);
    }

    #[test]
    fn gini_is_the_mean_difference_of_pairs(shown in prop::collection::vec(0_u64..50, 1..20)) {
        let (items, all) = (shown.len() as f64, shown.iter().sum::<u64>() as f64);
        prop_assume!(all > 0.0);
        let differences: f64 = shown.iter().flat_map(|a| shown.iter().map(move |b| a.abs_diff(*b) as f64)).sum();
        prop_assert!((gini(&shown) - differences / (2.0 * items * all)).abs() < 1e-12);
        prop_assert!((0.0..1.0).contains(&gini(&shown)) && coverage(&shown) <= 1.0);
    }

    #[test]
    fn interquartile_mean_counts_a_value_as_often_as_its_weight(
        weighted in prop::collection::vec((0_u32..100, 0_u32..4), 1..20),
    ) {
        // Each value is repeated 4 times its weight, so that a quarter is a whole number of values.
        let repeat = |&(value, weight): &(u32, u32)| std::iter::repeat_n(f64::from(value), 4 * weight as usize);
        let mut repeated: Vec<f64> = weighted.iter().flat_map(repeat).collect();
        repeated.sort_by(f64::total_cmp);
        let quarter = repeated.len() / 4;
        let middle = &repeated[quarter..repeated.len() - quarter];
        let expected = middle.iter().sum::<f64>() / middle.len() as f64;
        let weights: Vec<u32> = weighted.iter().map(|(_, weight)| *weight).collect();
        let ranked = RankedValues::new(weighted.iter().map(|(value, _)| f64::from(*value)).zip(0..));
        match ranked.interquartile_mean(&weights) {
            Some(actual) => prop_assert!((actual - expected).abs() < 1e-9, "{} {}", actual, expected),
            None => prop_assert!(repeated.is_empty()),
        }
    }
}

#[test]
fn episode_does_not_depend_on_its_batches() {
    let (world, plan) = setting();
    for selector in selectors(&world, &plan) {
        let whole = episode(&world, &plan, &*selector, 1, 1000);
        for batch_size in [1, 7, 40] {
            assert_eq!(episode(&world, &plan, &*selector, 1, batch_size), whole);
        }
        assert_ne!(episode(&world, &plan, &*selector, 2, 1000), whole, "another seed has other draws");
    }
}

#[test]
fn comparison_orders_policies_by_normalized_area() {
    let comparison = comparison(3);
    let (seeds, blocks) = comparison.sample_sizes();
    let estimates = comparison.estimates(&ResampleWeights::uniform(seeds, blocks));
    let [random, greedy, _, pretrained, anti] =
        [0, 1, 2, 3, 4].map(|n| estimates.metrics[n].normalized_area.unwrap());
    assert_eq!((random, greedy), (0.0, 1.0));
    assert!(anti < random && pretrained < greedy, "{estimates:?}");
    // Nearly all users of `greedy` have a smaller area than those of `anti`.
    let probability =
        |a, b| estimates.probability_of_improvement[comparison.pairs().position(|pair| pair == (a, b)).unwrap()];
    assert!(probability(1, 4) > 0.99 && (0.0..=1.0).contains(&probability(0, 2)));
    assert_eq!(estimates.curves[0].distance.len(), 5);
}

#[test]
fn metrics_are_means_over_users() {
    let (world, plan) = setting();
    let selector = Random { num_items: 120, items_per_user: 4 };
    let episode = episode(&world, &plan, &selector, 1, 1000);
    let users = episode.user_areas.len() as f64;
    let sum = |column| (0..5).flat_map(|round| episode.block_sums(round, column).to_vec()).sum::<f64>();
    let (area, acceptance) = (sum(Measure::Distance) / users, sum(Measure::Acceptance) / users / 5.0);
    let accepted: u64 = episode.reliability.bins.iter().map(|bin| bin.accepted).sum();
    assert!((acceptance - accepted as f64 / (users * 5.0 * 8.0)).abs() < 1e-12);
    assert!((area - episode.user_areas.iter().sum::<f64>() / users).abs() < 1e-9);
    assert_eq!(episode.shown_counts.iter().sum::<u64>(), 300 * 5 * 8);
    let comparison = Comparison::new(vec![vec![episode.clone()], vec![episode]], 0, 1);
    let metrics = comparison.estimates(&ResampleWeights::uniform(1, comparison.sample_sizes().1)).metrics[0];
    assert_eq!(metrics.normalized_area, None, "random and greedy have the same area");
    assert!(
        (metrics.area.unwrap() - area).abs() < 1e-9 && (metrics.acceptance.unwrap() - acceptance).abs() < 1e-12
    );
}

#[test]
fn reliability_finds_the_predicted_acceptances() {
    let (world, plan) = setting();
    let mut reliability = Reliability::default();
    for seed in 0..20 {
        reliability +=
            &episode(&world, &plan, &Random { num_items: 120, items_per_user: 8 }, seed, 1000).reliability;
    }
    assert!(reliability.max_z_score() < 4.0 && reliability.expected_calibration_error() < 0.01, "{reliability:?}");
    assert!(reliability.bins.iter().filter(|bin| bin.shown > 1000).count() > 3);
}

#[test]
fn interval_contains_the_estimate() {
    let comparison = comparison(3);
    let (seeds, blocks) = comparison.sample_sizes();
    let estimates = comparison.estimates(&ResampleWeights::uniform(seeds, blocks));
    let resamples: Vec<_> = (0..RESAMPLE_COUNT as u64)
        .map(|number| comparison.estimates(&ResampleWeights::resample(1, number, seeds, blocks)))
        .collect();
    for (policy, metrics) in estimates.metrics.iter().enumerate() {
        for (n, mean) in metrics.into_array().into_iter().enumerate() {
            let interval = Interval::from_resamples(
                mean,
                resamples.iter().map(|resample| resample.metrics[policy].into_array()[n]),
            );
            let (Some(mean), Some(low), Some(high)) = (mean, interval.low, interval.high) else { continue };
            assert!(low <= mean && mean <= high, "policy {policy}, metric {n}: {interval:?}");
        }
    }
    let area =
        |n: usize| Interval::from_resamples(None, resamples.iter().map(move |resample| resample.metrics[n].area));
    assert!(area(0).high.unwrap() - area(0).low.unwrap() > 0.0);
    assert_eq!(PolicyMetrics::from_array(estimates.metrics[0].into_array()), estimates.metrics[0]);
}

/// 300 users, slates of 8 items of which a policy selects 4, 5 rounds.
fn setting() -> (OwnedWorld, Plan) {
    let world_config =
        SyntheticWorldConfig { users: 300, items: 120, clusters: 3, dimensions: 6, pretrained_len: 16, seed: 3 };
    let world = generate(&world_config, brute_force_lists);
    let mut config = Config::default();
    config.training.rounds_per_episode = 5;
    (config.recommendation.rl_list_size, config.recommendation.total_recommendations) = (4, 8);
    let plan = config.plan(&world.view().unwrap()).unwrap();
    (world, plan)
}

/// The policies `random`, `greedy`, `popular`, `pretrained` and `anti`.
fn selectors<'a>(world: &'a OwnedWorld, plan: &Plan) -> [Box<dyn ItemSelector + Sync + 'a>; 5] {
    let (view, environment) = (world.view().unwrap(), &plan.environment);
    [
        Box::new(Random { num_items: 120, items_per_user: 4 }),
        Box::new(Greedy::new(&view, environment, 4, Objective::Nearest)),
        Box::new(Popular::new(&view, 4)),
        Box::new(Pretrained),
        Box::new(Greedy::new(&view, environment, 4, Objective::Farthest)),
    ]
}

/// The five policies with the seeds 1 to `seeds`.
fn comparison(seeds: u64) -> Comparison {
    let (world, plan) = setting();
    let episodes = |selector: &(dyn ItemSelector + Sync)| {
        (1..=seeds).map(|seed| episode(&world, &plan, selector, seed, 64)).collect()
    };
    Comparison::new(selectors(&world, &plan).iter().map(|selector| episodes(&**selector)).collect(), 0, 1)
}

fn episode(
    world: &OwnedWorld,
    plan: &Plan,
    selector: &(dyn ItemSelector + Sync),
    seed: u64,
    batch_size: usize,
) -> Episode {
    let mut backend = Reference::<f32>::default();
    let schedule = recsim_core::session::config::Schedule { batch_size, ..plan.schedule };
    let evaluator = Evaluator::new(&world.view().unwrap(), &plan.environment, &schedule);
    let on_device = backend.load_world(evaluator.world(), &plan.environment).unwrap();
    let mut policy = PerUser { selector, parallel: Sequential };
    let episode = evaluator.episode(&mut backend, &on_device, &mut policy, seed, &Sequential, &mut |_| false);
    episode.unwrap().expect("the observer never stops the episode")
}

#[test]
fn interval_covers_the_mean_of_normal_values_with_its_confidence() {
    // The means of 256 normal blocks, for 300 experiments.
    let covered = (0..300_u64).filter(|&experiment| {
        let key = Key::new(experiment, Purpose::World);
        let blocks: Vec<f64> = (0..256).map(|n| f64::from(normal_pair(key.fold_in(n))[0])).collect();
        let mean = |weights: &[u32]| {
            blocks.iter().zip(weights).map(|(x, &weight)| x * f64::from(weight)).sum::<f64>() / 256.0
        };
        let resamples = (0..400).map(|n| Some(mean(&ResampleWeights::resample(experiment, n, 1, 256).blocks)));
        let interval = Interval::from_resamples(None, resamples);
        interval.low.unwrap() <= 0.0 && 0.0 <= interval.high.unwrap()
    });
    // 285 of 300 are expected, with a standard deviation of 4.
    let covered = covered.count();
    assert!((270..=297).contains(&covered), "{covered}");
}
