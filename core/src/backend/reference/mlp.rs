//! Forward and backward pass of a multi-layer perceptron.

use alloc::vec;
use alloc::vec::Vec;

use crate::model::math::Real;
use crate::td3::net::{BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, LayerLayout, MlpLayout, Weights};
use crate::td3::{Network, UpdateKeys, dropout_scale, dropout_threshold, keep_mask, soft_update};
use crate::world::row;

/// The mode of a forward pass, as PyTorch's `eval()` and `train()`.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// BatchNorm uses the running statistics, and dropout is off.
    Evaluate,
    /// BatchNorm uses the minibatch's statistics. Dropout drops units with the probability `dropout`.
    Train { dropout: f64, keys: UpdateKeys, network: Network },
}

/// A forward pass: the output, and the activations that the backward pass needs.
pub(super) struct ForwardPass<T> {
    /// `[rows, outputs]`
    pub(super) output: Vec<T>,
    rows: usize,
    layers: Vec<LayerActivations<T>>,
}

/// The activations of one layer.
struct LayerActivations<T> {
    /// `[rows, inputs]`
    input: Vec<T>,
    /// `[rows, outputs]`: the derivative of the layer's output by the input of ReLU; empty for the last layer.
    gate: Vec<T>,
    batch_norm: Option<BatchNormActivations<T>>,
}

/// The activations of one BatchNorm.
struct BatchNormActivations<T> {
    /// `[rows, outputs]`: the input, centred and divided by its standard deviation.
    standardized: Vec<T>,
    /// `[outputs]`: 1 / standard deviation.
    inverse_std: Vec<T>,
    /// The minibatch's mean and unbiased variance, each `[outputs]`; `None` in evaluation mode.
    batch_stats: Option<(Vec<T>, Vec<T>)>,
}

/// The forward pass of `input`, `[rows, inputs]`.
pub(super) fn forward<T: Real>(
    layout: &MlpLayout,
    weights: &Weights<T>,
    input: &[T],
    mode: Mode,
) -> ForwardPass<T> {
    let rows = input.len() / layout.inputs();
    let mut layers = Vec::new();
    let mut x = input.to_vec();
    let hidden = layout.layers().len() - 1;
    for (depth, layer) in layout.layers().iter().enumerate() {
        let mut z = linear(layer, weights, &x, rows);
        let batch_norm = batch_norm_forward(layer, weights, &mut z, rows, mode);
        let gate = if depth < hidden { relu_dropout(&mut z, layer.outputs, depth, mode) } else { Vec::new() };
        layers.push(LayerActivations { input: core::mem::replace(&mut x, z), gate, batch_norm });
    }
    ForwardPass { output: x, rows, layers }
}

/// The backward pass of a loss whose gradient with respect to the output is `output_grad`, `[rows, outputs]`. Returns
/// the gradients with respect to the parameters, `[parameters]`, and to the input, `[rows, inputs]`.
pub(super) fn backward<T: Real>(
    layout: &MlpLayout,
    weights: &Weights<T>,
    pass: &ForwardPass<T>,
    output_grad: &[T],
) -> (Vec<T>, Vec<T>) {
    let mut gradient = vec![T::ZERO; layout.parameter_count()];
    let mut grad = output_grad.to_vec();
    for (layer, activations) in layout.layers().iter().zip(&pass.layers).rev() {
        for (grad, &gate) in grad.iter_mut().zip(&activations.gate) {
            *grad *= gate;
        }
        if let Some(batch_norm) = &activations.batch_norm {
            batch_norm_backward(layer, weights, batch_norm, &mut grad, &mut gradient, pass.rows);
        }
        grad = linear_backward(layer, weights, &activations.input, &grad, &mut gradient, pass.rows);
        if activations.batch_norm.as_ref().is_some_and(|batch_norm| batch_norm.batch_stats.is_some()) {
            // The mean of the minibatch cancels the bias, so its gradient is 0. The sum above leaves rounding errors,
            // which Adam would scale up to steps of the learning rate.
            gradient[layer.bias.clone()].fill(T::ZERO);
        }
    }
    (gradient, grad)
}

/// Updates the running statistics with those of the minibatch, for a pass in training mode.
pub(super) fn update_running_stats<T: Real>(layout: &MlpLayout, weights: &mut Weights<T>, pass: &ForwardPass<T>) {
    let momentum = T::from_f64(BATCH_NORM_MOMENTUM);
    for (layer, activations) in layout.layers().iter().zip(&pass.layers) {
        let batch_stats = activations.batch_norm.as_ref().and_then(|batch_norm| batch_norm.batch_stats.as_ref());
        let Some((ranges, (mean, variance))) = layer.batch_norm.as_ref().zip(batch_stats) else {
            continue;
        };
        for (range, batch) in [(&ranges.mean, mean), (&ranges.variance, variance)] {
            for (running, &new) in weights.running_stats[range.clone()].iter_mut().zip(batch) {
                *running = soft_update(*running, new, momentum);
            }
        }
    }
}

/// The output `x * weight^T + bias` of a Linear, `[rows, outputs]`, for an input `x` of `[rows, inputs]`.
fn linear<T: Real>(layer: &LayerLayout, weights: &Weights<T>, x: &[T], rows: usize) -> Vec<T> {
    let weight = &weights.parameters[layer.weight.clone()];
    let bias = &weights.parameters[layer.bias.clone()];
    let mut z = vec![T::ZERO; rows * layer.outputs];
    for (x, z) in x.chunks_exact(layer.inputs).zip(z.chunks_exact_mut(layer.outputs)) {
        for ((z, w), &b) in z.iter_mut().zip(weight.chunks_exact(layer.inputs)).zip(bias) {
            let mut sum = T::ZERO;
            for (&x, &w) in x.iter().zip(w) {
                sum += x * w;
            }
            *z = sum + b;
        }
    }
    z
}

/// BatchNorm, in place on `z`, `[rows, outputs]`. Returns `None` if the layer has none.
fn batch_norm_forward<T: Real>(
    layer: &LayerLayout,
    weights: &Weights<T>,
    z: &mut [T],
    rows: usize,
    mode: Mode,
) -> Option<BatchNormActivations<T>> {
    let ranges = layer.batch_norm.as_ref()?;
    let width = layer.outputs;
    let (scale, shift) = (&weights.parameters[ranges.scale.clone()], &weights.parameters[ranges.shift.clone()]);
    let count = T::from_f64(rows as f64);
    let (mean, variance, batch_stats) = match mode {
        Mode::Evaluate => {
            let running = |range: &core::ops::Range<usize>| weights.running_stats[range.clone()].to_vec();
            (running(&ranges.mean), running(&ranges.variance), None)
        }
        Mode::Train { .. } => {
            let (mean, variance) = moments(z, width, count);
            let bessel = count / (count - T::ONE);
            let unbiased = variance.iter().map(|&v| v * bessel).collect();
            (mean.clone(), variance, Some((mean, unbiased)))
        }
    };
    let inverse_std: Vec<T> =
        variance.iter().map(|&v| T::ONE / (v + T::from_f64(BATCH_NORM_EPSILON)).sqrt()).collect();
    let mut standardized = vec![T::ZERO; z.len()];
    for (z, standardized) in z.chunks_exact_mut(width).zip(standardized.chunks_exact_mut(width)) {
        for column in 0..width {
            standardized[column] = (z[column] - mean[column]) * inverse_std[column];
            z[column] = standardized[column] * scale[column] + shift[column];
        }
    }
    Some(BatchNormActivations { standardized, inverse_std, batch_stats })
}

/// The mean and the biased variance of each column, each `[width]`. `count` is the number of rows.
fn moments<T: Real>(z: &[T], width: usize, count: T) -> (Vec<T>, Vec<T>) {
    let (mut mean, mut variance) = (vec![T::ZERO; width], vec![T::ZERO; width]);
    for z in z.chunks_exact(width) {
        mean.iter_mut().zip(z).for_each(|(mean, &z)| *mean += z);
    }
    mean.iter_mut().for_each(|mean| *mean /= count);
    for z in z.chunks_exact(width) {
        for ((variance, &z), &mean) in variance.iter_mut().zip(z).zip(&mean) {
            *variance += (z - mean) * (z - mean);
        }
    }
    variance.iter_mut().for_each(|variance| *variance /= count);
    (mean, variance)
}

/// ReLU and then dropout, in place on `z`, `[rows, width]`. Returns the derivative of each output by its input: 0, or
/// the dropout scale.
fn relu_dropout<T: Real>(z: &mut [T], width: usize, depth: usize, mode: Mode) -> Vec<T> {
    let (scale, drop) = match mode {
        Mode::Evaluate => (T::ONE, None),
        Mode::Train { dropout, keys, network } => {
            let threshold = dropout_threshold(dropout);
            (T::from_f64(dropout_scale(threshold)), Some((keys.dropout_key(network, depth), threshold)))
        }
    };
    let keeps = |index: usize| {
        drop.is_none_or(|(key, threshold)| {
            let (row, column) = (index / width, index % width);
            keep_mask(key.fold_in(row as u64), (column / 4) as u64, threshold) >> (column % 4) & 1 == 1
        })
    };
    let gate: Vec<T> =
        z.iter().enumerate().map(|(index, &z)| if z > T::ZERO && keeps(index) { scale } else { T::ZERO }).collect();
    z.iter_mut().zip(&gate).for_each(|(z, &gate)| *z *= gate);
    gate
}

/// The backward pass of BatchNorm, in place on `grad`, `[rows, outputs]`. Adds to the gradients of scale and shift.
fn batch_norm_backward<T: Real>(
    layer: &LayerLayout,
    weights: &Weights<T>,
    activations: &BatchNormActivations<T>,
    grad: &mut [T],
    gradient: &mut [T],
    rows: usize,
) {
    let ranges = layer.batch_norm.as_ref().expect("only a layer with BatchNorm has its activations");
    let width = layer.outputs;
    let scale = &weights.parameters[ranges.scale.clone()];
    for (n, grad) in grad.chunks_exact(width).enumerate() {
        let standardized = &activations.standardized[row(n, width)];
        for column in 0..width {
            gradient[ranges.scale.start + column] += grad[column] * standardized[column];
            gradient[ranges.shift.start + column] += grad[column];
        }
    }
    let count = T::from_f64(rows as f64);
    for (n, grad) in grad.chunks_exact_mut(width).enumerate() {
        let standardized = &activations.standardized[row(n, width)];
        for column in 0..width {
            let mut centred = grad[column];
            if activations.batch_stats.is_some() {
                let (scale_grad, shift_grad) =
                    (gradient[ranges.scale.start + column], gradient[ranges.shift.start + column]);
                centred -= (shift_grad + standardized[column] * scale_grad) / count;
            }
            grad[column] = centred * scale[column] * activations.inverse_std[column];
        }
    }
}

/// The backward pass of a Linear. Adds to the gradients of weight and bias. Returns the gradient with respect to the
/// input, `[rows, inputs]`.
fn linear_backward<T: Real>(
    layer: &LayerLayout,
    weights: &Weights<T>,
    input: &[T],
    grad: &[T],
    gradient: &mut [T],
    rows: usize,
) -> Vec<T> {
    let (inputs, weight) = (layer.inputs, &weights.parameters[layer.weight.clone()]);
    let mut input_grad = vec![T::ZERO; rows * inputs];
    for ((grad, x), input_grad) in
        grad.chunks_exact(layer.outputs).zip(input.chunks_exact(inputs)).zip(input_grad.chunks_exact_mut(inputs))
    {
        for (output, &grad) in grad.iter().enumerate() {
            gradient[layer.bias.start + output] += grad;
            let w = &weight[row(output, inputs)];
            let g = &mut gradient[layer.weight.start + output * inputs..][..inputs];
            for column in 0..inputs {
                g[column] += grad * x[column];
                input_grad[column] += grad * w[column];
            }
        }
    }
    input_grad
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::{Key, normal_pair};

    const ROWS: usize = 6;

    /// A network with random weights, its input, and the gradient of a loss with respect to its output.
    fn case(batch_norm: bool) -> (MlpLayout, Weights<f64>, Vec<f64>, Vec<f64>) {
        let layout = MlpLayout::new("net", 3, vec![5, 4], 2, batch_norm);
        let keys = UpdateKeys::new(1, 1);
        let normal = |key: Key, n: usize| f64::from(normal_pair(key.fold_in(n as u64))[0]);
        let weights = Weights {
            parameters: (0..layout.parameter_count()).map(|n| normal(keys.sample, n)).collect(),
            running_stats: (0..layout.running_stats_count()).map(|n| 0.1 + normal(keys.noise, n).abs()).collect(),
        };
        let input = (0..ROWS * 3).map(|n| normal(keys.dropout, n)).collect();
        let output_grad = (0..ROWS * 2).map(|n| normal(keys.dropout, 1000 + n)).collect();
        (layout, weights, input, output_grad)
    }

    /// Both gradients against central differences. Their error is of the order of the step's square, except for units
    /// within a step of ReLU's corner, of which this case has none.
    #[test]
    fn backward_agrees_with_central_differences() {
        let train = Mode::Train { dropout: 0.3, keys: UpdateKeys::new(2, 7), network: Network::Critic1 };
        for (batch_norm, mode) in [(false, train), (true, train), (true, Mode::Evaluate)] {
            let (layout, weights, input, output_grad) = case(batch_norm);
            let loss = |weights: &Weights<f64>, input: &[f64]| -> f64 {
                let output = forward(&layout, weights, input, mode).output;
                output.iter().zip(&output_grad).map(|(y, grad)| y * grad).sum()
            };
            let (gradient, input_grad) =
                backward(&layout, &weights, &forward(&layout, &weights, &input, mode), &output_grad);
            let step = 1e-6;
            let check = |actual: f64, high: f64, low: f64| {
                let expected = (high - low) / (2.0 * step);
                assert!((actual - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{actual} is not {expected}");
            };
            for (n, &actual) in gradient.iter().enumerate() {
                let loss_after = |change: f64| {
                    let mut weights = weights.clone();
                    weights.parameters[n] += change;
                    loss(&weights, &input)
                };
                check(actual, loss_after(step), loss_after(-step));
            }
            for (n, &actual) in input_grad.iter().enumerate() {
                let loss_after = |change: f64| {
                    let mut input = input.clone();
                    input[n] += change;
                    loss(&weights, &input)
                };
                check(actual, loss_after(step), loss_after(-step));
            }
        }
    }
}
