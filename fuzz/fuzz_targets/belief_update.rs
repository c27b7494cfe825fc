//! One user's step on any bits: it does not panic, and keeps every invariant on values that a world and a plan allow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nalgebra::DVector;
use recsim_core::model::Tally;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::belief::{distance, update};
use recsim_core::model::reward::{BeliefScore, Reward, RewardForm};
use recsim_core::session::metrics::pp1_distance;

#[derive(Debug, arbitrary::Arbitrary)]
struct BeliefUpdateInput {
    /// Belief, target, count and distance of each cluster.
    clusters: Vec<(f32, f32, u8, f32)>,
    increment: f32,
    /// Maximum distance, scale, baseline.
    acceptance: [f32; 3],
    form: u8,
    /// Scale, maximum, threshold, maintenance factor, exploration bonus.
    reward: [f32; 5],
}

fuzz_target!(|input: BeliefUpdateInput| {
    if input.clusters.is_empty() || input.clusters.len() > 16 {
        return;
    }
    let column = |of: fn(&(f32, f32, u8, f32)) -> f32| {
        DVector::from_iterator(input.clusters.len(), input.clusters.iter().map(of))
    };
    let (before, target, counts) = (column(|c| c.0), column(|c| c.1), column(|c| f32::from(c.2)));
    let [max_cluster_distance, sigmoid_scale, baseline] = input.acceptance;
    let acceptance = Acceptance::Belief { max_cluster_distance, sigmoid_scale, baseline };
    let [scale, max, improvement_threshold, maintenance_factor, exploration_bonus] = input.reward;
    let form = match input.form % 3 {
        0 => RewardForm::Strict,
        1 => RewardForm::Potential,
        _ => RewardForm::Hybrid { maintenance_factor, exploration_bonus },
    };
    let score = if input.form < 128 { BeliefScore::Combined } else { BeliefScore::Distance };
    let reward = Reward { kind: form, score, scale, max, improvement_threshold };

    let mut after = before.clone();
    update(&mut after, &counts, &target, input.increment);
    let value = reward.of(&before, &after, &target);
    let tally = Tally::of_user(20, 3, &reward, value, &before, &after, &target);
    let pp1 = pp1_distance(after.as_slice(), target.as_slice());

    let is_share = |x: &f32| (0.0..=1.0).contains(x);
    let sum = |values: &DVector<f32>| values.iter().fold(0.0_f32, |sum, x| sum + x);
    let valid_user = target.iter().chain([&input.increment]).all(is_share)
        && sum(&target) > 0.0
        && sum(&target) <= 1.0
        && before.iter().zip(target.iter()).all(|(b, max)| (0.0..=*max).contains(b));
    if !valid_user {
        return;
    }
    assert!(after.iter().zip(target.iter()).all(|(b, max)| (0.0..=*max).contains(b)), "{after} of {target}");
    assert!(sum(&after) <= 1.0);
    assert!(counts.iter().any(|&n| n > 0.0) || after == before);
    assert!(distance(&after, &target).is_finite() && (0.0..=2.0).contains(&pp1));
    let positive = |x: f32| (f32::MIN_POSITIVE..=f32::MAX).contains(&x);
    let not_negative = |x: f32| (0.0..=f32::MAX).contains(&x);
    if positive(max_cluster_distance) && not_negative(sigmoid_scale) && is_share(&baseline) {
        for (&belief, &(.., item_distance)) in after.iter().zip(&input.clusters) {
            if not_negative(item_distance) {
                assert!(
                    is_share(&acceptance.probability(belief, item_distance)),
                    "{acceptance:?} of {belief} at {item_distance}"
                );
            }
        }
    }
    let finite = maintenance_factor.is_finite() && exploration_bonus.is_finite();
    if positive(max) && not_negative(scale) && not_negative(improvement_threshold) && finite {
        assert!((-max..=max).contains(&value), "{reward:?} gives {value}");
        // These are sums of rounded products, so that they may exceed 1 slightly.
        assert!(tally.reward.value().abs() <= 1.0 + 1e-6 && tally.distance.value() <= 1.0 + 1e-6, "{tally:?}");
        for share in [tally.engagement, tally.alignment, tally.score] {
            assert!((0.0..=1.0).contains(&share.value()), "{tally:?}");
        }
    }
});
