//! Training mode: BatchNorm normalizes over the whole batch, so tiles are of features, not of rows.

use pulp::Arch;
use rayon::prelude::*;
use recsim_core::model::rng::Key;
use recsim_core::td3::net::{BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, LayerLayout, MlpLayout, Weights};
use recsim_core::td3::{self, Network, UpdateKeys, dropout_threshold, keep_mask, soft_update};

use super::Processor;
use super::training_matmul::multiply;
use super::vector::{sum, sum_of, vectorized};
use crate::CpuError;
use crate::error::resize;
use crate::gemm::{MatrixView, OutputMode};

/// Which units of a network an update drops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    /// The probability that a unit is dropped, in `[0, 1)`.
    pub(crate) probability: f64,
    /// The update's keys.
    pub(crate) keys: UpdateKeys,
    /// The network.
    pub(crate) network: Network,
}

/// A forward pass and what its backward pass needs. The buffers are reused from update to update.
#[derive(Debug)]
pub(crate) struct TrainingPass {
    processor: Processor,
    /// Whether no other network is computed concurrently.
    is_alone: bool,
    rows: usize,
    /// The factor of units that are not dropped, 1 / (1 - probability).
    dropout_scale: f32,
    /// `[inputs, rows]`
    input: Vec<f32>,
    layers: Vec<LayerBuffers>,
    /// `[features, rows]`: gradients by one layer's sums, and by the next one's.
    grads: [Vec<f32>; 2],
}

#[derive(Debug, Default)]
struct LayerBuffers {
    /// `[outputs, rows]`
    output: Vec<f32>,
    /// `[outputs, rows]`: the normalized sums; empty without BatchNorm.
    normalized: Vec<f32>,
    /// `[outputs]`
    batch_stats: Vec<BatchStats>,
    /// `[outputs]`
    feature_grads: Vec<FeatureGrads>,
}

/// A feature's statistics in this batch.
#[derive(Clone, Copy, Debug, Default)]
struct BatchStats {
    mean: f32,
    /// The unbiased variance.
    variance: f32,
    /// 1 / sqrt(biased variance + epsilon).
    inverse_std: f32,
}

/// The gradients of the loss by a feature's scalar parameters.
#[derive(Clone, Copy, Debug, Default)]
struct FeatureGrads {
    bias: f32,
    scale: f32,
    shift: f32,
}

impl TrainingPass {
    pub(crate) fn new(processor: Processor, is_alone: bool) -> Self {
        Self {
            processor,
            is_alone,
            rows: 0,
            dropout_scale: 1.0,
            input: Vec::new(),
            layers: Vec::new(),
            grads: Default::default(),
        }
    }

    /// Allocates all arrays of a pass with this number of rows, forward and backward.
    ///
    /// # Errors
    /// [`CpuError::Memory`] if they do not fit into memory.
    pub(crate) fn allocate(&mut self, layout: &MlpLayout, rows: usize) -> Result<(), CpuError> {
        const ARRAY: &str = "activations of an update";
        resize(ARRAY, &mut self.input, layout.inputs() * rows, 0.0)?;
        self.layers.resize_with(layout.layers().len(), LayerBuffers::default);
        for (layer, pass) in layout.layers().iter().zip(&mut self.layers) {
            resize(ARRAY, &mut pass.output, layer.outputs * rows, 0.0)?;
            if layer.batch_norm.is_some() {
                resize(ARRAY, &mut pass.normalized, layer.outputs * rows, 0.0)?;
            }
            for grads in &mut self.grads {
                resize(ARRAY, grads, grads.len().max(layer.outputs * rows), 0.0)?;
            }
        }
        Ok(())
    }

    /// Computes the output, `[outputs, rows]`, for `input`, `[inputs, rows]`. [`Self::allocate`] must have been called
    /// for the number of rows.
    pub(crate) fn forward(
        &mut self,
        layout: &MlpLayout,
        weights: &Weights,
        input: &[f32],
        dropout: &Dropout,
    ) -> &[f32] {
        self.rows = input.len() / layout.inputs();
        self.input.clear();
        self.input.extend_from_slice(input);
        let threshold = dropout_threshold(dropout.probability);
        self.dropout_scale = td3::dropout_scale(threshold) as f32;
        for (depth, layer) in layout.layers().iter().enumerate() {
            let (before, after) = self.layers.split_at_mut(depth);
            let input = before.last().map_or(&self.input, |layer| &layer.output);
            let activation = (depth + 1 < layout.layers().len()).then(|| ReluDropout {
                arch: self.processor.arch,
                key: dropout.keys.dropout_key(dropout.network, depth),
                threshold,
                dropout_scale: self.dropout_scale,
            });
            let tile_features = self.processor.tile_features(layer.outputs, self.is_alone);
            let input = MatrixView::new(input, self.rows);
            after[0].forward(self.processor, tile_features, layer, weights, input, activation.as_ref());
        }
        &self.layers[layout.layers().len() - 1].output
    }

    /// Adds the loss's gradient by the parameters to `gradient`, given that by the output, `[outputs, rows]`.
    pub(crate) fn backward(
        &mut self,
        layout: &MlpLayout,
        weights: &Weights,
        output_grad: &[f32],
        gradient: &mut [f32],
    ) {
        let Self { processor, is_alone, rows, dropout_scale, input, layers, grads: [above, below] } = self;
        let (processor, is_alone, rows) = (*processor, *is_alone, *rows);
        // The buffers only grow; values beyond those in use are arbitrary.
        let (mut above, mut below) = (above, below);
        above[..output_grad.len()].copy_from_slice(output_grad);
        for (depth, layer) in layout.layers().iter().enumerate().rev() {
            let upper = layout.layers().get(depth + 1);
            let (before, after) = layers.split_at_mut(depth);
            let input = MatrixView::new(before.last().map_or(input, |layer| &layer.output), rows);
            let LayerBuffers { output, normalized, batch_stats, feature_grads } = &mut after[0];
            let tile_features = processor.tile_features(layer.outputs, is_alone);
            feature_grads.resize(layer.outputs, FeatureGrads::default());
            below[..layer.outputs * rows]
                .par_chunks_mut(tile_features * rows)
                .zip(gradient[layer.weight.clone()].par_chunks_mut(tile_features * layer.inputs))
                .zip(feature_grads.par_chunks_mut(tile_features))
                .enumerate()
                .for_each(|(tile, ((sum_grad, gradient), feature_grads))| {
                    let first = tile * tile_features;
                    let features = first..first + feature_grads.len();
                    match upper {
                        None => sum_grad.copy_from_slice(&above[first * rows..][..sum_grad.len()]),
                        Some(upper) => {
                            let weight = MatrixView::new(&weights.parameters[upper.weight.clone()], upper.inputs);
                            let weight = weight.columns(&features).transposed();
                            let above = MatrixView::new(&above[..upper.outputs * rows], rows);
                            multiply(processor, sum_grad, weight, above, OutputMode::Overwrite);
                        }
                    }
                    vectorized(
                        processor.arch,
                        #[inline(always)]
                        || {
                            for ((sum_grad, feature_grads), feature) in
                                sum_grad.chunks_exact_mut(rows).zip(feature_grads).zip(features)
                            {
                                if upper.is_some() {
                                    relu_dropout_backward(
                                        sum_grad,
                                        &output[feature * rows..][..rows],
                                        *dropout_scale,
                                    );
                                }
                                *feature_grads = match &layer.batch_norm {
                                    None => FeatureGrads { bias: sum(sum_grad), ..FeatureGrads::default() },
                                    Some(norm) => {
                                        let scale = weights.parameters[norm.scale.start + feature];
                                        let normalized = &normalized[feature * rows..][..rows];
                                        batch_norm_backward(
                                            sum_grad,
                                            normalized,
                                            scale * batch_stats[feature].inverse_std,
                                        )
                                    }
                                };
                            }
                        },
                    );
                    multiply(
                        processor,
                        gradient,
                        MatrixView::new(sum_grad, rows),
                        input.transposed(),
                        OutputMode::Accumulate,
                    );
                });
            add_feature_grads(layer, feature_grads, gradient);
            std::mem::swap(&mut above, &mut below);
        }
    }

    /// Updates the running statistics by those of the batch.
    pub(crate) fn update_running_stats(&self, layout: &MlpLayout, running_stats: &mut [f32]) {
        let momentum = BATCH_NORM_MOMENTUM as f32;
        for (layer, pass) in layout.layers().iter().zip(&self.layers) {
            let Some(norm) = &layer.batch_norm else { continue };
            for (feature, batch) in pass.batch_stats.iter().enumerate() {
                for (range, new) in [(&norm.mean, batch.mean), (&norm.variance, batch.variance)] {
                    let running = &mut running_stats[range.start + feature];
                    *running = soft_update(*running, new, momentum);
                }
            }
        }
    }
}

impl LayerBuffers {
    fn forward(
        &mut self,
        processor: Processor,
        tile_features: usize,
        layer: &LayerLayout,
        weights: &Weights,
        input: MatrixView<'_>,
        activation: Option<&ReluDropout>,
    ) {
        let (arch, (_, rows)) = (processor.arch, input.size());
        let weight = &weights.parameters[layer.weight.clone()];
        let bias = &weights.parameters[layer.bias.clone()];
        let tiles = self.output.par_chunks_mut(tile_features * rows).enumerate();
        let product = |tile: usize, output: &mut [f32]| {
            let weight = &weight[tile * tile_features * layer.inputs..][..output.len() / rows * layer.inputs];
            multiply(processor, output, MatrixView::new(weight, layer.inputs), input, OutputMode::Overwrite);
        };
        let Some(norm) = &layer.batch_norm else {
            tiles.for_each(|(tile, output)| {
                product(tile, output);
                for (output, &bias) in output.chunks_exact_mut(rows).zip(&bias[tile * tile_features..]) {
                    vectorized(
                        arch,
                        #[inline(always)]
                        || output.iter_mut().for_each(|output| *output += bias),
                    );
                }
                if let Some(activation) = activation {
                    activation.apply(output, tile * tile_features, rows);
                }
            });
            return;
        };
        let (scale, shift) = (&weights.parameters[norm.scale.clone()], &weights.parameters[norm.shift.clone()]);
        self.batch_stats.resize(layer.outputs, BatchStats::default());
        let outputs = self
            .normalized
            .par_chunks_mut(tile_features * rows)
            .zip(self.batch_stats.par_chunks_mut(tile_features));
        tiles.zip(outputs).for_each(|((tile, output), (normalized, batch_stats))| {
            product(tile, output);
            vectorized(
                arch,
                #[inline(always)]
                || {
                    let features =
                        output.chunks_exact_mut(rows).zip(normalized.chunks_exact_mut(rows)).zip(batch_stats);
                    for (((output, normalized), batch_stats), feature) in features.zip(tile * tile_features..) {
                        *batch_stats = BatchStats::normalize(output, bias[feature], normalized);
                        for (output, &normalized) in output.iter_mut().zip(&*normalized) {
                            *output = normalized * scale[feature] + shift[feature];
                        }
                    }
                },
            );
            if let Some(activation) = activation {
                activation.apply(output, tile * tile_features, rows);
            }
        });
    }
}

impl BatchStats {
    /// Normalizes a feature's sums, `[rows]`. The bias is not added to them, since normalizing would remove it.
    #[inline(always)]
    fn normalize(sums: &[f32], bias: f32, normalized: &mut [f32]) -> Self {
        let rows = sums.len() as f32;
        let mean = sum(sums) / rows;
        for (normalized, &sum) in normalized.iter_mut().zip(sums) {
            *normalized = sum - mean;
        }
        let square = sum_of(normalized, normalized, |a, b| a * b);
        let inverse_std = 1.0 / (square / rows + BATCH_NORM_EPSILON as f32).sqrt();
        for normalized in normalized {
            *normalized *= inverse_std;
        }
        Self { mean: mean + bias, variance: square / (rows - 1.0), inverse_std }
    }
}

/// ReLU, then Dropout, on a hidden layer's units.
struct ReluDropout {
    arch: Arch,
    key: Key,
    threshold: u16,
    dropout_scale: f32,
}

impl ReluDropout {
    /// Applies both to `output`, `[features, rows]`, from feature `first` on.
    fn apply(&self, output: &mut [f32], first: usize, rows: usize) {
        let keys: Vec<Key> = (0..rows).map(|row| self.key.fold_in(row as u64)).collect();
        let mut keep_masks = vec![0b1111; rows];
        vectorized(
            self.arch,
            #[inline(always)]
            || {
                for (four, output) in (first / 4..).zip(output.chunks_mut(4 * rows)) {
                    if self.threshold > 0 {
                        for (mask, &key) in keep_masks.iter_mut().zip(&keys) {
                            *mask = keep_mask(key, four as u64, self.threshold);
                        }
                    }
                    for (unit, output) in output.chunks_exact_mut(rows).enumerate() {
                        for (output, mask) in output.iter_mut().zip(&keep_masks) {
                            // Branch-free: half of all units are negative, at random. NaN stays NaN, so that the loss
                            // shows it.
                            let keep_bits = u32::from(mask >> unit & 1).wrapping_neg();
                            let positive = if *output <= 0.0 { 0.0 } else { *output };
                            *output = positive * f32::from_bits(self.dropout_scale.to_bits() & keep_bits);
                        }
                    }
                }
            },
        );
    }
}

/// The backward pass of ReLU and Dropout: from the gradient by a unit's output to that by its sum. An output is
/// positive exactly where both ReLU and Dropout let it pass.
#[inline(always)]
fn relu_dropout_backward(grad: &mut [f32], output: &[f32], dropout_scale: f32) {
    for (grad, &output) in grad.iter_mut().zip(output) {
        *grad = if output > 0.0 { *grad * dropout_scale } else { 0.0 };
    }
}

/// The backward pass of BatchNorm: from the gradient by its output to that by its input. `factor` is scale / standard
/// deviation.
///
/// The gradient by the bias before BatchNorm is 0, because the batch's mean removes every bias. The computed sum would
/// be rounding noise, which Adam divides by its own magnitude.
#[inline(always)]
fn batch_norm_backward(grad: &mut [f32], normalized: &[f32], factor: f32) -> FeatureGrads {
    let rows = grad.len() as f32;
    let (shift, scale) = (sum(grad), sum_of(grad, normalized, |grad, normalized| grad * normalized));
    let (mean, correlation) = (shift / rows, scale / rows);
    for (grad, &normalized) in grad.iter_mut().zip(normalized) {
        *grad = (*grad - mean - normalized * correlation) * factor;
    }
    FeatureGrads { bias: 0.0, scale, shift }
}

/// Adds the gradients of the features' scalar parameters to the layer's part of `gradient`.
fn add_feature_grads(layer: &LayerLayout, feature_grads: &[FeatureGrads], gradient: &mut [f32]) {
    for (feature, grads) in feature_grads.iter().enumerate() {
        gradient[layer.bias.start + feature] += grads.bias;
        if let Some(norm) = &layer.batch_norm {
            gradient[norm.scale.start + feature] += grads.scale;
            gradient[norm.shift.start + feature] += grads.shift;
        }
    }
}
