//! The fused operations against standard dfdx, one operation at a time, and against finite differences.

use dfdx::prelude::{
    Axis, Backward, BroadcastTo, MeanTo, OwnedTape, Rank0, SplitTape, SumTo, Tensor, TensorFromVec, Trace,
    TryMatMul,
};
use dfdx::tensor::PutTape;
use pulp::Arch;
use recsim_core::model::rng::{Key, Purpose, uniform};
use recsim_core::td3::net::{BATCH_NORM_EPSILON, LayerLayout, MlpLayout, Weights};
use recsim_core::td3::{Network, UpdateKeys, dropout_scale, dropout_threshold, keep_mask};

use super::tile_matmul::TileMultiplier;
use super::{DfdxCpu, Dropout, Net, Processor, critic_value, record_outputs, scaled_tanh, tensor_2d};
use crate::thread_pool::thread_pool;
use crate::{InstructionSet, skip};

type StandardTensor<S> = Tensor<S, f32, DfdxCpu>;

#[test]
fn gradient_equals_that_of_standard_dfdx_operations() {
    for processor in processors() {
        for (batch_norm, probability) in [(true, 0.0), (false, 0.0), (true, 0.3), (false, 0.3)] {
            let layout = MlpLayout::new("net", 3, vec![7, 6], 2, batch_norm);
            let (weights, dropout) = (random_weights(&layout, 1), dropout(probability));
            let input = random(2, layout.inputs() * ROWS);
            let target = tensor_2d(random(3, layout.outputs() * ROWS), ROWS);

            let net = Net::new(processor, true, &layout, &weights);
            let [output] = record_outputs([&net], [net.forward(&input, &dropout).unwrap()], ROWS);
            let actual = output.retaped::<dfdx::prelude::NoneTape>().as_vec();
            let mut gradients = (output - target.clone()).square().mean::<Rank0, _>().backward();
            let gradient: &Vec<f32> = gradients.get_or_alloc_mut(&net.grad_slot).unwrap();

            let (expected, expected_grad) = by_standard_operations(&layout, &weights, &input, &target, &dropout);
            assert_near(&actual, &expected, "output");
            assert_near(gradient, &expected_grad, "gradient");
        }
    }
}

#[test]
fn gradient_norm_is_the_directional_derivative() {
    for processor in processors() {
        for (seed, hidden, batch_norm, probability) in [
            (10, vec![], false, 0.0),
            (11, vec![1], false, 0.0),
            (12, vec![5], true, 0.2),
            (13, vec![131, 9], true, 0.1),
            (14, vec![20, 130], false, 0.5),
        ] {
            let layout = MlpLayout::new("net", 4, hidden, 3, batch_norm);
            let (weights, dropout) = (random_weights(&layout, seed), dropout(probability));
            let input = random(seed + 100, layout.inputs() * ROWS);
            let coefficient = random(seed + 200, layout.outputs() * ROWS);
            let loss = |weights: &Weights| {
                let output = Net::new(processor, true, &layout, weights).forward(&input, &dropout).unwrap();
                output.iter().zip(&coefficient).map(|(&o, &c)| f64::from(o) * f64::from(c)).sum::<f64>()
            };
            let net = Net::new(processor, true, &layout, &weights);
            let [output] = record_outputs([&net], [net.forward(&input, &dropout).unwrap()], ROWS);
            let output = output * tensor_2d(coefficient.clone(), ROWS);
            let mut gradients = output.sum::<Rank0, _>().backward();
            let gradient = gradients.get_or_alloc_mut(&net.grad_slot).unwrap().to_vec();
            let derivative = directional_derivative(&gradient, |step| {
                let mut moved = weights.clone();
                moved.parameters.iter_mut().zip(step).for_each(|(parameter, step)| *parameter += step);
                loss(&moved)
            });
            let norm = norm(&gradient);
            assert!(
                (derivative - norm).abs() <= 0.02 * norm,
                "network {seed}: derivative {derivative} along a gradient of norm {norm}"
            );
        }
    }
}

#[test]
fn results_do_not_depend_on_threads_or_tile_sizes() {
    for processor in processors() {
        let layout = MlpLayout::new("net", 9, vec![520, 300], 5, true);
        let (weights, dropout) = (random_weights(&layout, 40), dropout(0.2));
        let input = random(41, layout.inputs() * ROWS);
        let pass = |is_alone| {
            let net = Net::new(processor, is_alone, &layout, &weights);
            let [output] = record_outputs([&net], [net.forward(&input, &dropout).unwrap()], ROWS);
            let actual = output.retaped::<dfdx::prelude::NoneTape>().as_vec();
            let mut gradients = output.square().mean::<Rank0, _>().backward();
            [actual, gradients.get_or_alloc_mut(&net.grad_slot).unwrap().to_vec()]
        };
        let pass_on = |threads, is_alone| thread_pool(Some(threads)).unwrap().install(|| pass(is_alone));
        let expected = pass_on(1, true);
        assert!([2, 3, 7].into_iter().all(|threads| pass_on(threads, true) == expected));
        assert!(pass_on(2, false) == expected);
    }
}

#[test]
fn critic_gradient_reaches_the_action_through_tanh() {
    for processor in processors() {
        for batch_norm in [false, true] {
            let layout = MlpLayout::new("critic", 5 + 2, vec![140, 6], 1, batch_norm);
            let (weights, max_action, rows) = (random_weights(&layout, 20), 1.5, 300);
            let (state, raw) = (random(21, 5 * rows), random(22, 2 * rows));
            let critic = Net::new(processor, true, &layout, &weights);
            let grad_weights = critic.input_grad_weights(2);
            let forward = |raw: &[f32]| {
                let traced = tensor_2d(raw.to_vec(), rows).put_tape(OwnedTape::default());
                critic_value(&critic, &grad_weights, &state, scaled_tanh(processor.arch, traced, max_action))
            };
            let slot = tensor_2d(raw.clone(), rows);
            let values = critic_value(
                &critic,
                &grad_weights,
                &state,
                scaled_tanh(processor.arch, slot.leaky_trace(), max_action),
            );
            let mut gradients = values.sum::<Rank0, _>().backward();
            let gradient = gradients.get_or_alloc_mut(&slot).unwrap().to_vec();
            let derivative = directional_derivative(&gradient, |step| {
                let moved: Vec<f32> = raw.iter().zip(step).map(|(raw, step)| raw + step).collect();
                forward(&moved).as_vec().into_iter().map(f64::from).sum()
            });
            let norm = norm(&gradient);
            assert!(
                norm > 0.01 && (derivative - norm).abs() <= 0.02 * norm,
                "derivative {derivative} along a gradient of norm {norm}"
            );
        }
    }
}

/// The directional derivative of the loss along the gradient, by central differences. Rounding makes it uncertain by
/// about `1e-7 / STEP`, and a unit that crosses ReLU's kink by about its share of the sum: 2 % is above both and below
/// a missing term.
fn directional_derivative(gradient: &[f32], loss: impl Fn(&mut dyn Iterator<Item = f32>) -> f64) -> f64 {
    const STEP: f64 = 1e-3;
    let norm = norm(gradient);
    let at = |length: f64| loss(&mut gradient.iter().map(|&g| (f64::from(g) / norm * length) as f32));
    (at(STEP) - at(-STEP)) / (2.0 * STEP)
}

fn by_standard_operations(
    layout: &MlpLayout,
    weights: &Weights,
    input: &[f32],
    target: &StandardTensor<(usize, usize)>,
    dropout: &Dropout,
) -> (Vec<f32>, Vec<f32>) {
    let host = DfdxCpu::default();
    let values = |range: &std::ops::Range<usize>| weights.parameters[range.clone()].to_vec();
    let vector = |range: &std::ops::Range<usize>| host.tensor_from_vec(values(range), (range.len(),));
    let mut leaves = Vec::new();
    let mut x = tensor_2d(input.to_vec(), ROWS).put_tape(OwnedTape::default());
    for (depth, layer) in layout.layers().iter().enumerate() {
        let shape = (layer.outputs, ROWS);
        let weight = host.tensor_from_vec(values(&layer.weight), (layer.outputs, layer.inputs));
        let bias = vector(&layer.bias);
        x = weight.leaky_trace().matmul(x) + bias.leaky_trace().broadcast_like::<_, Axis<1>>(&shape);
        let mut batch_norm_leaves = None;
        if let Some(norm) = &layer.batch_norm {
            let (z, tape) = x.split_tape();
            let mean = z.clone().put_tape(tape).mean::<(usize,), Axis<1>>();
            let centered = z.leaky_trace() - mean.broadcast_like::<_, Axis<1>>(&shape);
            let (c, tape) = centered.split_tape();
            let variance = c.clone().put_tape(tape).square().mean::<(usize,), Axis<1>>();
            let std_dev = (variance + BATCH_NORM_EPSILON as f32).sqrt().broadcast_like::<_, Axis<1>>(&shape);
            let (scale, shift) = (vector(&norm.scale), vector(&norm.shift));
            x = c.leaky_trace() / std_dev * scale.leaky_trace().broadcast_like::<_, Axis<1>>(&shape)
                + shift.leaky_trace().broadcast_like::<_, Axis<1>>(&shape);
            batch_norm_leaves = Some((scale, shift));
        }
        if depth + 1 < layout.layers().len() {
            x = x.relu() * tensor_2d(mask(layer, depth, dropout), ROWS);
        }
        leaves.push((weight, bias, batch_norm_leaves));
    }
    let output = x.retaped::<dfdx::prelude::NoneTape>().as_vec();
    let gradients = (x - target.clone()).square().mean::<Rank0, _>().backward();
    let mut flat_grads = Vec::new();
    for (weight, bias, norm) in &leaves {
        flat_grads.extend(gradients.get(weight).as_vec());
        flat_grads.extend(gradients.get(bias).as_vec());
        for leaf in norm.iter().flat_map(|(scale, shift)| [scale, shift]) {
            flat_grads.extend(gradients.get(leaf).as_vec());
        }
    }
    (output, flat_grads)
}

/// The factors of Dropout, `[outputs, ROWS]`.
fn mask(layer: &LayerLayout, depth: usize, dropout: &Dropout) -> Vec<f32> {
    let key = dropout.keys.dropout_key(dropout.network, depth);
    let threshold = dropout_threshold(dropout.probability);
    let factor = |index: usize| {
        let (feature, row) = (index / ROWS, index % ROWS);
        let is_kept = keep_mask(key.fold_in(row as u64), feature as u64 / 4, threshold) >> (feature % 4) & 1 == 1;
        if is_kept { dropout_scale(threshold) as f32 } else { 0.0 }
    };
    (0..layer.outputs * ROWS).map(factor).collect()
}

fn assert_near(actual: &[f32], expected: &[f32], what: &str) {
    assert_eq!(actual.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    for (actual, expected) in actual.iter().zip(expected) {
        // Sums of at most some hundred rounded products, each at most about the largest value.
        assert!((actual - expected).abs() <= 100.0 * f32::EPSILON * largest, "{what}: {actual} is not {expected}");
    }
}

/// All instruction sets of this machine, and the scalar emulation of tiles.
fn processors() -> impl Iterator<Item = Processor> {
    let emulated = Processor { arch: Arch::new(), multiplier: Some(TileMultiplier::Emulated) };
    InstructionSet::available().filter_map(Processor::new).chain([emulated])
}

#[test]
fn processors_include_amx() {
    let has_amx = InstructionSet::Amx.arch().is_some();
    assert_eq!(processors().filter(|processor| processor.multiplier.is_some()).count(), 1 + usize::from(has_amx));
    if !has_amx {
        skip::no_amx("mlp on amx");
    }
}

fn norm(gradient: &[f32]) -> f64 {
    gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt()
}

fn dropout(probability: f64) -> Dropout {
    Dropout { probability, keys: UpdateKeys::new(0, 1), network: Network::Critic1 }
}

/// Initial weights, with scales, shifts and statistics moved off 1 and 0.
fn random_weights(layout: &MlpLayout, seed: u64) -> Weights {
    let mut weights = layout.initial_weights(Key::new(seed, Purpose::InitialWeights));
    for norm in layout.layers().iter().filter_map(|layer| layer.batch_norm.as_ref()) {
        let offsets = random(seed + 1000, layout.parameter_count());
        for index in norm.scale.clone().chain(norm.shift.clone()) {
            weights.parameters[index] += 0.5 * offsets[index];
        }
        for index in norm.mean.clone().chain(norm.variance.clone()) {
            weights.running_stats[index] += 0.5 * offsets[index];
        }
    }
    weights
}

/// Values uniform in `[-1, 1)`.
fn random(seed: u64, count: usize) -> Vec<f32> {
    let key = Key::new(seed, Purpose::World);
    (0..count as u64).map(|n| 2.0 * uniform(key.fold_in(n)) - 1.0).collect()
}

const ROWS: usize = 37;
