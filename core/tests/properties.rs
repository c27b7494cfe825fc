//! What always holds of the formulas, whatever the numbers.

use std::collections::VecDeque;

use nalgebra::{DVector, SVector};
use proptest::collection::vec;
use proptest::prelude::*;
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

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("../proptest-regressions/core-properties.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn beliefs_stay_between_zero_and_the_target((user, increment) in (user(), 0.0_f32..=1.0)) {
        let mut beliefs = user.beliefs();
        update(&mut beliefs, &user.counts(), &user.target(), increment);
        for (belief, most) in beliefs.iter().zip(&user.target) {
            prop_assert!((0.0..=*most).contains(belief), "{belief} of {most}");
        }
    }

    /// No ulp of slack: rounded sums never fall when a term grows, and the target's own sum is at most 1.
    #[test]
    fn beliefs_sum_to_at_most_one((user, increment) in (user(), 0.0_f32..=1.0)) {
        let mut beliefs = user.beliefs();
        update(&mut beliefs, &user.counts(), &user.target(), increment);
        prop_assert!(in_order(beliefs.as_slice()) <= 1.0);
    }

    #[test]
    fn nothing_accepted_changes_no_belief((user, increment) in (user(), 0.0_f32..=1.0)) {
        let mut beliefs = user.beliefs();
        update(&mut beliefs, &DVector::zeros(user.target.len()), &user.target(), increment);
        prop_assert_eq!(bits(&beliefs), bits(&user.beliefs()));
    }

    #[test]
    fn an_update_in_f32_is_within_budget_of_f64((user, increment) in (user(), 0.0_f32..=1.0)) {
        let mut beliefs = user.beliefs();
        update(&mut beliefs, &user.counts(), &user.target(), increment);
        let mut exact = wide(&user.beliefs);
        update(&mut exact, &wide(&user.accepted), &wide(&user.target), f64::from(increment));
        // Two roundings in `b + n * increment`; a sum of K of them adds K - 1; the quotient one more. A product or sum
        // is at most `largest`, and a division by more than 1 shrinks every error.
        let largest = (0..user.target.len()).map(|c| user.beliefs[c] + user.accepted[c] * increment).fold(1.0, f32::max);
        let budget = f64::from(largest) * (3 + user.target.len()) as f64 * ULP;
        for (narrow, exact) in beliefs.iter().zip(&exact) {
            prop_assert!((f64::from(*narrow) - exact).abs() <= budget, "{narrow} where {exact} is due, within {budget}");
        }
    }

    #[test]
    fn static_and_run_time_sizes_give_the_same_bits((user, rule) in (user_of(5), rule())) {
        let (mut of_run_time, after) = (user.beliefs(), user.beliefs());
        update(&mut of_run_time, &user.counts(), &user.target(), 0.01);
        let fixed = |values: &[f32]| SVector::<f32, 5>::from_column_slice(values);
        let mut of_static = fixed(&user.beliefs);
        update(&mut of_static, &fixed(&user.accepted), &fixed(&user.target), 0.01);
        prop_assert_eq!(bits(&of_run_time), of_static.iter().map(|b| b.to_bits()).collect::<Vec<_>>());
        let worth = rule.of(&after, &of_run_time, &user.target());
        let worth_of_static = rule.of(&fixed(&user.beliefs), &of_static, &fixed(&user.target));
        prop_assert_eq!(worth.to_bits(), worth_of_static.to_bits());
    }

    #[test]
    fn probabilities_lie_in_the_unit_interval(
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

    /// The budget is derived beside the golden vectors' (tests/golden.rs).
    #[test]
    fn probability_in_f32_is_within_budget_of_f64(
        (belief, away, scale, baseline) in (small_or_any(), 0.0_f32..8.0, 0.0_f32..1e6, 0.0_f32..=1.0),
    ) {
        let narrow = Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: scale, baseline };
        let exact = Acceptance::Belief {
            max_cluster_distance: 5.0, sigmoid_scale: f64::from(scale), baseline: f64::from(baseline),
        };
        let off = f64::from(narrow.probability(belief, away)) - exact.probability(f64::from(belief), f64::from(away));
        prop_assert!(off.abs() <= 8.0 * ULP, "off by {} units", off / ULP);
    }

    #[test]
    fn a_reward_is_clamped_and_a_number((user, after, rule) in (user(), vec(0.0_f32..=1.0, 9), rule())) {
        let after = user.at(&after);
        let worth = rule.of(&user.beliefs(), &after, &user.target());
        prop_assert!((-rule.max..=rule.max).contains(&worth));
        // The bound is of exact sums; a sum of K differences rounds by K units at most, and a tally takes twice the bound.
        prop_assert!(worth.abs() <= rule.bound() * (1.0 + 1e-5), "{worth} exceeds {}", rule.bound());
    }

    /// However small beliefs and target are, down to where squares lose their digits: shares are shares exactly, and a
    /// score by distance errs below 0 by the roundings of two sums of K and a quotient.
    #[test]
    fn scores_are_shares((user, smaller) in (user(), 0_i32..140)) {
        let by = 0.5_f32.powi(smaller);
        for (beliefs, target) in [(by, 1.0), (by, by)] {
            let (beliefs, target) = (user.beliefs() * beliefs, user.target() * target);
            for share in [alignment(&beliefs, &target), BeliefScore::Combined.of(&beliefs, &target)] {
                prop_assert!((0.0..=1.0).contains(&share), "{share}: {beliefs} of {target}");
            }
            let value = f64::from(BeliefScore::Distance.of(&beliefs, &target));
            let budget = (target.len() + 4) as f64 * 2.0 * ULP;
            prop_assert!((-budget..=1.0).contains(&value), "{value}: {beliefs} of {target}");
        }
        let at_target = f64::from(BeliefScore::Combined.of(&user.target(), &user.target()));
        prop_assert!((1.0 - at_target) <= (user.target.len() + 4) as f64 * 2.0 * ULP);
    }

    /// However users are moved, potential rewards add up to the whole way; each step errs by the roundings of two sums
    /// of K distances, a difference and a product.
    #[test]
    fn potential_rewards_telescope((user, path) in (user(), vec(vec(0.0_f32..=1.0, 9), 1..20))) {
        let rule = Reward { kind: RewardForm::Potential, score: BeliefScore::Combined, scale: 100.0, max: 1e3, improvement_threshold: 0.0 };
        let target = user.target();
        let (mut now, mut total) = (user.beliefs(), 0.0_f64);
        for place in &path {
            let next = user.at(place);
            total += f64::from(rule.of(&now, &next, &target));
            now = next;
        }
        let way = distance(&wide(&user.beliefs), &wide(&user.target)) - distance(&wide(now.as_slice()), &wide(&user.target));
        let budget = path.len() as f64 * 100.0 * (2 * user.target.len() + 4) as f64 * ULP;
        prop_assert!((total - 100.0 * way).abs() <= budget, "{total} for a way of {way}");
    }

    #[test]
    fn each_form_pays_what_its_branch_says((user, after, rule) in (user(), vec(0.0_f32..=1.0, 9), rule())) {
        let (before, target) = (user.beliefs(), user.target());
        let after = user.at(&after);
        let far = |b: &DVector<f32>, c: usize| (target[c] - b[c]).abs();
        let gained = (0..target.len()).fold(0.0, |sum, c| sum + (far(&before, c) - far(&after, c)).max(0.0));
        let delta = rule.score.of(&after, &target) - rule.score.of(&before, &target);
        let due = match rule.kind {
            RewardForm::Strict if delta < rule.improvement_threshold => 0.0,
            RewardForm::Strict => rule.scale * gained,
            RewardForm::Hybrid { exploration_bonus, .. } if (0..target.len()).any(|c| far(&after, c) < far(&before, c)) => {
                rule.scale * gained + if delta >= rule.improvement_threshold { exploration_bonus } else { 0.0 }
            }
            RewardForm::Hybrid { maintenance_factor, .. } if delta > -rule.improvement_threshold => {
                maintenance_factor * rule.score.of(&after, &target)
            }
            RewardForm::Hybrid { .. } => rule.scale * delta,
            RewardForm::Potential => rule.scale * (distance(&before, &target) - distance(&after, &target)),
        };
        prop_assert_eq!(rule.of(&before, &after, &target), due.clamp(-rule.max, rule.max));
    }

    /// Away from the thresholds, where a rounding decides the branch: gains and distances are sums of K differences with
    /// one rounding each; scores err by (K + 4) roundings at most twice over.
    #[test]
    fn rewards_in_f32_are_within_budget_of_f64((user, rule, counts) in (user(), rule(), vec(0_u8..5, 9))) {
        let (before, target) = (user.beliefs(), user.target());
        let mut after = before.clone();
        let counts = DVector::from_fn(target.len(), |c, _| f32::from(counts[c]));
        update(&mut after, &counts, &target, 0.01);
        let (wide_before, wide_after, wide_target) =
            (wide(before.as_slice()), wide(after.as_slice()), wide(target.as_slice()));
        prop_assume!(user.beliefs.iter().chain(after.iter()).all(|&b| b == 0.0 || b > 1e-15));
        let score_budget = 4.0 * (target.len() + 5) as f64 * ULP;
        let score = |b| rule.score.of(b, &wide_target);
        let delta = score(&wide_after) - score(&wide_before);
        let threshold = f64::from(rule.improvement_threshold);
        prop_assume!((delta.abs() - threshold).abs() > score_budget);
        // A cluster moves not at all or by more than a rounding of its distance.
        prop_assume!((0..target.len()).all(|c| before[c] == after[c] || (before[c] - after[c]).abs() > 1e-5));
        let exact = rule_in_f64(&rule).of(&wide_before, &wide_after, &wide_target);
        let per_unit = (2 * target.len() + 4) as f64 * ULP + score_budget;
        let budget = (f64::from(rule.scale) + 2.0) * per_unit + f64::from(rule.max) * ULP;
        let found = f64::from(rule.of(&before, &after, &target));
        prop_assert!((found - exact).abs() <= budget, "{found} where {exact} is due, within {budget}");
    }

    /// Each item's draw is its own, so the slate's order decides nothing but the order of what is reported.
    #[test]
    fn a_step_depends_on_what_was_accepted_and_not_on_its_order(
        (user, rule, seed, slate) in (user_of(5), rule(), any::<u64>(), Just((0..20_u32).collect::<Vec<_>>()).prop_shuffle()),
    ) {
        let rules = rules(rule);
        let serve = |slate: &[u32]| {
            let mut beliefs = user.beliefs();
            let (mut before, mut counts) = (beliefs.clone(), beliefs.clone());
            let mut accepted = vec![false; slate.len()];
            let mut luck = Key::new(seed, Purpose::Acceptance).fold_in(1);
            let worth = step(
                &rules, &user.target(), &cluster_and_distance, slate, &mut luck, &mut beliefs, &mut before, &mut counts,
                &mut accepted,
            );
            let mut taken: Vec<_> = slate.iter().zip(accepted).map(|(&item, taken)| (item, taken)).collect();
            taken.sort_unstable();
            (bits(&beliefs), bits(&before), bits(&counts), worth.to_bits(), taken)
        };
        let sorted: Vec<u32> = (0..20).collect();
        prop_assert_eq!(serve(&slate), serve(&sorted));
    }

    #[test]
    fn a_step_is_its_formulas_in_order((user, rule, seed) in (user_of(5), rule(), any::<u64>())) {
        let rules = rules(rule);
        let (mut beliefs, mut before, mut counts) = (user.beliefs(), user.beliefs(), user.beliefs());
        let (slate, mut accepted) = ([8, 3, 0, 17, 2], [true; 5]);
        let mut luck = Key::new(seed, Purpose::Acceptance);
        let worth = step(
            &rules, &user.target(), &cluster_and_distance, &slate, &mut luck, &mut beliefs, &mut before, &mut counts,
            &mut accepted,
        );
        let mut due = DVector::zeros(5);
        for (item, taken) in slate.into_iter().zip(accepted) {
            let (cluster, away) = cluster_and_distance(item);
            prop_assert_eq!(taken, luck.next_uniform(item) < rules.acceptance.probability(user.beliefs[cluster], away));
            due[cluster] += f32::from(u8::from(taken));
        }
        prop_assert_eq!(bits(&counts), bits(&due));
        prop_assert_eq!(bits(&before), bits(&user.beliefs()));
        let mut moved = user.beliefs();
        update(&mut moved, &due, &user.target(), rules.belief_increment);
        prop_assert_eq!(bits(&beliefs), bits(&moved));
        prop_assert_eq!(worth.to_bits(), rule.of(&user.beliefs(), &moved, &user.target()).to_bits());
    }

    #[test]
    fn a_slate_always_fills_with_distinct_items(
        (list, chosen, shown) in (Just((0..30_u32).collect::<Vec<_>>()).prop_shuffle(), 1_usize..=20, 0_usize..=10),
        chosen_items in Just((0..30_u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let shown = chosen + shown;
        let mut slate = vec![u32::MAX; shown];
        slate[..chosen].copy_from_slice(&chosen_items[..chosen]);
        prop_assert_eq!(fill_from_pretrained(&mut slate, chosen, &list[..shown]), shown);
        prop_assert_eq!(&slate[..chosen], &chosen_items[..chosen]);
        let rest: Vec<_> = list[..shown].iter().filter(|item| !slate[..chosen].contains(item)).take(shown - chosen).collect();
        prop_assert_eq!(slate[chosen..].iter().collect::<Vec<_>>(), rest);
        slate.sort_unstable();
        slate.dedup();
        prop_assert_eq!(slate.len(), shown);
    }

    /// Few distinct scores, both zeros and infinities among them, so that ties abound.
    #[test]
    fn the_best_are_the_front_of_a_stable_sort(
        scores in vec(prop_oneof![Just(-0.0_f32), Just(0.0), Just(f32::INFINITY), Just(f32::NEG_INFINITY), (-2_i8..3).prop_map(f32::from)], 0..60),
        room in 1_usize..20,
    ) {
        let (mut items, mut kept) = (vec![0; room], vec![0.0; room]);
        let mut best = TopK::new(&mut items, &mut kept);
        for (item, &score) in scores.iter().enumerate() {
            best.push(item as u32, score);
        }
        let mut due: Vec<u32> = (0..scores.len() as u32).collect();
        due.sort_by(|&a, &b| scores[b as usize].partial_cmp(&scores[a as usize]).unwrap());
        due.truncate(room);
        prop_assert_eq!(best.items(), &due[..]);
        let threshold = if due.len() < room { f32::NEG_INFINITY } else { scores[due[room - 1] as usize] };
        prop_assert_eq!(best.threshold(), threshold);
    }

    #[test]
    fn a_ring_holds_what_a_queue_would((capacity, pushes) in (1_usize..12, vec(0_usize..30, 0..12))) {
        let mut ring = ReplayIndex::new(capacity);
        let (mut places, mut queue) = (vec![None; capacity], VecDeque::new());
        let mut number = 0;
        for count in pushes {
            for place in ring.insert(count).offsets() {
                if let Some(place) = place {
                    places[place] = Some(number);
                }
                queue.push_back(number);
                if queue.len() > capacity {
                    queue.pop_front();
                }
                number += 1;
            }
            prop_assert_eq!(ring.len(), queue.len());
            // What is held are the last ones, and they fill the places that are sampled from.
            let mut held: Vec<_> = places[..ring.len()].iter().map(|place| place.unwrap()).collect();
            held.sort_unstable();
            prop_assert_eq!(held, queue.iter().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn fixed_sums_do_not_depend_on_their_order(numbers in vec(-2.0..=2.0_f64, 0..100), cut in 0_usize..100) {
        let sum = |numbers: &[f64]| numbers.iter().copied().map(ExactSum::from_f64).sum::<ExactSum>();
        let mut backwards = numbers.clone();
        backwards.reverse();
        prop_assert_eq!(sum(&numbers), sum(&backwards));
        let (left, right) = numbers.split_at(cut.min(numbers.len()));
        prop_assert_eq!(sum(&numbers), sum(left) + sum(right));
        let plain: f64 = numbers.iter().sum();
        // Half a unit of 2^-32 a number, and the plain sum's own roundings.
        prop_assert!((sum(&numbers).value() - plain).abs() <= numbers.len() as f64 * (0.5 / 4_294_967_296.0 + 200.0 * f64::EPSILON));
    }
}

/// Every float from where the sigmoid leaves 1/2 to beyond where it reaches 1: with it, no probability falls.
#[test]
fn the_sigmoid_never_falls_from_one_float_to_the_next() {
    let mut last = sigmoid(0.0_f32);
    for bits in (ULP as f32 / 4.0).to_bits()..=18.0_f32.to_bits() {
        let next = sigmoid(f32::from_bits(bits));
        assert!(next >= last, "at {}", f32::from_bits(bits));
        last = next;
    }
    assert_eq!((last, sigmoid(0.0_f32), sigmoid(ULP as f32 / 4.0)), (1.0, 0.5, 0.5));
}

/// A user with valid beliefs, and acceptances of one slate.
#[derive(Clone, Debug)]
struct User {
    target: Vec<f32>,
    beliefs: Vec<f32>,
    accepted: Vec<f32>,
}

impl User {
    fn target(&self) -> DVector<f32> {
        DVector::from_column_slice(&self.target)
    }
    fn beliefs(&self) -> DVector<f32> {
        DVector::from_column_slice(&self.beliefs)
    }
    fn counts(&self) -> DVector<f32> {
        DVector::from_column_slice(&self.accepted)
    }
    /// Other valid beliefs: shares of the target.
    fn at(&self, shares: &[f32]) -> DVector<f32> {
        DVector::from_fn(self.target.len(), |c, _| self.target[c] * shares[c])
    }
}

fn user() -> impl Strategy<Value = User> {
    (1_usize..=9).prop_flat_map(user_of)
}

/// Targets of any skew that sum to at most 1 in `f32`; beliefs none, tiny, anywhere or full.
fn user_of(clusters: usize) -> impl Strategy<Value = User> {
    let share = prop_oneof![Just(0.0_f32), Just(1.0), Just(1e-4), 0.0_f32..=1.0];
    let cluster = (0.0_f32..=1.0, share, prop_oneof![Just(0_u8), 0_u8..20]);
    (vec(cluster, clusters), 0.05_f32..=1.0).prop_map(|(clusters, fullness)| {
        let sum: f32 = clusters.iter().map(|(weight, ..)| weight + 1e-3).sum();
        let mut target: Vec<f32> = clusters.iter().map(|(weight, ..)| (weight + 1e-3) / sum * fullness).collect();
        while in_order(&target) > 1.0 {
            target[0] = target[0].next_down();
        }
        let beliefs = target.iter().zip(&clusters).map(|(most, (_, share, _))| most * share).collect();
        User { target, beliefs, accepted: clusters.iter().map(|&(.., count)| f32::from(count)).collect() }
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

fn rules(reward: Reward<f32>) -> UserModel<f32> {
    let acceptance = Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 1e4, baseline: 0.1 };
    UserModel { acceptance, belief_increment: 0.01, reward }
}

/// Every setting that a configuration may hold.
fn acceptance() -> impl Strategy<Value = Acceptance<f32>> {
    let most = prop_oneof![Just(5.0_f32), Just(f32::MIN_POSITIVE), Just(f32::MAX), 0.1_f32..100.0];
    let scale = prop_oneof![Just(10_000.0_f32), Just(0.0), Just(f32::MAX), 0.0_f32..1e6];
    let by_belief = (most, scale, 0.0_f32..=1.0).prop_map(|(max_cluster_distance, sigmoid_scale, baseline)| {
        Acceptance::Belief { max_cluster_distance, sigmoid_scale, baseline }
    });
    prop_oneof![1 => (0.0_f32..=1.0).prop_map(Acceptance::Fixed), 9 => by_belief]
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
