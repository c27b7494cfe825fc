//! The fused operations against stock dfdx, one operation at a time, and against finite differences.

use dfdx::prelude::{
    Axis, Backward, BroadcastTo, MeanTo, OwnedTape, Rank0, SplitTape, SumTo, Tensor, TensorFromVec, Trace,
    TryMatMul,
};
use dfdx::tensor::PutTape;
use pulp::Arch;
use recsim_core::model::rng::{Key, Purpose, uniform};
use recsim_core::td3::net::{BATCH_NORM_EPSILON, LayerLayout, MlpLayout, Weights};
use recsim_core::td3::{Network, UpdateKeys, dropout_scale, dropout_threshold, keep_mask};

use super::{Dropout, Host, Multiplier, Net, record, squash, table, value};
use crate::InstructionSet;
use crate::isa::Processor;

type Stock<S> = Tensor<S, f32, Host>;

#[test]
fn the_gradient_is_that_of_stock_dfdx_operations() {
    for processor in processors() {
        for (batch_norm, share) in [(true, 0.0), (false, 0.0), (true, 0.3), (false, 0.3)] {
            let layout = MlpLayout::new("net", 3, vec![7, 6], 2, batch_norm);
            let (weights, dropout) = (random_weights(&layout, 1), dropout(share));
            let input = random(2, layout.inputs() * ROWS);
            let goal = table(random(3, layout.outputs() * ROWS), ROWS);

            let net = Net::new(processor, true, &layout, &weights);
            let [output] = record([&net], [net.forward(&input, &dropout).unwrap()], ROWS);
            let found = output.retaped::<dfdx::prelude::NoneTape>().as_vec();
            let mut gradients = (output - goal.clone()).square().mean::<Rank0, _>().backward();
            let gradient: &Vec<f32> = gradients.get_or_alloc_mut(&net.slot).unwrap();

            let (expected, slopes) = by_stock_operations(&layout, &weights, &input, &goal, &dropout);
            near(&found, &expected, "output");
            near(gradient, &slopes, "gradient");
        }
    }
}

#[test]
fn a_step_along_the_gradient_changes_the_loss_by_its_norm() {
    for processor in processors() {
        for (seed, hidden, batch_norm, share) in [
            (10, vec![], false, 0.0),
            (11, vec![1], false, 0.0),
            (12, vec![5], true, 0.2),
            (13, vec![131, 9], true, 0.1),
            (14, vec![20, 130], false, 0.5),
        ] {
            let layout = MlpLayout::new("net", 4, hidden, 3, batch_norm);
            let (weights, dropout) = (random_weights(&layout, seed), dropout(share));
            let input = random(seed + 100, layout.inputs() * ROWS);
            let coefficient = random(seed + 200, layout.outputs() * ROWS);
            let loss = |weights: &Weights| {
                let output = Net::new(processor, true, &layout, weights).forward(&input, &dropout).unwrap();
                output.iter().zip(&coefficient).map(|(&o, &c)| f64::from(o) * f64::from(c)).sum::<f64>()
            };
            let net = Net::new(processor, true, &layout, &weights);
            let [output] = record([&net], [net.forward(&input, &dropout).unwrap()], ROWS);
            let output = output * table(coefficient.clone(), ROWS);
            let mut gradients = output.sum::<Rank0, _>().backward();
            let gradient = gradients.get_or_alloc_mut(&net.slot).unwrap().to_vec();
            let slope = slope_along(&gradient, |step| {
                let mut moved = weights.clone();
                moved.parameters.iter_mut().zip(step).for_each(|(parameter, step)| *parameter += step);
                loss(&moved)
            });
            let norm = norm(&gradient);
            assert!((slope - norm).abs() <= 0.02 * norm, "network {seed}: {slope} along a gradient of norm {norm}");
        }
    }
}

#[test]
fn no_number_depends_on_how_a_layer_is_shared_out() {
    for processor in processors() {
        let layout = MlpLayout::new("net", 9, vec![520, 300], 5, true);
        let (weights, dropout) = (random_weights(&layout, 40), dropout(0.2));
        let input = random(41, layout.inputs() * ROWS);
        let pass = |alone| {
            let net = Net::new(processor, alone, &layout, &weights);
            let [output] = record([&net], [net.forward(&input, &dropout).unwrap()], ROWS);
            let found = output.retaped::<dfdx::prelude::NoneTape>().as_vec();
            let mut gradients = output.square().mean::<Rank0, _>().backward();
            [found, gradients.get_or_alloc_mut(&net.slot).unwrap().to_vec()]
        };
        let by = |threads, alone| crate::pool(Some(threads)).unwrap().install(|| pass(alone));
        let one = by(1, true);
        assert!([2, 3, 7].into_iter().all(|threads| by(threads, true) == one));
        assert!(by(2, false) == one);
    }
}

#[test]
fn a_critics_slope_reaches_the_action_through_tanh() {
    for processor in processors() {
        for batch_norm in [false, true] {
            let layout = MlpLayout::new("critic", 5 + 2, vec![140, 6], 1, batch_norm);
            let (weights, max_action, rows) = (random_weights(&layout, 20), 1.5, 300);
            let (state, raw) = (random(21, 5 * rows), random(22, 2 * rows));
            let critic = Net::new(processor, true, &layout, &weights);
            let back = critic.there_and_back(2);
            let forward = |raw: &[f32]| {
                let traced = table(raw.to_vec(), rows).put_tape(OwnedTape::default());
                value(&critic, &back, &state, squash(processor.arch, traced, max_action))
            };
            let slot = table(raw.clone(), rows);
            let values = value(&critic, &back, &state, squash(processor.arch, slot.leaky_trace(), max_action));
            let mut gradients = values.sum::<Rank0, _>().backward();
            let gradient = gradients.get_or_alloc_mut(&slot).unwrap().to_vec();
            let slope = slope_along(&gradient, |step| {
                let moved: Vec<f32> = raw.iter().zip(step).map(|(raw, step)| raw + step).collect();
                forward(&moved).as_vec().into_iter().map(f64::from).sum()
            });
            let norm = norm(&gradient);
            assert!(norm > 0.01 && (slope - norm).abs() <= 0.02 * norm, "{slope} along a gradient of norm {norm}");
        }
    }
}

/// The loss's slope along the gradient's direction, by central differences. Rounding makes it uncertain by some `1e-7 /
/// STEP`, a unit that crosses ReLU's kink by about its share of the sum: 2 % is above both and below a missing term.
fn slope_along(gradient: &[f32], loss: impl Fn(&mut dyn Iterator<Item = f32>) -> f64) -> f64 {
    const STEP: f64 = 1e-3;
    let norm = norm(gradient);
    let at = |length: f64| loss(&mut gradient.iter().map(|&g| (f64::from(g) / norm * length) as f32));
    (at(STEP) - at(-STEP)) / (2.0 * STEP)
}

fn by_stock_operations(
    layout: &MlpLayout,
    weights: &Weights,
    input: &[f32],
    goal: &Stock<(usize, usize)>,
    dropout: &Dropout,
) -> (Vec<f32>, Vec<f32>) {
    let host = Host::default();
    let part = |range: &std::ops::Range<usize>| weights.parameters[range.clone()].to_vec();
    let vector = |range: &std::ops::Range<usize>| host.tensor_from_vec(part(range), (range.len(),));
    let mut leaves = Vec::new();
    let mut x = table(input.to_vec(), ROWS).put_tape(OwnedTape::default());
    for (depth, layer) in layout.layers().iter().enumerate() {
        let shape = (layer.outputs, ROWS);
        let weight = host.tensor_from_vec(part(&layer.weight), (layer.outputs, layer.inputs));
        let bias = vector(&layer.bias);
        x = weight.leaky_trace().matmul(x) + bias.leaky_trace().broadcast_like::<_, Axis<1>>(&shape);
        let mut norm_leaves = None;
        if let Some(norm) = &layer.batch_norm {
            let (z, tape) = x.split_tape();
            let mean = z.clone().put_tape(tape).mean::<(usize,), Axis<1>>();
            let centred = z.leaky_trace() - mean.broadcast_like::<_, Axis<1>>(&shape);
            let (c, tape) = centred.split_tape();
            let variance = c.clone().put_tape(tape).square().mean::<(usize,), Axis<1>>();
            let deviation = (variance + BATCH_NORM_EPSILON as f32).sqrt().broadcast_like::<_, Axis<1>>(&shape);
            let (scale, shift) = (vector(&norm.scale), vector(&norm.shift));
            x = c.leaky_trace() / deviation * scale.leaky_trace().broadcast_like::<_, Axis<1>>(&shape)
                + shift.leaky_trace().broadcast_like::<_, Axis<1>>(&shape);
            norm_leaves = Some((scale, shift));
        }
        if depth + 1 < layout.layers().len() {
            x = x.relu() * table(mask(layer, depth, dropout), ROWS);
        }
        leaves.push((weight, bias, norm_leaves));
    }
    let output = x.retaped::<dfdx::prelude::NoneTape>().as_vec();
    let gradients = (x - goal.clone()).square().mean::<Rank0, _>().backward();
    let mut slopes = Vec::new();
    for (weight, bias, norm) in &leaves {
        slopes.extend(gradients.get(weight).as_vec());
        slopes.extend(gradients.get(bias).as_vec());
        for leaf in norm.iter().flat_map(|(scale, shift)| [scale, shift]) {
            slopes.extend(gradients.get(leaf).as_vec());
        }
    }
    (output, slopes)
}

/// What Dropout multiplies by, `[outputs, ROWS]`.
fn mask(layer: &LayerLayout, depth: usize, dropout: &Dropout) -> Vec<f32> {
    let key = dropout.keys.dropout_key(dropout.network, depth);
    let threshold = dropout_threshold(dropout.share);
    let of = |place: usize| {
        let (feature, row) = (place / ROWS, place % ROWS);
        let kept = keep_mask(key.fold_in(row as u64), feature as u64 / 4, threshold) >> (feature % 4) & 1 == 1;
        if kept { dropout_scale(threshold) as f32 } else { 0.0 }
    };
    (0..layer.outputs * ROWS).map(of).collect()
}

fn near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        // Sums of at most some hundred rounded products, each at most about the largest number.
        assert!((found - expected).abs() <= 100.0 * f32::EPSILON * largest, "{what}: {found} is not {expected}");
    }
}

/// The machine's own, all its instruction sets, and tiles in plain numbers.
fn processors() -> impl Iterator<Item = Processor> {
    let plain = Processor { arch: Arch::new(), multiplier: Some(Multiplier::Plain) };
    InstructionSet::available().filter_map(Processor::of).chain([plain])
}

fn norm(gradient: &[f32]) -> f64 {
    gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt()
}

fn dropout(share: f64) -> Dropout {
    Dropout { share, keys: UpdateKeys::new(0, 1), network: Network::Critic1 }
}

/// Initial weights, but scales, shifts and statistics off their 1 and 0.
fn random_weights(layout: &MlpLayout, seed: u64) -> Weights {
    let mut weights = layout.initial_weights(Key::new(seed, Purpose::InitialWeights));
    for norm in layout.layers().iter().filter_map(|layer| layer.batch_norm.as_ref()) {
        let push = random(seed + 1000, layout.parameter_count());
        for place in norm.scale.clone().chain(norm.shift.clone()) {
            weights.parameters[place] += 0.5 * push[place];
        }
        for place in norm.mean.clone().chain(norm.variance.clone()) {
            weights.running_stats[place] += 0.5 * push[place];
        }
    }
    weights
}

/// Uniform in `[-1, 1)`.
fn random(seed: u64, count: usize) -> Vec<f32> {
    let key = Key::new(seed, Purpose::World);
    (0..count as u64).map(|n| 2.0 * uniform(key.fold_in(n)) - 1.0).collect()
}

const ROWS: usize = 37;
