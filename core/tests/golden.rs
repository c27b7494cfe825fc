//! The formulas against the golden vectors in `testdata/` (`docs/spec.md`, section 10, Golden vectors).
//!
//! `scripts/golden.py` computes the vectors independently of this code. They agree bit for bit where every operation is
//! correctly rounded, and otherwise within a tolerance whose derivation stands beside it.
#![cfg(feature = "alloc")]

use nalgebra::DVector;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::belief;
use recsim_core::model::math::{Real, sigmoid};
use recsim_core::model::reward::{BeliefScore, Reward, RewardForm};
use recsim_core::model::rng::{Key, Purpose, index, normal_pair, uniform};
use recsim_core::model::slate::{TopK, fill_from_pretrained, normalize, score};
use recsim_core::session::metrics::pp1_distance;
use recsim_core::td3::adam::{Adam, clip_coefficient};
use recsim_core::td3::{dropout_threshold, keep_mask};
use serde::Deserialize;

/// Half the distance from 1 to the next `f32`: the relative error of one rounding.
const ULP: f64 = 1.0 / (1 << 24) as f64;

/// The error of an `f32` probability: 2 roundings in the nearness, at most 3 units in the sigmoid (from its argument,
/// the exponential, the sum and the quotient), 1 in the product, and 1 in the sum, which can be 2 before it is
/// clamped.
const PROBABILITY_TOLERANCE: f64 = 8.0 * ULP;

#[test]
fn acceptance_is_golden() {
    let golden: AcceptanceVectors = read(include_str!("../../testdata/acceptance.json"));
    for row in &golden.table {
        let acceptance = Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 1e4, baseline: 0.1 };
        let p: f64 = acceptance.probability(row.belief, row.distance);
        assert!((p - row.probability).abs() <= 5e-5, "{row:?}: {p}");
    }
    for row in &golden.cases {
        let p64 = row.acceptance::<f64>().probability(row.belief, row.distance);
        assert!((p64 - row.probability).abs() <= PROBABILITY_TOLERANCE * f64::EPSILON / ULP, "{row:?}: {p64}");
        let p32 = row.acceptance::<f32>().probability(row.belief as f32, row.distance as f32);
        assert!((f64::from(p32) - row.probability).abs() <= PROBABILITY_TOLERANCE, "{row:?}: {p32}");
    }
    for row in &golden.sigmoid {
        assert!((sigmoid(row.x) - row.sigmoid).abs() <= 4.0 * f64::EPSILON, "{row:?}");
        assert!((f64::from(sigmoid(row.x as f32)) - row.sigmoid).abs() <= 3.0 * ULP, "{row:?}");
    }
}

#[test]
fn belief_update_is_golden_bit_for_bit() {
    let golden: Cases<BeliefCase> = read(include_str!("../../testdata/belief_update.json"));
    for case in golden.cases {
        let mut beliefs = DVector::from_vec(case.beliefs);
        let (counts, target) = (DVector::from_vec(case.accepted), DVector::from_vec(case.target));
        belief::update(&mut beliefs, &counts, &target, case.increment);
        assert_eq!(bits(beliefs.as_slice()), bits(&case.after), "{}", case.name);
    }
}

#[test]
fn reward_and_score_are_golden_bit_for_bit() {
    let golden: RewardVectors = read(include_str!("../../testdata/reward.json"));
    for case in golden.cases {
        let actual = case.rule().of(&vector(&case.before), &vector(&case.after), &vector(&case.target));
        let name = format!("{}, {}, {}", case.name, case.form, case.score);
        assert_eq!(actual.to_bits(), case.reward.to_bits(), "{name}: {actual}, expected {}", case.reward);
    }
    for row in golden.scores {
        let of = |score: BeliefScore| score.of(&vector(&row.beliefs), &vector(&row.target)).to_bits();
        assert_eq!(
            (of(BeliefScore::Combined), of(BeliefScore::Distance)),
            (row.combined.to_bits(), row.distance.to_bits())
        );
    }
}

#[test]
fn slate_is_golden_bit_for_bit() {
    let golden: SlateVectors = read(include_str!("../../testdata/slate.json"));
    for row in golden.scores {
        assert_eq!(score(&row.action, &row.row).to_bits(), row.score.to_bits());
    }
    for mut row in golden.normalized_rows {
        normalize(&mut row.row);
        assert_eq!(bits(&row.row), bits(&row.normalized));
    }
    for case in golden.slates {
        let mut slate = vec![u32::MAX; case.slate.len()];
        let mut scores = vec![0.0; case.rl_slots];
        let mut best = TopK::new(&mut slate[..case.rl_slots], &mut scores);
        for (item, row) in case.items.iter().enumerate() {
            best.push(item as u32, score(&case.action, row));
        }
        assert_eq!(fill_from_pretrained(&mut slate, case.rl_slots, &case.pretrained), slate.len(), "{}", case.name);
        assert_eq!(slate, case.slate, "{}", case.name);
    }
}

#[test]
fn rng_is_golden() {
    let golden: RngVectors = read(include_str!("../../testdata/rng.json"));
    for row in golden.keys {
        let key = row.path.iter().fold(Key::new(row.seed, purpose(&row.purpose)), |key, &at| key.fold_in(at));
        assert_eq!(key.bits(), row.bits, "seed {}, {}, {:?}", row.seed, row.purpose, row.path);
    }
    for row in golden.draws {
        let key = row.path.iter().fold(Key::new(0, Purpose::Acceptance), |key, &at| key.fold_in(at));
        assert_eq!(uniform(key).to_bits(), row.uniform.to_bits());
        assert_eq!(index(key, row.length), row.index);
        // Logarithm, sine and cosine have an error of one ulp (2 units) each, and the root takes half of the
        // logarithm's. With the roundings of root, product and -2x this is at most 5 units.
        for (actual, expected) in normal_pair(key).into_iter().zip(row.normal_pair) {
            let error = (f64::from(actual) - expected).abs();
            assert!(error <= 5.0 * ULP * expected.abs(), "{actual}, expected {expected}");
        }
    }
    let layer = Key::new(9, Purpose::Dropout).fold_in(5).fold_in(1).fold_in(2);
    for row in golden.dropout {
        assert_eq!(dropout_threshold(row.share), row.threshold);
        assert_eq!(keep_mask(layer.fold_in(row.row), row.column_of_four, row.threshold), row.keep_mask);
    }
}

#[test]
fn pp1_distance_is_golden() {
    let golden: Cases<Pp1DistanceCase> = read(include_str!("../../testdata/pp1_distance.json"));
    for case in golden.cases {
        // K products and sums of values at most 1, computed in two ways.
        let tolerance = 4.0 * (case.beliefs.len() + 1) as f64 * f64::EPSILON;
        assert!((pp1_distance(&case.beliefs, &case.target) - case.distance).abs() <= tolerance);
    }
}

#[test]
fn adam_is_golden() {
    let golden: Cases<AdamCase> = read(include_str!("../../testdata/adam.json"));
    for case in golden.cases {
        let (mut parameter, mut first, mut second) = (case.start, 0.0, 0.0);
        for (step, (&gradient, &expected)) in (1..).zip(case.gradients.iter().zip(&case.parameters)) {
            let clip = clip_coefficient(gradient.abs(), case.max_grad_norm);
            Adam::new(case.learning_rate).step(step, clip).apply(&mut parameter, &mut first, &mut second, gradient);
            // `1 - 0.999^t` loses up to 3 digits to cancellation (1000 ulps of 1), and a step is a few learning rates.
            let tolerance = 1e4 * f64::EPSILON * f64::from(step as u32) * case.learning_rate + 8.0 * f64::EPSILON;
            assert!((parameter - expected).abs() <= tolerance, "step {step}: {parameter}, expected {expected}");
        }
        assert!((first - case.first).abs() <= 1e-14 * case.first.abs().max(1e-3));
        assert!((second - case.second).abs() <= 1e-14 * case.second.abs().max(1e-3));
    }
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("testdata is as scripts/golden.py writes it")
}

fn vector(values: &[f32]) -> DVector<f32> {
    DVector::from_column_slice(values)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn purpose(name: &str) -> Purpose {
    match name {
        "Acceptance" => Purpose::Acceptance,
        "Exploration" => Purpose::Exploration,
        "Initial" => Purpose::InitialWeights,
        "Sample" => Purpose::ReplaySample,
        "TargetNoise" => Purpose::TargetNoise,
        "Dropout" => Purpose::Dropout,
        "World" => Purpose::World,
        "EvaluationAcceptance" => Purpose::EvaluationAcceptance,
        other => panic!("`{other}` is not a purpose"),
    }
}

#[derive(Deserialize)]
struct Cases<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct AcceptanceVectors {
    table: Vec<AcceptanceRow>,
    cases: Vec<AcceptanceCase>,
    sigmoid: Vec<SigmoidRow>,
}

#[derive(Debug, Deserialize)]
struct AcceptanceRow {
    belief: f64,
    distance: f64,
    probability: f64,
}

#[derive(Debug, Deserialize)]
struct AcceptanceCase {
    belief: f64,
    distance: f64,
    max_cluster_distance: f64,
    sigmoid_scale: f64,
    baseline: f64,
    probability: f64,
}

impl AcceptanceCase {
    fn acceptance<T: Real>(&self) -> Acceptance<T> {
        Acceptance::Belief {
            max_cluster_distance: T::from_f64(self.max_cluster_distance),
            sigmoid_scale: T::from_f64(self.sigmoid_scale),
            baseline: T::from_f64(self.baseline),
        }
    }
}

#[derive(Debug, Deserialize)]
struct SigmoidRow {
    x: f64,
    sigmoid: f64,
}

#[derive(Deserialize)]
struct BeliefCase {
    name: String,
    beliefs: Vec<f32>,
    accepted: Vec<f32>,
    target: Vec<f32>,
    increment: f32,
    after: Vec<f32>,
}

#[derive(Deserialize)]
struct RewardVectors {
    cases: Vec<RewardCase>,
    scores: Vec<ScoreRow>,
}

#[derive(Deserialize)]
struct RewardCase {
    name: String,
    form: String,
    score: String,
    target: Vec<f32>,
    before: Vec<f32>,
    after: Vec<f32>,
    scale: f32,
    max: f32,
    threshold: f32,
    maintenance_factor: f32,
    exploration_bonus: f32,
    reward: f32,
}

impl RewardCase {
    fn rule(&self) -> Reward<f32> {
        let &Self { maintenance_factor, exploration_bonus, .. } = self;
        Reward {
            kind: match self.form.as_str() {
                "strict" => RewardForm::Strict,
                "hybrid" => RewardForm::Hybrid { maintenance_factor, exploration_bonus },
                _ => RewardForm::Potential,
            },
            score: if self.score == "combined" { BeliefScore::Combined } else { BeliefScore::Distance },
            scale: self.scale,
            max: self.max,
            improvement_threshold: self.threshold,
        }
    }
}

#[derive(Deserialize)]
struct ScoreRow {
    beliefs: Vec<f32>,
    target: Vec<f32>,
    combined: f32,
    distance: f32,
}

#[derive(Deserialize)]
struct SlateVectors {
    scores: Vec<ScoredRow>,
    #[serde(rename = "normalise")]
    normalized_rows: Vec<NormalizedRow>,
    slates: Vec<SlateCase>,
}

#[derive(Deserialize)]
struct ScoredRow {
    action: Vec<f32>,
    row: Vec<f32>,
    score: f32,
}

#[derive(Deserialize)]
struct NormalizedRow {
    row: Vec<f32>,
    #[serde(rename = "normalised")]
    normalized: Vec<f32>,
}

#[derive(Deserialize)]
struct SlateCase {
    name: String,
    items: Vec<Vec<f32>>,
    action: Vec<f32>,
    #[serde(rename = "chosen")]
    rl_slots: usize,
    pretrained: Vec<u32>,
    slate: Vec<u32>,
}

#[derive(Deserialize)]
struct RngVectors {
    keys: Vec<KeyRow>,
    draws: Vec<DrawRow>,
    dropout: Vec<DropoutRow>,
}

#[derive(Deserialize)]
struct KeyRow {
    seed: u64,
    purpose: String,
    path: Vec<u64>,
    bits: u64,
}

#[derive(Deserialize)]
struct DrawRow {
    path: Vec<u64>,
    uniform: f32,
    length: u64,
    index: u64,
    normal_pair: [f64; 2],
}

#[derive(Deserialize)]
struct DropoutRow {
    share: f64,
    threshold: u16,
    row: u64,
    column_of_four: u64,
    #[serde(rename = "kept")]
    keep_mask: u8,
}

#[derive(Deserialize)]
struct Pp1DistanceCase {
    beliefs: Vec<f32>,
    target: Vec<f32>,
    distance: f64,
}

#[derive(Deserialize)]
struct AdamCase {
    learning_rate: f64,
    #[serde(rename = "grad_clip_norm")]
    max_grad_norm: f64,
    start: f64,
    gradients: Vec<f64>,
    parameters: Vec<f64>,
    first: f64,
    second: f64,
}
