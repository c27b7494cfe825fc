//! Properties of the formulas that hold for every input.
#![cfg(feature = "alloc")]

use std::collections::VecDeque;

use nalgebra::{DVector, SVector};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use recsim_core::model::ExactSum;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::belief::{distance, update};
use recsim_core::model::math::{Real, sigmoid};
use recsim_core::model::reward::{BeliefScore, Reward, RewardForm, alignment};
use recsim_core::model::rng::{Key, Purpose, UniformSource};
use recsim_core::model::slate::{TopK, fill_from_pretrained};
use recsim_core::model::user::{UserModel, step};
use recsim_core::td3::replay::ReplayIndex;

/// The relative error of one rounding to `f32`.
const ULP: f64 = 1.0 / (1 << 24) as f64;

/// The file of failing cases, which later runs try first.
const REGRESSIONS: &str = "../proptest-regressions/core-properties.txt";

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn update_keeps_beliefs_between_zero_and_the_target((user, increment) in (user(), 0.0_f32..=1.0)) {
        let mut beliefs = user.beliefs();
        update(&mut beliefs, &user.counts(), &user.target(), increment);
        for (belief, target) in beliefs.iter().zip(&user.target) {
            prop_assert!((0.0..=*target).contains(belief), "{belief} of {target}");
        }
    }

    /// Exactly at most 1, without a tolerance: a rounded sum never falls when a term grows, and the target's sum is at
    /// most 1.
    #[test]
    fn update_keeps_the_sum_of_beliefs_at_most_one((user, increment) in (user(), 0.0_f32..=1.0)) {
        let mut beliefs = user.beliefs();
        update(&mut beliefs, &user.counts(), &user.target(), increment);
        prop_assert!(in_order(beliefs.as_slice()) <= 1.0);
    }

    #[test]
    fn update_without_acceptances_changes_no_belief((user, increment) in (user(), 0.0_f32..=1.0)) {
        let mut beliefs = user.beliefs();
        update(&mut beliefs, &DVector::zeros(user.target.len()), &user.target(), increment);
        prop_assert_eq!(bits(&beliefs), bits(&user.beliefs()));
    }

    #[test]
    fn update_in_f32_is_close_to_f64((user, increment) in (user(), 0.0_f32..=1.0)) {
        let mut beliefs = user.beliefs();
        update(&mut beliefs, &user.counts(), &user.target(), increment);
        let mut exact = wide(&user.beliefs);
        update(&mut exact, &wide(&user.accepted), &wide(&user.target), f64::from(increment));
        // There are 2 roundings in `b + n * increment`, K - 1 in the sum, and 1 in the quotient. A product or sum is at
        // most `largest`, and a division by more than 1 shrinks every error.
        let raised = |c: usize| user.beliefs[c] + user.accepted[c] * increment;
        let largest = (0..user.target.len()).map(raised).fold(1.0, f32::max);
        let tolerance = f64::from(largest) * (3 + user.target.len()) as f64 * ULP;
        for (narrow, exact) in beliefs.iter().zip(&exact) {
            let error = (f64::from(*narrow) - exact).abs();
            prop_assert!(error <= tolerance, "{narrow}, expected {exact} to within {tolerance}");
        }
    }

    #[test]
    fn update_and_reward_have_the_same_bits_for_static_and_dynamic_sizes((user, rule) in (user_of(5), rule())) {
        let (mut dynamic, before) = (user.beliefs(), user.beliefs());
        update(&mut dynamic, &user.counts(), &user.target(), 0.01);
        let fixed = |values: &[f32]| SVector::<f32, 5>::from_column_slice(values);
        let mut of_static = fixed(&user.beliefs);
        update(&mut of_static, &fixed(&user.accepted), &fixed(&user.target), 0.01);
        prop_assert_eq!(bits(&dynamic), of_static.iter().map(|b| b.to_bits()).collect::<Vec<_>>());
        let reward = rule.of(&before, &dynamic, &user.target());
        let reward_of_static = rule.of(&fixed(&user.beliefs), &of_static, &fixed(&user.target));
        prop_assert_eq!(reward.to_bits(), reward_of_static.to_bits());
    }

    #[test]
    fn probability_lies_in_the_unit_interval(
        (acceptance, belief, distance) in (acceptance(), 0.0_f32..=1.0, any_distance()),
    ) {
        prop_assert!((0.0..=1.0).contains(&acceptance.probability(belief, distance)));
    }

    #[test]
    fn probability_never_falls_as_belief_grows(
        (acceptance, a, b, distance) in (acceptance(), small_or_any(), small_or_any(), any_distance()),
    ) {
        let p = |belief| acceptance.probability(belief, distance);
        prop_assert!(p(a.min(b)) <= p(a.max(b)));
    }

    #[test]
    fn probability_never_grows_with_distance(
        (acceptance, belief, a, b) in (acceptance(), small_or_any(), any_distance(), any_distance()),
    ) {
        let p = |distance| acceptance.probability(belief, distance);
        prop_assert!(p(a.min(b)) >= p(a.max(b)));
    }

    /// The tolerance is `PROBABILITY_TOLERANCE` of tests/golden.rs.
    #[test]
    fn probability_in_f32_is_close_to_f64(
        (belief, item_distance, scale, baseline) in (small_or_any(), 0.0_f32..8.0, 0.0_f32..1e6, 0.0_f32..=1.0),
    ) {
        let narrow = Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: scale, baseline };
        let exact = Acceptance::Belief {
            max_cluster_distance: 5.0, sigmoid_scale: f64::from(scale), baseline: f64::from(baseline),
        };
        let error = f64::from(narrow.probability(belief, item_distance))
            - exact.probability(f64::from(belief), f64::from(item_distance));
        prop_assert!(error.abs() <= 8.0 * ULP, "the error is {} units", error / ULP);
    }

    #[test]
    fn reward_is_clamped_and_bounded((user, after, rule) in (user(), vec(0.0_f32..=1.0, 9), rule())) {
        let after = user.at(&after);
        let reward = rule.of(&user.beliefs(), &after, &user.target());
        prop_assert!((-rule.max..=rule.max).contains(&reward));
        // The bound holds for exact sums. A sum of K differences has rounding errors of K units at most; a tally can
        // hold twice the bound.
        prop_assert!(reward.abs() <= rule.bound() * (1.0 + 1e-5), "{reward} exceeds {}", rule.bound());
    }

    /// Also for beliefs and targets so small that their squares are subnormal. A score by distance can be below 0 by
    /// the roundings of two sums of K and a quotient.
    #[test]
    fn alignment_and_scores_lie_in_the_unit_interval((user, halvings) in (user(), 0_i32..140)) {
        let factor = 0.5_f32.powi(halvings);
        for (beliefs, target) in [(factor, 1.0), (factor, factor)] {
            let (beliefs, target) = (user.beliefs() * beliefs, user.target() * target);
            for share in [alignment(&beliefs, &target), BeliefScore::Combined.of(&beliefs, &target)] {
                prop_assert!((0.0..=1.0).contains(&share), "{share}: {beliefs} of {target}");
            }
            let value = f64::from(BeliefScore::Distance.of(&beliefs, &target));
            let tolerance = (target.len() + 4) as f64 * 2.0 * ULP;
            prop_assert!((-tolerance..=1.0).contains(&value), "{value}: {beliefs} of {target}");
        }
        let at_target = f64::from(BeliefScore::Combined.of(&user.target(), &user.target()));
        prop_assert!((1.0 - at_target) <= (user.target.len() + 4) as f64 * 2.0 * ULP);
    }

    /// Each step has the roundings of two sums of K distances, a difference and a product.
    #[test]
    fn reward_telescopes_for_the_potential_form((user, path) in (user(), vec(vec(0.0_f32..=1.0, 9), 1..20))) {
        let (kind, score) = (RewardForm::Potential, BeliefScore::Combined);
        let rule = Reward { kind, score, scale: 100.0, max: 1e3, improvement_threshold: 0.0 };
        let target = user.target();
        let (mut now, mut total) = (user.beliefs(), 0.0_f64);
        for shares in &path {
            let next = user.at(shares);
            total += f64::from(rule.of(&now, &next, &target));
            now = next;
        }
        let target = wide(&user.target);
        let gain = distance(&wide(&user.beliefs), &target) - distance(&wide(now.as_slice()), &target);
        let tolerance = path.len() as f64 * 100.0 * (2 * user.target.len() + 4) as f64 * ULP;
        prop_assert!((total - 100.0 * gain).abs() <= tolerance, "{total} for a gain of {gain}");
    }

    #[test]
    fn reward_has_the_formula_of_its_form((user, after, rule) in (user(), vec(0.0_f32..=1.0, 9), rule())) {
        let (before, target) = (user.beliefs(), user.target());
        let after = user.at(&after);
        let d = |b: &DVector<f32>, c: usize| (target[c] - b[c]).abs();
        let gain = (0..target.len()).fold(0.0, |sum, c| sum + (d(&before, c) - d(&after, c)).max(0.0));
        let any_fell = (0..target.len()).any(|c| d(&after, c) < d(&before, c));
        let delta = rule.score.of(&after, &target) - rule.score.of(&before, &target);
        let expected = match rule.kind {
            RewardForm::Strict if delta < rule.improvement_threshold => 0.0,
            RewardForm::Strict => rule.scale * gain,
            RewardForm::Hybrid { exploration_bonus, .. } if any_fell => {
                rule.scale * gain + if delta >= rule.improvement_threshold { exploration_bonus } else { 0.0 }
            }
            RewardForm::Hybrid { maintenance_factor, .. } if delta > -rule.improvement_threshold => {
                maintenance_factor * rule.score.of(&after, &target)
            }
            RewardForm::Hybrid { .. } => rule.scale * delta,
            RewardForm::Potential => rule.scale * (distance(&before, &target) - distance(&after, &target)),
        };
        prop_assert_eq!(rule.of(&before, &after, &target), expected.clamp(-rule.max, rule.max));
    }

    /// Without the cases in which a rounding decides the branch. Gains and distances are sums of K differences with one
    /// rounding each; two scores have K + 4 roundings each.
    #[test]
    fn reward_in_f32_is_close_to_f64((user, rule, counts) in (user(), rule(), vec(0_u8..5, 9))) {
        let (before, target) = (user.beliefs(), user.target());
        let mut after = before.clone();
        let counts = DVector::from_fn(target.len(), |c, _| f32::from(counts[c]));
        update(&mut after, &counts, &target, 0.01);
        let (wide_before, wide_after, wide_target) =
            (wide(before.as_slice()), wide(after.as_slice()), wide(target.as_slice()));
        prop_assume!(user.beliefs.iter().chain(after.iter()).all(|&b| b == 0.0 || b > 1e-15));
        let score_tolerance = 4.0 * (target.len() + 5) as f64 * ULP;
        let score = |b| rule.score.of(b, &wide_target);
        let delta = score(&wide_after) - score(&wide_before);
        let threshold = f64::from(rule.improvement_threshold);
        prop_assume!((delta.abs() - threshold).abs() > score_tolerance);
        // Each belief stays or changes by more than a rounding of its distance.
        prop_assume!((0..target.len()).all(|c| before[c] == after[c] || (before[c] - after[c]).abs() > 1e-5));
        let exact = rule_in_f64(&rule).of(&wide_before, &wide_after, &wide_target);
        let per_unit = (2 * target.len() + 4) as f64 * ULP + score_tolerance;
        let tolerance = (f64::from(rule.scale) + 2.0) * per_unit + f64::from(rule.max) * ULP;
        let actual = f64::from(rule.of(&before, &after, &target));
        prop_assert!((actual - exact).abs() <= tolerance, "{actual}, expected {exact} to within {tolerance}");
    }

    /// A key's draws belong to the items, so the order of the slate changes only the order of `accepted`.
    #[test]
    fn step_does_not_depend_on_the_order_of_the_slate(
        (user, rule, seed, slate) in (user_of(5), rule(), any::<u64>(), permutation(20)),
    ) {
        let user_model = user_model(rule);
        let run_step = |slate: &[u32]| {
            let mut beliefs = user.beliefs();
            let (mut before, mut counts) = (beliefs.clone(), beliefs.clone());
            let mut accepted = vec![false; slate.len()];
            let mut draws = Key::new(seed, Purpose::Acceptance).fold_in(1);
            let reward = step(
                &user_model, &user.target(), &cluster_and_distance, slate, &mut draws, &mut beliefs, &mut before,
                &mut counts, &mut accepted,
            );
            let mut by_item: Vec<_> = slate.iter().copied().zip(accepted).collect();
            by_item.sort_unstable();
            (bits(&beliefs), bits(&before), bits(&counts), reward.to_bits(), by_item)
        };
        let sorted: Vec<u32> = (0..20).collect();
        prop_assert_eq!(run_step(&slate), run_step(&sorted));
    }

    #[test]
    fn step_is_its_formulas_in_order((user, rule, seed) in (user_of(5), rule(), any::<u64>())) {
        let user_model = user_model(rule);
        let (mut beliefs, mut before, mut counts) = (user.beliefs(), user.beliefs(), user.beliefs());
        let (slate, mut accepted) = ([8, 3, 0, 17, 2], [true; 5]);
        let mut draws = Key::new(seed, Purpose::Acceptance);
        let reward = step(
            &user_model, &user.target(), &cluster_and_distance, &slate, &mut draws, &mut beliefs, &mut before,
            &mut counts, &mut accepted,
        );
        let mut expected_counts = DVector::zeros(5);
        for (item, is_accepted) in slate.into_iter().zip(accepted) {
            let (cluster, item_distance) = cluster_and_distance(item);
            let probability = user_model.acceptance.probability(user.beliefs[cluster], item_distance);
            prop_assert_eq!(is_accepted, draws.next_uniform(item) < probability);
            expected_counts[cluster] += f32::from(u8::from(is_accepted));
        }
        prop_assert_eq!(bits(&counts), bits(&expected_counts));
        prop_assert_eq!(bits(&before), bits(&user.beliefs()));
        let mut expected = user.beliefs();
        update(&mut expected, &expected_counts, &user.target(), user_model.belief_increment);
        prop_assert_eq!(bits(&beliefs), bits(&expected));
        prop_assert_eq!(reward.to_bits(), rule.of(&user.beliefs(), &expected, &user.target()).to_bits());
    }

    #[test]
    fn fill_from_pretrained_fills_with_distinct_items(
        (list, rl_slots, other_slots) in (permutation(30), 1_usize..=20, 0_usize..=10),
        items in permutation(30),
    ) {
        let slate_len = rl_slots + other_slots;
        let mut slate = vec![u32::MAX; slate_len];
        slate[..rl_slots].copy_from_slice(&items[..rl_slots]);
        prop_assert_eq!(fill_from_pretrained(&mut slate, rl_slots, &list[..slate_len]), slate_len);
        prop_assert_eq!(&slate[..rl_slots], &items[..rl_slots]);
        let rest: Vec<_> =
            list[..slate_len].iter().filter(|item| !slate[..rl_slots].contains(item)).take(other_slots).collect();
        prop_assert_eq!(slate[rl_slots..].iter().collect::<Vec<_>>(), rest);
        slate.sort_unstable();
        slate.dedup();
        prop_assert_eq!(slate.len(), slate_len);
    }

    /// Few distinct scores, with both zeros and infinities, so that many are equal.
    #[test]
    fn top_k_is_the_front_of_a_stable_sort(
        scores in vec(coarse_score(), 0..60),
        k in 1_usize..20,
    ) {
        let (mut items, mut best_scores) = (vec![0; k], vec![0.0; k]);
        let mut best = TopK::new(&mut items, &mut best_scores);
        for (item, &score) in scores.iter().enumerate() {
            best.push(item as u32, score);
        }
        let mut expected: Vec<u32> = (0..scores.len() as u32).collect();
        expected.sort_by(|&a, &b| scores[b as usize].partial_cmp(&scores[a as usize]).unwrap());
        expected.truncate(k);
        prop_assert_eq!(best.items(), &expected[..]);
        let threshold = if expected.len() < k { f32::NEG_INFINITY } else { scores[expected[k - 1] as usize] };
        prop_assert_eq!(best.threshold(), threshold);
    }

    #[test]
    fn replay_index_holds_what_a_queue_would((capacity, insertions) in (1_usize..12, vec(0_usize..30, 0..12))) {
        let mut replay = ReplayIndex::new(capacity);
        let (mut column, mut queue) = (vec![None; capacity], VecDeque::new());
        let mut number = 0;
        for count in insertions {
            for offset in replay.insert(count).offsets() {
                if let Some(offset) = offset {
                    column[offset] = Some(number);
                }
                queue.push_back(number);
                if queue.len() > capacity {
                    queue.pop_front();
                }
                number += 1;
            }
            prop_assert_eq!(replay.len(), queue.len());
            // The last transitions are stored at the indices that updates sample from.
            let mut stored: Vec<_> = column[..replay.len()].iter().map(|number| number.unwrap()).collect();
            stored.sort_unstable();
            prop_assert_eq!(stored, queue.iter().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn exact_sum_does_not_depend_on_the_order(values in vec(-2.0..=2.0_f64, 0..100), cut in 0_usize..100) {
        let sum = |values: &[f64]| values.iter().copied().map(ExactSum::from_f64).sum::<ExactSum>();
        let mut reversed = values.clone();
        reversed.reverse();
        prop_assert_eq!(sum(&values), sum(&reversed));
        let (left, right) = values.split_at(cut.min(values.len()));
        prop_assert_eq!(sum(&values), sum(left) + sum(right));
        let plain: f64 = values.iter().sum();
        // Half a unit of 2^-32 for each value, and the roundings of the plain sum.
        let tolerance = values.len() as f64 * (0.5 / 4_294_967_296.0 + 200.0 * f64::EPSILON);
        prop_assert!((sum(&values).value() - plain).abs() <= tolerance);
    }
}

/// For every float from where the sigmoid leaves 1/2 to beyond where it reaches 1. Hence no probability falls.
#[test]
fn sigmoid_never_falls_from_one_float_to_the_next() {
    let mut last = sigmoid(0.0_f32);
    for bits in (ULP as f32 / 4.0).to_bits()..=18.0_f32.to_bits() {
        let next = sigmoid(f32::from_bits(bits));
        assert!(next >= last, "at {}", f32::from_bits(bits));
        last = next;
    }
    assert_eq!((last, sigmoid(0.0_f32), sigmoid(ULP as f32 / 4.0)), (1.0, 0.5, 0.5));
}

/// A user with valid beliefs, and the accepted items of one slate by cluster.
#[derive(Clone, Debug)]
struct TestUser {
    target: Vec<f32>,
    beliefs: Vec<f32>,
    accepted: Vec<f32>,
}

impl TestUser {
    fn target(&self) -> DVector<f32> {
        DVector::from_column_slice(&self.target)
    }
    fn beliefs(&self) -> DVector<f32> {
        DVector::from_column_slice(&self.beliefs)
    }
    fn counts(&self) -> DVector<f32> {
        DVector::from_column_slice(&self.accepted)
    }
    /// Other valid beliefs: these shares of the target.
    fn at(&self, shares: &[f32]) -> DVector<f32> {
        DVector::from_fn(self.target.len(), |c, _| self.target[c] * shares[c])
    }
}

fn user() -> impl Strategy<Value = TestUser> {
    (1_usize..=9).prop_flat_map(user_of)
}

/// Targets of any skew that sum to at most 1 in `f32`. Beliefs are 0, small, anything, or the target.
fn user_of(clusters: usize) -> impl Strategy<Value = TestUser> {
    let share = prop_oneof![Just(0.0_f32), Just(1.0), Just(1e-4), 0.0_f32..=1.0];
    let cluster = (0.0_f32..=1.0, share, prop_oneof![Just(0_u8), 0_u8..20]);
    (vec(cluster, clusters), 0.05_f32..=1.0).prop_map(|(clusters, fullness)| {
        let sum: f32 = clusters.iter().map(|(weight, ..)| weight + 1e-3).sum();
        let mut target: Vec<f32> = clusters.iter().map(|(weight, ..)| (weight + 1e-3) / sum * fullness).collect();
        while in_order(&target) > 1.0 {
            target[0] = target[0].next_down();
        }
        let beliefs = target.iter().zip(&clusters).map(|(target, (_, share, _))| target * share).collect();
        TestUser { target, beliefs, accepted: clusters.iter().map(|&(.., count)| f32::from(count)).collect() }
    })
}

fn rule() -> impl Strategy<Value = Reward<f32>> {
    let kind = prop_oneof![
        Just(RewardForm::Strict),
        Just(RewardForm::Potential),
        (-2.0_f32..2.0, -2.0_f32..2.0).prop_map(|(maintenance_factor, exploration_bonus)| RewardForm::Hybrid {
            maintenance_factor,
            exploration_bonus
        }),
    ];
    let score = prop_oneof![Just(BeliefScore::Combined), Just(BeliefScore::Distance)];
    let threshold = prop_oneof![Just(0.0_f32), 0.0_f32..0.1];
    (kind, score, 0.0_f32..200.0, 0.1_f32..200.0, threshold).prop_map(
        |(kind, score, scale, max, improvement_threshold)| Reward {
            kind,
            score,
            scale,
            max,
            improvement_threshold,
        },
    )
}

fn rule_in_f64(rule: &Reward<f32>) -> Reward<f64> {
    Reward {
        kind: match rule.kind {
            RewardForm::Strict => RewardForm::Strict,
            RewardForm::Potential => RewardForm::Potential,
            RewardForm::Hybrid { maintenance_factor, exploration_bonus } => RewardForm::Hybrid {
                maintenance_factor: f64::from(maintenance_factor),
                exploration_bonus: f64::from(exploration_bonus),
            },
        },
        score: rule.score,
        scale: f64::from(rule.scale),
        max: f64::from(rule.max),
        improvement_threshold: f64::from(rule.improvement_threshold),
    }
}

fn user_model(reward: Reward<f32>) -> UserModel<f32> {
    let acceptance = Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 1e4, baseline: 0.1 };
    UserModel { acceptance, belief_increment: 0.01, reward }
}

/// Every setting that a configuration can have.
fn acceptance() -> impl Strategy<Value = Acceptance<f32>> {
    let max_distance = prop_oneof![Just(5.0_f32), Just(f32::MIN_POSITIVE), Just(f32::MAX), 0.1_f32..100.0];
    let scale = prop_oneof![Just(10_000.0_f32), Just(0.0), Just(f32::MAX), 0.0_f32..1e6];
    let by_belief =
        (max_distance, scale, 0.0_f32..=1.0).prop_map(|(max_cluster_distance, sigmoid_scale, baseline)| {
            Acceptance::Belief { max_cluster_distance, sigmoid_scale, baseline }
        });
    prop_oneof![1 => (0.0_f32..=1.0).prop_map(Acceptance::Fixed), 9 => by_belief]
}

/// One of few scores, with both zeros and both infinities.
fn coarse_score() -> impl Strategy<Value = f32> {
    let special = select(vec![-0.0_f32, 0.0, f32::INFINITY, f32::NEG_INFINITY]);
    prop_oneof![4 => special, 1 => (-2_i8..3).prop_map(f32::from)]
}

/// The items `0..count` in any order.
fn permutation(count: u32) -> impl Strategy<Value = Vec<u32>> {
    Just((0..count).collect::<Vec<_>>()).prop_shuffle()
}

fn small_or_any() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0_f32), 0.0_f32..2e-3, 0.0_f32..=1.0]
}

fn any_distance() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0_f32), Just(f32::MAX), 0.0_f32..6.0, 0.0_f32..1e30]
}

fn cluster_and_distance(item: u32) -> (usize, f32) {
    ((item % 5) as usize, item as f32 * 0.3)
}

fn in_order(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |sum, value| sum + value)
}

fn wide(values: &[f32]) -> DVector<f64> {
    DVector::from_iterator(values.len(), values.iter().map(|value| value.to_f64()))
}

fn bits(values: &DVector<f32>) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
