//! A multi-layer perceptron, forwards and backwards.

use alloc::vec;
use alloc::vec::Vec;

use crate::model::math::Real;
use crate::td3::net::{BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, LayerLayout, MlpLayout, Weights};
use crate::td3::{Network, UpdateKeys, dropout_scale, dropout_threshold, keep_mask, soft_update};
use crate::world::row;

/// Whether a pass learns: whether BatchNorm looks at the batch and Dropout drops.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// Running statistics; every unit.
    Evaluate,
    /// The batch's statistics, and a share of units dropped.
    Train { dropout: f64, keys: UpdateKeys, network: Network },
}

/// A pass forwards: the output, and what the way back needs.
pub(super) struct ForwardPass<T> {
    /// `[rows, outputs]`
    pub(super) output: Vec<T>,
    rows: usize,
    layers: Vec<LayerActivations<T>>,
}

struct LayerActivations<T> {
    /// `[rows, inputs]`
    input: Vec<T>,
    /// `[rows, outputs]`: what the output changes by when the (normalised) sum does; empty for the last layer.
    gate: Vec<T>,
    norm: Option<BatchNormActivations<T>>,
}

struct BatchNormActivations<T> {
    /// `[rows, outputs]`: the sums with mean and deviation taken out.
    normalised: Vec<T>,
    /// `[outputs]`: 1 / deviation.
    inverse: Vec<T>,
    /// The batch's mean and unbiased variance, each `[outputs]`; none in evaluation.
    batch: Option<(Vec<T>, Vec<T>)>,
}

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
        let norm = normalise(layer, weights, &mut z, rows, mode);
        let gate = if depth < hidden { rectify_and_drop(&mut z, layer.outputs, depth, mode) } else { Vec::new() };
        layers.push(LayerActivations { input: core::mem::replace(&mut x, z), gate, norm });
    }
    ForwardPass { output: x, rows, layers }
}

/// The gradients of a loss whose gradient by the output is `slope` (`[rows, outputs]`): by the parameters, and by the
/// input.
pub(super) fn backward<T: Real>(
    layout: &MlpLayout,
    weights: &Weights<T>,
    pass: &ForwardPass<T>,
    slope: &[T],
) -> (Vec<T>, Vec<T>) {
    let mut gradient = vec![T::ZERO; layout.parameter_count()];
    let mut slope = slope.to_vec();
    for (layer, pass_of_layer) in layout.layers().iter().zip(&pass.layers).rev() {
        for (slope, &gate) in slope.iter_mut().zip(&pass_of_layer.gate) {
            *slope *= gate;
        }
        if let Some(norm) = &pass_of_layer.norm {
            back_through_norm(layer, weights, norm, &mut slope, &mut gradient, pass.rows);
        }
        slope = back_through_linear(layer, weights, &pass_of_layer.input, &slope, &mut gradient, pass.rows);
        if pass_of_layer.norm.as_ref().is_some_and(|norm| norm.batch.is_some()) {
            // The batch's mean takes every bias out again. What a sum of floats would leave here is rounding noise,
            // which Adam divides by its own size.
            gradient[layer.bias.clone()].fill(T::ZERO);
        }
    }
    (gradient, slope)
}

/// The running statistics follow the batch's, as the pass found them.
pub(super) fn update_running_stats<T: Real>(layout: &MlpLayout, weights: &mut Weights<T>, pass: &ForwardPass<T>) {
    let momentum = T::from_f64(BATCH_NORM_MOMENTUM);
    for (layer, pass) in layout.layers().iter().zip(&pass.layers) {
        let Some((place, (mean, variance))) =
            layer.batch_norm.as_ref().zip(pass.norm.as_ref().and_then(|norm| norm.batch.as_ref()))
        else {
            continue;
        };
        for (range, batch) in [(&place.mean, mean), (&place.variance, variance)] {
            for (running, &new) in weights.running_stats[range.clone()].iter_mut().zip(batch) {
                *running = soft_update(*running, new, momentum);
            }
        }
    }
}

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

fn normalise<T: Real>(
    layer: &LayerLayout,
    weights: &Weights<T>,
    z: &mut [T],
    rows: usize,
    mode: Mode,
) -> Option<BatchNormActivations<T>> {
    let place = layer.batch_norm.as_ref()?;
    let width = layer.outputs;
    let (scale, shift) = (&weights.parameters[place.scale.clone()], &weights.parameters[place.shift.clone()]);
    let count = T::from_f64(rows as f64);
    let (mean, variance, batch) = match mode {
        Mode::Evaluate => {
            let running = |range: &core::ops::Range<usize>| weights.running_stats[range.clone()].to_vec();
            (running(&place.mean), running(&place.variance), None)
        }
        Mode::Train { .. } => {
            let (mean, variance) = moments(z, width, count);
            let bessel = count / (count - T::ONE);
            let unbiased = variance.iter().map(|&v| v * bessel).collect();
            (mean.clone(), variance, Some((mean, unbiased)))
        }
    };
    let inverse: Vec<T> = variance.iter().map(|&v| T::ONE / (v + T::from_f64(BATCH_NORM_EPSILON)).sqrt()).collect();
    let mut normalised = vec![T::ZERO; z.len()];
    for (z, normalised) in z.chunks_exact_mut(width).zip(normalised.chunks_exact_mut(width)) {
        for column in 0..width {
            normalised[column] = (z[column] - mean[column]) * inverse[column];
            z[column] = normalised[column] * scale[column] + shift[column];
        }
    }
    Some(BatchNormActivations { normalised, inverse, batch })
}

/// The mean and the biased variance of each column.
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

/// ReLU, then Dropout. Returns the slope of each output by its sum: 0, or what kept units are scaled by.
fn rectify_and_drop<T: Real>(z: &mut [T], width: usize, depth: usize, mode: Mode) -> Vec<T> {
    let (scale, drop) = match mode {
        Mode::Evaluate => (T::ONE, None),
        Mode::Train { dropout, keys, network } => {
            let threshold = dropout_threshold(dropout);
            (T::from_f64(dropout_scale(threshold)), Some((keys.dropout_key(network, depth), threshold)))
        }
    };
    let keeps = |place: usize| {
        drop.is_none_or(|(key, threshold)| {
            let (row, column) = (place / width, place % width);
            keep_mask(key.fold_in(row as u64), (column / 4) as u64, threshold) >> (column % 4) & 1 == 1
        })
    };
    let gate: Vec<T> =
        z.iter().enumerate().map(|(place, &z)| if z > T::ZERO && keeps(place) { scale } else { T::ZERO }).collect();
    z.iter_mut().zip(&gate).for_each(|(z, &gate)| *z *= gate);
    gate
}

/// Turns the slope by the normalised, scaled sum into that by the sum.
fn back_through_norm<T: Real>(
    layer: &LayerLayout,
    weights: &Weights<T>,
    pass: &BatchNormActivations<T>,
    slope: &mut [T],
    gradient: &mut [T],
    rows: usize,
) {
    let place = layer.batch_norm.as_ref().expect("a pass has a norm only where its layer has one");
    let width = layer.outputs;
    let scale = &weights.parameters[place.scale.clone()];
    for (n, slope) in slope.chunks_exact(width).enumerate() {
        let normalised = &pass.normalised[row(n, width)];
        for column in 0..width {
            gradient[place.scale.start + column] += slope[column] * normalised[column];
            gradient[place.shift.start + column] += slope[column];
        }
    }
    let count = T::from_f64(rows as f64);
    for (n, slope) in slope.chunks_exact_mut(width).enumerate() {
        let normalised = &pass.normalised[row(n, width)];
        for column in 0..width {
            let mut centred = slope[column];
            if pass.batch.is_some() {
                let (by_scale, by_shift) =
                    (gradient[place.scale.start + column], gradient[place.shift.start + column]);
                centred -= (by_shift + normalised[column] * by_scale) / count;
            }
            slope[column] = centred * scale[column] * pass.inverse[column];
        }
    }
}

fn back_through_linear<T: Real>(
    layer: &LayerLayout,
    weights: &Weights<T>,
    input: &[T],
    slope: &[T],
    gradient: &mut [T],
    rows: usize,
) -> Vec<T> {
    let (inputs, weight) = (layer.inputs, &weights.parameters[layer.weight.clone()]);
    let mut back = vec![T::ZERO; rows * inputs];
    for ((slope, x), back) in
        slope.chunks_exact(layer.outputs).zip(input.chunks_exact(inputs)).zip(back.chunks_exact_mut(inputs))
    {
        for (output, &slope) in slope.iter().enumerate() {
            gradient[layer.bias.start + output] += slope;
            let w = &weight[row(output, inputs)];
            let g = &mut gradient[layer.weight.start + output * inputs..][..inputs];
            for column in 0..inputs {
                g[column] += slope * x[column];
                back[column] += slope * w[column];
            }
        }
    }
    back
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: usize = 6;

    fn case(batch_norm: bool) -> (MlpLayout, Weights<f64>, Vec<f64>, Vec<f64>) {
        let layout = MlpLayout::new("net", 3, vec![5, 4], 2, batch_norm);
        let keys = UpdateKeys::new(1, 1);
        let number = |key: crate::model::rng::Key, n: usize| {
            f64::from(crate::model::rng::normal_pair(key.fold_in(n as u64))[0])
        };
        let weights = Weights {
            parameters: (0..layout.parameter_count()).map(|n| number(keys.sample, n)).collect(),
            running_stats: (0..layout.running_stats_count()).map(|n| 0.1 + number(keys.noise, n).abs()).collect(),
        };
        let input = (0..ROWS * 3).map(|n| number(keys.dropout, n)).collect();
        let slope = (0..ROWS * 2).map(|n| number(keys.dropout, 1000 + n)).collect();
        (layout, weights, input, slope)
    }

    /// Both gradients against central differences: the error is of the order of the step's square, but for units
    /// within a step of ReLU's corner, which this case has none of.
    #[test]
    fn gradients_are_the_slopes_of_the_output() {
        let train = Mode::Train { dropout: 0.3, keys: UpdateKeys::new(2, 7), network: Network::Critic1 };
        for (batch_norm, mode) in [(false, train), (true, train), (true, Mode::Evaluate)] {
            let (layout, weights, input, slope) = case(batch_norm);
            let value = |weights: &Weights<f64>, input: &[f64]| -> f64 {
                forward(&layout, weights, input, mode).output.iter().zip(&slope).map(|(y, s)| y * s).sum()
            };
            let (gradient, by_input) =
                backward(&layout, &weights, &forward(&layout, &weights, &input, mode), &slope);
            let step = 1e-6;
            let close = |found: f64, high: f64, low: f64| {
                let slope = (high - low) / (2.0 * step);
                assert!((found - slope).abs() < 1e-7 * (1.0 + slope.abs()), "{found} is not {slope}");
            };
            for (place, &found) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let mut weights = weights.clone();
                    weights.parameters[place] += by;
                    value(&weights, &input)
                };
                close(found, moved(step), moved(-step));
            }
            for (place, &found) in by_input.iter().enumerate() {
                let moved = |by: f64| {
                    let mut input = input.clone();
                    input[place] += by;
                    value(&weights, &input)
                };
                close(found, moved(step), moved(-step));
            }
        }
    }
}
