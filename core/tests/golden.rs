//! The formulas give the values in `testdata/`, which `scripts/golden.py` computes apart from this code: bit for bit
//! where only correctly rounded operations occur, else within a budget derived beside it.

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

/// Of an `f32` probability: 2 roundings in nearness, at most 3 units in the sigmoid (the argument's, `exp`'s, the sum's
/// and the quotient's error), one in the product, one in the sum, which may reach 2 before it is clamped.
const PROBABILITY_BUDGET: f64 = 8.0 * ULP;

#[test]
fn acceptance_probabilities_are_golden() {
    let golden: AcceptanceTables = read(include_str!("../../testdata/acceptance.json"));
    for row in &golden.table {
        let acceptance = Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 1e4, baseline: 0.1 };
        let p: f64 = acceptance.probability(row.belief, row.distance);
        assert!((p - row.probability).abs() <= 5e-5, "{row:?}: {p}");
    }
    for row in &golden.cases {
        let p64 = row.acceptance::<f64>().probability(row.belief, row.distance);
        assert!((p64 - row.probability).abs() <= PROBABILITY_BUDGET * f64::EPSILON / ULP, "{row:?}: {p64}");
        let p32 = row.acceptance::<f32>().probability(row.belief as f32, row.distance as f32);
        assert!((f64::from(p32) - row.probability).abs() <= PROBABILITY_BUDGET, "{row:?}: {p32}");
    }
    for row in &golden.sigmoid {
        assert!((sigmoid(row.x) - row.sigmoid).abs() <= 4.0 * f64::EPSILON, "{row:?}");
        assert!((f64::from(sigmoid(row.x as f32)) - row.sigmoid).abs() <= 3.0 * ULP, "{row:?}");
    }
}

#[test]
fn belief_updates_are_golden_to_the_bit() {
    let golden: Cases<BeliefCase> = read(include_str!("../../testdata/belief_update.json"));
    for case in golden.cases {
        let mut beliefs = DVector::from_vec(case.beliefs);
        let (counts, target) = (DVector::from_vec(case.accepted), DVector::from_vec(case.target));
        belief::update(&mut beliefs, &counts, &target, case.increment);
        assert_eq!(bits(beliefs.as_slice()), bits(&case.after), "{}", case.name);
    }
}

#[test]
fn rewards_and_scores_are_golden_to_the_bit() {
    let golden: RewardTables = read(include_str!("../../testdata/reward.json"));
    for case in golden.cases {
        let found = case.rule().of(&vector(&case.before), &vector(&case.after), &vector(&case.target));
        let name = format!("{}, {}, {}", case.name, case.form, case.score);
        assert_eq!(found.to_bits(), case.reward.to_bits(), "{name}: {found} where {} is due", case.reward);
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
fn slates_are_golden_to_the_bit() {
    let golden: SlateTables = read(include_str!("../../testdata/slate.json"));
    for row in golden.scores {
        assert_eq!(score(&row.action, &row.row).to_bits(), row.score.to_bits());
    }
    for mut row in golden.normalise {
        normalize(&mut row.row);
        assert_eq!(bits(&row.row), bits(&row.normalised));
    }
    for case in golden.slates {
        let mut slate = vec![u32::MAX; case.slate.len()];
        let mut scores = vec![0.0; case.chosen];
        let mut best = TopK::new(&mut slate[..case.chosen], &mut scores);
        for (item, row) in case.items.iter().enumerate() {
            best.push(item as u32, score(&case.action, row));
        }
        assert_eq!(fill_from_pretrained(&mut slate, case.chosen, &case.pretrained), slate.len(), "{}", case.name);
        assert_eq!(slate, case.slate, "{}", case.name);
    }
}

#[test]
fn draws_are_golden() {
    let golden: RngTables = read(include_str!("../../testdata/rng.json"));
    for row in golden.keys {
        let key = row.path.iter().fold(Key::new(row.seed, purpose(&row.purpose)), |key, &at| key.fold_in(at));
        assert_eq!(key.bits(), row.bits, "seed {}, {}, {:?}", row.seed, row.purpose, row.path);
    }
    for row in golden.draws {
        let key = row.path.iter().fold(Key::new(0, Purpose::Acceptance), |key, &at| key.fold_in(at));
        assert_eq!(uniform(key).to_bits(), row.uniform.to_bits());
        assert_eq!(index(key, row.length), row.index);
        // Logarithm, sine and cosine are within one ulp (2 units) each and the root halves the logarithm's: with the
        // roundings of root, product and -2x, at most 5 units.
        for (found, due) in normal_pair(key).into_iter().zip(row.normal_pair) {
            assert!((f64::from(found) - due).abs() <= 5.0 * ULP * due.abs(), "{found} where {due} is due");
        }
    }
    let layer = Key::new(9, Purpose::Dropout).fold_in(5).fold_in(1).fold_in(2);
    for row in golden.dropout {
        assert_eq!(dropout_threshold(row.share), row.threshold);
        assert_eq!(keep_mask(layer.fold_in(row.row), row.column_of_four, row.threshold), row.kept);
    }
}

#[test]
fn pentagon_distances_are_golden() {
    let golden: Cases<PentagonCase> = read(include_str!("../../testdata/pp1_distance.json"));
    for case in golden.cases {
        // K products and sums of numbers at most 1, by two routes.
        let budget = 4.0 * (case.beliefs.len() + 1) as f64 * f64::EPSILON;
        assert!((pp1_distance(&case.beliefs, &case.target) - case.distance).abs() <= budget);
    }
}

#[test]
fn adams_steps_are_golden() {
    let golden: Cases<AdamCase> = read(include_str!("../../testdata/adam.json"));
    for case in golden.cases {
        let (mut parameter, mut first, mut second) = (case.start, 0.0, 0.0);
        for (step, (&gradient, &due)) in (1..).zip(case.gradients.iter().zip(&case.parameters)) {
            let clip = clip_coefficient(gradient.abs(), case.grad_clip_norm);
            Adam::new(case.learning_rate).step(step, clip).apply(&mut parameter, &mut first, &mut second, gradient);
            // `1 - 0.999^t` loses up to 3 digits to cancellation (1000 ulps of 1); a step is at most a few rates.
            let budget = 1e4 * f64::EPSILON * f64::from(step as u32) * case.learning_rate + 8.0 * f64::EPSILON;
            assert!((parameter - due).abs() <= budget, "step {step}: {parameter} where {due} is due");
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
        other => panic!("`{other}` is no purpose"),
    }
}

#[derive(Deserialize)]
struct Cases<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct AcceptanceTables {
    table: Vec<TableRow>,
    cases: Vec<AcceptanceCase>,
    sigmoid: Vec<SigmoidRow>,
}

#[derive(Debug, Deserialize)]
struct TableRow {
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
struct RewardTables {
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
struct SlateTables {
    scores: Vec<ScoredRow>,
    normalise: Vec<NormalisedRow>,
    slates: Vec<SlateCase>,
}

#[derive(Deserialize)]
struct ScoredRow {
    action: Vec<f32>,
    row: Vec<f32>,
    score: f32,
}

#[derive(Deserialize)]
struct NormalisedRow {
    row: Vec<f32>,
    normalised: Vec<f32>,
}

#[derive(Deserialize)]
struct SlateCase {
    name: String,
    items: Vec<Vec<f32>>,
    action: Vec<f32>,
    chosen: usize,
    pretrained: Vec<u32>,
    slate: Vec<u32>,
}

#[derive(Deserialize)]
struct RngTables {
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
    kept: u8,
}

#[derive(Deserialize)]
struct PentagonCase {
    beliefs: Vec<f32>,
    target: Vec<f32>,
    distance: f64,
}

#[derive(Deserialize)]
struct AdamCase {
    learning_rate: f64,
    grad_clip_norm: f64,
    start: f64,
    gradients: Vec<f64>,
    parameters: Vec<f64>,
    first: f64,
    second: f64,
}
