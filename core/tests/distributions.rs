//! The distributions of the random draws, and the independence of draws at different coordinates.
//!
//! Seeds are fixed, so the results do not change from run to run. Every threshold is a quantile that a fair stream
//! exceeds with one seed in a million. There are about 40 comparisons.

use nalgebra::SVector;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::reward::{BeliefScore, Reward, RewardForm};
use recsim_core::model::rng::{Key, Purpose, index, normal_pair, uniform};
use recsim_core::model::user::{UserModel, step};
#[cfg(feature = "alloc")]
use recsim_core::td3::{dropout_threshold, keep_mask};

const DRAWS: u64 = 1 << 20;
/// The standard normal quantiles of 1 - 1e-6, and of 1 - 5e-7 for a two-sided test.
const ONE_SIDED: f64 = 4.7534;
const TWO_SIDED: f64 = 4.8916;

#[test]
fn uniform_is_even_along_every_coordinate() {
    for (name, key) in walks() {
        chi_square(name, 256, (0..DRAWS).map(|n| (uniform(key(n)) * 256.0) as usize));
    }
}

#[test]
fn key_bits_are_even_in_every_16_bits() {
    let key = Key::new(3, Purpose::Acceptance);
    for shift in [0, 16, 32, 48] {
        chi_square("16 bits", 1 << 12, (0..DRAWS).map(|n| (key.fold_in(n).bits() >> shift) as usize & 0xfff));
    }
}

#[test]
fn uniform_draws_at_neighbouring_coordinates_are_independent() {
    for (name, key) in walks() {
        let bin = |n| (uniform(key(n)) * 16.0) as usize;
        chi_square(name, 256, (0..DRAWS).map(|n| 16 * bin(2 * n) + bin(2 * n + 1)));
    }
}

#[test]
fn keys_of_other_purposes_seeds_and_orders_are_independent() {
    let pairs: [(&str, Walk<[Key; 2]>); 4] = [
        ("purposes", |n| [Purpose::Acceptance, Purpose::EvaluationAcceptance].map(|p| Key::new(0, p).fold_in(n))),
        ("seeds", |n| [0, 1].map(|seed| Key::new(seed, Purpose::Acceptance).fold_in(n))),
        ("levels", |n| {
            [
                Key::new(0, Purpose::ReplaySample).fold_in(n),
                Key::new(0, Purpose::ReplaySample).fold_in(n).fold_in(0),
            ]
        }),
        ("order", |n| {
            let key = Key::new(0, Purpose::Acceptance);
            [key.fold_in(1).fold_in(n + 2), key.fold_in(n + 2).fold_in(1)]
        }),
    ];
    for (name, keys) in pairs {
        chi_square(
            name,
            256,
            (0..DRAWS).map(|n| {
                let [a, b] = keys(n).map(|key| (uniform(key) * 16.0) as usize);
                16 * a + b
            }),
        );
    }
}

#[test]
fn index_is_even() {
    let key = Key::new(5, Purpose::ReplaySample).fold_in(1);
    for len in [2, 7, 1000] {
        chi_square("index", len, (0..DRAWS).map(|n| index(key.fold_in(n), len as u64) as usize));
    }
}

#[test]
fn normal_pair_has_the_normal_distribution_and_moments() {
    let key = Key::new(6, Purpose::Exploration);
    let pairs: Vec<[f64; 2]> = (0..DRAWS / 2).map(|n| normal_pair(key.fold_in(n)).map(f64::from)).collect();
    let all: Vec<f64> = pairs.iter().flatten().copied().collect();
    kolmogorov_smirnov(all.clone());
    let moment = |power: i32| all.iter().map(|x| x.powi(power)).sum::<f64>() / all.len() as f64;
    // The variances of x, x², x³ and x⁴ of a standard normal are 1, 2, 15 and 96.
    for (power, (expected, variance)) in (1..).zip([(0.0, 1.0), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0)]) {
        let z = (moment(power) - expected) / (variance / all.len() as f64).sqrt();
        assert!(z.abs() < TWO_SIDED, "moment {power} is off by {z} deviations");
    }
    let root = (pairs.len() as f64).sqrt();
    let products = [
        ("of a pair", pairs.iter().map(|[a, b]| a * b).sum::<f64>() / root),
        ("of a pair's squares", pairs.iter().map(|[a, b]| (a * a - 1.0) * (b * b - 1.0)).sum::<f64>() / root / 2.0),
        ("of neighbours", pairs.windows(2).map(|w| w[0][0] * w[1][0]).sum::<f64>() / root),
    ];
    for (name, z) in products {
        assert!(z.abs() < TWO_SIDED, "the correlation {name} is off by {z} deviations");
    }
}

#[test]
fn step_accepts_items_with_their_probability() {
    let user_model = UserModel::<f32> {
        acceptance: Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 1e4, baseline: 0.1 },
        belief_increment: 0.01,
        reward: Reward {
            kind: RewardForm::Potential,
            score: BeliefScore::Combined,
            scale: 1.0,
            max: 1.0,
            improvement_threshold: 0.0,
        },
    };
    let target = SVector::from([0.5_f32, 0.5]);
    let initial = SVector::from([0.0_f32, 0.0002]);
    let items = |item: u32| ((item % 2) as usize, (item / 2) as f32);
    let slate: [u32; 10] = core::array::from_fn(|item| item as u32);
    let (mut accepted_counts, users) = ([0_u64; 10], 200_000);
    let round = Key::new(8, Purpose::Acceptance).fold_in(1).fold_in(1);
    for user in 0..users {
        let (mut beliefs, mut before, mut counts, mut accepted) = (initial, initial, initial, [false; 10]);
        let draws = &mut round.fold_in(user);
        step(&user_model, &target, &items, &slate, draws, &mut beliefs, &mut before, &mut counts, &mut accepted);
        accepted_counts.iter_mut().zip(accepted).for_each(|(count, is_accepted)| *count += u64::from(is_accepted));
    }
    for (&item, &count) in slate.iter().zip(&accepted_counts) {
        let (cluster, distance) = items(item);
        let p = f64::from(user_model.acceptance.probability(initial[cluster], distance));
        let z = (count as f64 - users as f64 * p) / (users as f64 * p * (1.0 - p)).sqrt();
        assert!(z.abs() < TWO_SIDED, "item {item}: {count} of {users}, and the probability is {p}");
    }
}

#[cfg(feature = "alloc")]
#[test]
fn keep_mask_drops_units_independently_with_its_probability() {
    let layer = Key::new(9, Purpose::Dropout);
    for dropout in [0.1, 0.5] {
        let threshold = dropout_threshold(dropout);
        let mut patterns = [0_u64; 16];
        for n in 0..DRAWS {
            patterns[usize::from(keep_mask(layer.fold_in(n / 128), n % 128, threshold))] += 1;
        }
        let keep = 1.0 - f64::from(threshold) / 65_536.0;
        let probability = |pattern: usize| {
            let kept_units = pattern.count_ones() as i32;
            keep.powi(kept_units) * (1.0 - keep).powi(4 - kept_units)
        };
        chi_square_of(&format!("dropout {dropout}"), &patterns, probability);
    }
}

/// From a number to a key, or to several.
type Walk<T> = fn(u64) -> T;

/// One walk along each coordinate of an acceptance's key: item, user, round, episode, seed.
fn walks() -> [(&'static str, Walk<Key>); 5] {
    [
        ("item", |n| Key::new(0, Purpose::Acceptance).fold_in(1).fold_in(1).fold_in(0).fold_in(n)),
        ("user", |n| Key::new(0, Purpose::Acceptance).fold_in(1).fold_in(1).fold_in(n).fold_in(0)),
        ("round", |n| Key::new(0, Purpose::Acceptance).fold_in(1).fold_in(n).fold_in(0).fold_in(0)),
        ("episode", |n| Key::new(0, Purpose::Acceptance).fold_in(n).fold_in(1).fold_in(0).fold_in(0)),
        ("seed", |n| Key::new(n, Purpose::Acceptance).fold_in(1).fold_in(1).fold_in(0).fold_in(0)),
    ]
}

/// A chi-square test of `draws` in `0..bins` against even probabilities.
fn chi_square(name: &str, bins: usize, draws: impl Iterator<Item = usize>) {
    let mut counts = vec![0_u64; bins];
    draws.for_each(|bin| counts[bin] += 1);
    chi_square_of(name, &counts, |_| 1.0 / bins as f64);
}

/// A chi-square test of counts against the probability of each bin.
fn chi_square_of(name: &str, counts: &[u64], probability: impl Fn(usize) -> f64) {
    let draws: u64 = counts.iter().sum();
    let terms = counts.iter().enumerate().map(|(bin, &count)| {
        let expected = draws as f64 * probability(bin);
        (count as f64 - expected).powi(2) / expected
    });
    let (statistic, freedom) = (terms.sum::<f64>(), counts.len() as f64 - 1.0);
    // The quantile, by the approximation of Wilson and Hilferty.
    let spread = 2.0 / (9.0 * freedom);
    let max = freedom * (1.0 - spread + ONE_SIDED * spread.sqrt()).powi(3);
    assert!(statistic < max, "{name}: chi-square is {statistic}, and exceeds {max} once in a million seeds");
}

/// A Kolmogorov-Smirnov test against the standard normal distribution.
fn kolmogorov_smirnov(mut sample: Vec<f64>) {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let gaps = sample.iter().enumerate().map(|(below, x)| {
        let expected = 0.5 * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2);
        (expected - below as f64 / n).abs().max(((below + 1) as f64 / n - expected).abs())
    });
    // P(sqrt(n) D > x) is about 2 exp(-2 x²).
    let max = (2e6_f64.ln() / 2.0).sqrt() / n.sqrt();
    let widest = gaps.fold(0.0, f64::max);
    assert!(
        widest < max,
        "the distribution functions differ by {widest}, and by more than {max} once in a million seeds"
    );
}
