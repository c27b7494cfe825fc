//! One user's step on any bits: no panic, and on values that a world and a plan allow, every invariant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nalgebra::DVector;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::belief::{distance, update};
use recsim_core::model::Tally;
use recsim_core::session::metrics::pp1_distance;
use recsim_core::model::reward::{RewardForm, Reward, BeliefScore};

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    /// Belief, target, count and distance of each cluster.
    clusters: Vec<(f32, f32, u8, f32)>,
    increment: f32,
    /// Maximum distance, scale, baseline.
    acceptance: [f32; 3],
    kind: u8,
    /// Scale, maximum, threshold, maintenance factor, exploration bonus.
    reward: [f32; 5],
}

fuzz_target!(|input: Input| {
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
    let kind = match input.kind % 3 {
        0 => RewardForm::Strict,
        1 => RewardForm::Potential,
        _ => RewardForm::Hybrid { maintenance_factor, exploration_bonus },
    };
    let score = if input.kind < 128 { BeliefScore::Combined } else { BeliefScore::Distance };
    let reward = Reward { kind, score, scale, max, improvement_threshold };

    let mut after = before.clone();
    update(&mut after, &counts, &target, input.increment);
    let worth = reward.of(&before, &after, &target);
    let tally = Tally::of_user(20, 3, &reward, worth, &before, &after, &target);
    let pentagon = pp1_distance(after.as_slice(), target.as_slice());

    let is_share = |x: &f32| (0.0..=1.0).contains(x);
    let sum = |values: &DVector<f32>| values.iter().fold(0.0_f32, |sum, x| sum + x);
    let valid_user = target.iter().chain([&input.increment]).all(is_share)
        && sum(&target) > 0.0
        && sum(&target) <= 1.0
        && before.iter().zip(target.iter()).all(|(b, most)| (0.0..=*most).contains(b));
    if !valid_user {
        return;
    }
    assert!(after.iter().zip(target.iter()).all(|(b, most)| (0.0..=*most).contains(b)), "{after} of {target}");
    assert!(sum(&after) <= 1.0);
    assert!(counts.iter().any(|&n| n > 0.0) || after == before);
    assert!(distance(&after, &target).is_finite() && (0.0..=2.0).contains(&pentagon));
    let positive = |x: f32| (f32::MIN_POSITIVE..=f32::MAX).contains(&x);
    let not_negative = |x: f32| (0.0..=f32::MAX).contains(&x);
    if positive(max_cluster_distance) && not_negative(sigmoid_scale) && is_share(&baseline) {
        for (&belief, &(.., away)) in after.iter().zip(&input.clusters) {
            if not_negative(away) {
                assert!(is_share(&acceptance.probability(belief, away)), "{acceptance:?} of {belief} at {away}");
            }
        }
    }
    let finite = maintenance_factor.is_finite() && exploration_bonus.is_finite();
    if positive(max) && not_negative(scale) && not_negative(improvement_threshold) && finite {
        assert!((-max..=max).contains(&worth), "{reward:?} pays {worth}");
        // A multiple of the bound is given as a sum of products, each rounded.
        assert!(tally.reward.value().abs() <= 1.0 + 1e-6 && tally.distance.value() <= 1.0 + 1e-6, "{tally:?}");
        for share in [tally.engagement, tally.alignment, tally.score] {
            assert!((0.0..=1.0).contains(&share.value()), "{tally:?}");
        }
    }
});
