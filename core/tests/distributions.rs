//! Draws are distributed as they say, and draws at different coordinates know nothing of each other.
//!
//! Seeds are fixed, so a test that passes goes on passing. Every threshold is the quantile that a fair stream would exceed
//! once in a million seeds; there are about 40 comparisons here.

use nalgebra::SVector;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::reward::{BeliefScore, Reward, RewardForm};
use recsim_core::model::rng::{Key, Purpose, index, normal_pair, uniform};
use recsim_core::model::user::{UserModel, step};
use recsim_core::td3::{dropout_threshold, keep_mask};

const DRAWS: u64 = 1 << 20;
/// The standard normal quantile of 1 - 1e-6, and of 1 - 5e-7 for two sides.
const ONE_SIDE: f64 = 4.7534;
const TWO_SIDES: f64 = 4.8916;

#[test]
fn uniform_draws_fill_every_bin_evenly_along_every_coordinate() {
    for (name, key) in walks() {
        chi_square(name, 256, (0..DRAWS).map(|n| (uniform(key(n)) * 256.0) as usize));
    }
}

#[test]
fn low_and_high_bits_are_even_too() {
    let key = Key::new(3, Purpose::Acceptance);
    for shift in [0, 16, 32, 48] {
        chi_square("16 bits", 1 << 12, (0..DRAWS).map(|n| (key.fold_in(n).bits() >> shift) as usize & 0xfff));
    }
}

#[test]
fn neighbouring_draws_are_independent() {
    for (name, key) in walks() {
        let bin = |n| (uniform(key(n)) * 16.0) as usize;
        chi_square(name, 256, (0..DRAWS).map(|n| 16 * bin(2 * n) + bin(2 * n + 1)));
    }
}

#[test]
fn purposes_seeds_and_the_order_of_coordinates_make_independent_streams() {
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
fn indices_are_even() {
    let key = Key::new(5, Purpose::ReplaySample).fold_in(1);
    for length in [2, 7, 1000] {
        chi_square("index", length, (0..DRAWS).map(|n| index(key.fold_in(n), length as u64) as usize));
    }
}

#[test]
fn normals_have_the_normal_distribution_and_its_moments() {
    let key = Key::new(6, Purpose::Exploration);
    let pairs: Vec<[f64; 2]> = (0..DRAWS / 2).map(|n| normal_pair(key.fold_in(n)).map(f64::from)).collect();
    let all: Vec<f64> = pairs.iter().flatten().copied().collect();
    kolmogorov_smirnov(all.clone());
    let moment = |power: i32| all.iter().map(|x| x.powi(power)).sum::<f64>() / all.len() as f64;
    // The variances of x, x², x³ and x⁴ of a standard normal are 1, 2, 15 and 96.
    for (power, (due, variance)) in (1..).zip([(0.0, 1.0), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0)]) {
        let z = (moment(power) - due) / (variance / all.len() as f64).sqrt();
        assert!(z.abs() < TWO_SIDES, "moment {power} is off by {z} deviations");
    }
    let root = (pairs.len() as f64).sqrt();
    let products = [
        ("of a pair", pairs.iter().map(|[a, b]| a * b).sum::<f64>() / root),
        ("of a pair's squares", pairs.iter().map(|[a, b]| (a * a - 1.0) * (b * b - 1.0)).sum::<f64>() / root / 2.0),
        ("of neighbours", pairs.windows(2).map(|w| w[0][0] * w[1][0]).sum::<f64>() / root),
    ];
    for (name, z) in products {
        assert!(z.abs() < TWO_SIDES, "the correlation {name} is off by {z} deviations");
    }
}

#[test]
fn items_are_accepted_as_often_as_their_probability_says() {
    let rules = UserModel::<f32> {
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
    let begin = SVector::from([0.0_f32, 0.0002]);
    let items = |item: u32| ((item % 2) as usize, (item / 2) as f32);
    let slate: [u32; 10] = core::array::from_fn(|item| item as u32);
    let (mut taken, users) = ([0_u64; 10], 200_000);
    let round = Key::new(8, Purpose::Acceptance).fold_in(1).fold_in(1);
    for user in 0..users {
        let (mut beliefs, mut before, mut counts, mut accepted) = (begin, begin, begin, [false; 10]);
        let luck = &mut round.fold_in(user);
        step(&rules, &target, &items, &slate, luck, &mut beliefs, &mut before, &mut counts, &mut accepted);
        taken.iter_mut().zip(accepted).for_each(|(taken, accepted)| *taken += u64::from(accepted));
    }
    for (&item, &taken) in slate.iter().zip(&taken) {
        let (cluster, distance) = items(item);
        let p = f64::from(rules.acceptance.probability(begin[cluster], distance));
        let z = (taken as f64 - users as f64 * p) / (users as f64 * p * (1.0 - p)).sqrt();
        assert!(z.abs() < TWO_SIDES, "item {item}: {taken} of {users} where p is {p}");
    }
}

#[test]
fn dropout_drops_its_share_and_neighbouring_units_apart() {
    let layer = Key::new(9, Purpose::Dropout);
    for share in [0.1, 0.5] {
        let threshold = dropout_threshold(share);
        let mut patterns = [0_u64; 16];
        for n in 0..DRAWS {
            patterns[usize::from(keep_mask(layer.fold_in(n / 128), n % 128, threshold))] += 1;
        }
        let keep = 1.0 - f64::from(threshold) / 65_536.0;
        let probability = |pattern: usize| {
            let kept = pattern.count_ones() as i32;
            keep.powi(kept) * (1.0 - keep).powi(4 - kept)
        };
        chi_square_of(&format!("dropout {share}"), &patterns, probability);
    }
}

/// From a number to a key, or more.
type Walk<T> = fn(u64) -> T;

/// The ways a key runs along each level of an acceptance's coordinates: item, user, round, episode, seed.
fn walks() -> [(&'static str, Walk<Key>); 5] {
    [
        ("item", |n| Key::new(0, Purpose::Acceptance).fold_in(1).fold_in(1).fold_in(0).fold_in(n)),
        ("user", |n| Key::new(0, Purpose::Acceptance).fold_in(1).fold_in(1).fold_in(n).fold_in(0)),
        ("round", |n| Key::new(0, Purpose::Acceptance).fold_in(1).fold_in(n).fold_in(0).fold_in(0)),
        ("episode", |n| Key::new(0, Purpose::Acceptance).fold_in(n).fold_in(1).fold_in(0).fold_in(0)),
        ("seed", |n| Key::new(n, Purpose::Acceptance).fold_in(1).fold_in(1).fold_in(0).fold_in(0)),
    ]
}

fn chi_square(name: &str, bins: usize, draws: impl Iterator<Item = usize>) {
    let mut counts = vec![0_u64; bins];
    draws.for_each(|bin| counts[bin] += 1);
    chi_square_of(name, &counts, |_| 1.0 / bins as f64);
}

fn chi_square_of(name: &str, counts: &[u64], probability: impl Fn(usize) -> f64) {
    let draws: u64 = counts.iter().sum();
    let terms = counts.iter().enumerate().map(|(bin, &count)| {
        let due = draws as f64 * probability(bin);
        (count as f64 - due).powi(2) / due
    });
    let (statistic, freedom) = (terms.sum::<f64>(), counts.len() as f64 - 1.0);
    // Wilson and Hilferty's cube.
    let spread = 2.0 / (9.0 * freedom);
    let most = freedom * (1.0 - spread + ONE_SIDE * spread.sqrt()).powi(3);
    assert!(statistic < most, "{name}: chi-square {statistic}, where {most} is exceeded once in a million");
}

fn kolmogorov_smirnov(mut sample: Vec<f64>) {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let gaps = sample.iter().enumerate().map(|(below, x)| {
        let due = 0.5 * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2);
        (due - below as f64 / n).abs().max(((below + 1) as f64 / n - due).abs())
    });
    // P(sqrt(n) D > x) is about 2 exp(-2 x²).
    let most = (2e6_f64.ln() / 2.0).sqrt() / n.sqrt();
    let widest = gaps.fold(0.0, f64::max);
    assert!(
        widest < most,
        "the distribution functions are {widest} apart, where {most} is exceeded once in a million"
    );
}
