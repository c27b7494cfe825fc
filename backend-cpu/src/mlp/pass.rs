//! Training mode: BatchNorm looks at the whole batch, so tiles are of features, not of rows.

use pulp::Arch;
use rayon::prelude::*;
use recsim_core::model::rng::Key;
use recsim_core::td3::net::{BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, LayerLayout, MlpLayout, Weights};
use recsim_core::td3::{Network, UpdateKeys, dropout_scale, dropout_threshold, keep_mask, soft_update};

use super::product::multiply;
use super::vector::{sum, sum_of, vectorised};
use crate::CpuError;
use crate::error::resize;
use crate::gemm::{Matrix, Onto};
use crate::isa::Processor;

/// Which units of a network an update drops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    /// The share that is dropped.
    pub(crate) share: f64,
    /// The update's draws.
    pub(crate) keys: UpdateKeys,
    /// The network.
    pub(crate) network: Network,
}

/// A pass forwards, kept for the way back. Its buffers live on from update to update.
#[derive(Debug)]
pub(crate) struct Pass {
    processor: Processor,
    /// Whether no other network goes side by side.
    alone: bool,
    rows: usize,
    /// What kept units are multiplied by.
    boost: f32,
    /// `[inputs, rows]`
    input: Vec<f32>,
    layers: Vec<LayerPass>,
    /// `[features, rows]`: the slope by one layer's sums, and by the next one's.
    slopes: [Vec<f32>; 2],
}

#[derive(Debug, Default)]
struct LayerPass {
    /// `[outputs, rows]`
    output: Vec<f32>,
    /// `[outputs, rows]`: the sums with mean and deviation taken out; empty without BatchNorm.
    normalised: Vec<f32>,
    /// `[outputs]`
    batch: Vec<Batch>,
    /// `[outputs]`
    slopes: Vec<Slopes>,
}

/// What BatchNorm found a feature to be in this batch.
#[derive(Clone, Copy, Debug, Default)]
struct Batch {
    mean: f32,
    /// Unbiased.
    variance: f32,
    /// 1 / deviation.
    inverse: f32,
}

/// The slopes of the loss by a feature's scalars.
#[derive(Clone, Copy, Debug, Default)]
struct Slopes {
    bias: f32,
    scale: f32,
    shift: f32,
}

impl Pass {
    pub(crate) fn new(processor: Processor, alone: bool) -> Self {
        Self {
            processor,
            alone,
            rows: 0,
            boost: 1.0,
            input: Vec::new(),
            layers: Vec::new(),
            slopes: Default::default(),
        }
    }

    /// Room for all tables of a pass with so many rows, forwards and back.
    pub(crate) fn make_room(&mut self, layout: &MlpLayout, rows: usize) -> Result<(), CpuError> {
        const NAME: &str = "activations of an update";
        resize(NAME, &mut self.input, layout.inputs() * rows, 0.0)?;
        self.layers.resize_with(layout.layers().len(), LayerPass::default);
        for (layer, pass) in layout.layers().iter().zip(&mut self.layers) {
            resize(NAME, &mut pass.output, layer.outputs * rows, 0.0)?;
            if layer.batch_norm.is_some() {
                resize(NAME, &mut pass.normalised, layer.outputs * rows, 0.0)?;
            }
            for slopes in &mut self.slopes {
                resize(NAME, slopes, slopes.len().max(layer.outputs * rows), 0.0)?;
            }
        }
        Ok(())
    }

    /// The output, `[outputs, rows]`, for `input`, `[inputs, rows]`, once there is room.
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
        let threshold = dropout_threshold(dropout.share);
        self.boost = dropout_scale(threshold) as f32;
        for (depth, layer) in layout.layers().iter().enumerate() {
            let (before, after) = self.layers.split_at_mut(depth);
            let input = before.last().map_or(&self.input, |layer| &layer.output);
            let fate = (depth + 1 < layout.layers().len()).then(|| Fate {
                arch: self.processor.arch,
                key: dropout.keys.dropout_key(dropout.network, depth),
                threshold,
                boost: self.boost,
            });
            let wide = self.processor.features(layer.outputs, self.alone);
            let input = Matrix::new(input, self.rows);
            after[0].forward(self.processor, wide, layer, weights, input, fate.as_ref());
        }
        &self.layers[layout.layers().len() - 1].output
    }

    /// Adds the loss's gradient by the parameters to `gradient`, given that by the output, `[outputs, rows]`.
    pub(crate) fn backward(&mut self, layout: &MlpLayout, weights: &Weights, slope: &[f32], gradient: &mut [f32]) {
        let Self { processor, alone, rows, boost, input, layers, slopes: [above, below] } = self;
        let (processor, alone, rows) = (*processor, *alone, *rows);
        // They only become larger: what is not needed now is left as it is.
        let (mut above, mut below) = (above, below);
        above[..slope.len()].copy_from_slice(slope);
        for (depth, layer) in layout.layers().iter().enumerate().rev() {
            let upper = layout.layers().get(depth + 1);
            let (before, after) = layers.split_at_mut(depth);
            let input = Matrix::new(before.last().map_or(input, |layer| &layer.output), rows);
            let LayerPass { output, normalised, batch, slopes } = &mut after[0];
            let wide = processor.features(layer.outputs, alone);
            slopes.resize(layer.outputs, Slopes::default());
            below[..layer.outputs * rows]
                .par_chunks_mut(wide * rows)
                .zip(gradient[layer.weight.clone()].par_chunks_mut(wide * layer.inputs))
                .zip(slopes.par_chunks_mut(wide))
                .enumerate()
                .for_each(|(tile, ((slope, gradient), slopes))| {
                    let first = tile * wide;
                    let features = first..first + slopes.len();
                    match upper {
                        None => slope.copy_from_slice(&above[first * rows..][..slope.len()]),
                        Some(upper) => {
                            let weight = Matrix::new(&weights.parameters[upper.weight.clone()], upper.inputs);
                            let weight = weight.columns(&features).transposed();
                            let above = Matrix::new(&above[..upper.outputs * rows], rows);
                            multiply(processor, slope, weight, above, Onto::Replace);
                        }
                    }
                    vectorised(
                        processor.arch,
                        #[inline(always)]
                        || {
                            for ((slope, slopes), feature) in slope.chunks_exact_mut(rows).zip(slopes).zip(features)
                            {
                                if upper.is_some() {
                                    through_gate(slope, &output[feature * rows..][..rows], *boost);
                                }
                                *slopes = match &layer.batch_norm {
                                    None => Slopes { bias: sum(slope), ..Slopes::default() },
                                    Some(norm) => {
                                        let scale = weights.parameters[norm.scale.start + feature];
                                        let normalised = &normalised[feature * rows..][..rows];
                                        through_norm(slope, normalised, scale * batch[feature].inverse)
                                    }
                                };
                            }
                        },
                    );
                    multiply(processor, gradient, Matrix::new(slope, rows), input.transposed(), Onto::Add);
                });
            add_slopes(layer, slopes, gradient);
            std::mem::swap(&mut above, &mut below);
        }
    }

    /// Lets running statistics follow those of the batch.
    pub(crate) fn track(&self, layout: &MlpLayout, statistics: &mut [f32]) {
        let momentum = BATCH_NORM_MOMENTUM as f32;
        for (layer, pass) in layout.layers().iter().zip(&self.layers) {
            let Some(norm) = &layer.batch_norm else { continue };
            for (feature, batch) in pass.batch.iter().enumerate() {
                for (range, new) in [(&norm.mean, batch.mean), (&norm.variance, batch.variance)] {
                    let running = &mut statistics[range.start + feature];
                    *running = soft_update(*running, new, momentum);
                }
            }
        }
    }
}

impl LayerPass {
    fn forward(
        &mut self,
        processor: Processor,
        wide: usize,
        layer: &LayerLayout,
        weights: &Weights,
        input: Matrix<'_>,
        fate: Option<&Fate>,
    ) {
        let (arch, (_, rows)) = (processor.arch, input.size());
        let weight = &weights.parameters[layer.weight.clone()];
        let bias = &weights.parameters[layer.bias.clone()];
        let tiles = self.output.par_chunks_mut(wide * rows).enumerate();
        let product = |tile: usize, output: &mut [f32]| {
            let weight = &weight[tile * wide * layer.inputs..][..output.len() / rows * layer.inputs];
            multiply(processor, output, Matrix::new(weight, layer.inputs), input, Onto::Replace);
        };
        let Some(norm) = &layer.batch_norm else {
            tiles.for_each(|(tile, output)| {
                product(tile, output);
                for (output, &bias) in output.chunks_exact_mut(rows).zip(&bias[tile * wide..]) {
                    vectorised(
                        arch,
                        #[inline(always)]
                        || output.iter_mut().for_each(|output| *output += bias),
                    );
                }
                if let Some(fate) = fate {
                    fate.befall(output, tile * wide, rows);
                }
            });
            return;
        };
        let (scale, shift) = (&weights.parameters[norm.scale.clone()], &weights.parameters[norm.shift.clone()]);
        self.batch.resize(layer.outputs, Batch::default());
        let kept = self.normalised.par_chunks_mut(wide * rows).zip(self.batch.par_chunks_mut(wide));
        tiles.zip(kept).for_each(|((tile, output), (normalised, batch))| {
            product(tile, output);
            vectorised(
                arch,
                #[inline(always)]
                || {
                    let tables = output.chunks_exact_mut(rows).zip(normalised.chunks_exact_mut(rows)).zip(batch);
                    for (((output, normalised), batch), feature) in tables.zip(tile * wide..) {
                        *batch = Batch::of(output, bias[feature], normalised);
                        for (output, &normalised) in output.iter_mut().zip(&*normalised) {
                            *output = normalised * scale[feature] + shift[feature];
                        }
                    }
                },
            );
            if let Some(fate) = fate {
                fate.befall(output, tile * wide, rows);
            }
        });
    }
}

impl Batch {
    /// Normalises a feature's sums, which still lack their bias: normalising would take it out again.
    #[inline(always)]
    fn of(sums: &[f32], bias: f32, normalised: &mut [f32]) -> Self {
        let rows = sums.len() as f32;
        let mean = sum(sums) / rows;
        for (normalised, &sum) in normalised.iter_mut().zip(sums) {
            *normalised = sum - mean;
        }
        let square = sum_of(normalised, normalised, |a, b| a * b);
        let inverse = 1.0 / (square / rows + BATCH_NORM_EPSILON as f32).sqrt();
        for normalised in normalised {
            *normalised *= inverse;
        }
        Self { mean: mean + bias, variance: square / (rows - 1.0), inverse }
    }
}

/// What becomes of a hidden layer's units: ReLU, then Dropout.
struct Fate {
    arch: Arch,
    key: Key,
    threshold: u16,
    boost: f32,
}

impl Fate {
    /// `output` is `[features, rows]` from feature `first` on.
    fn befall(&self, output: &mut [f32], first: usize, rows: usize) {
        let keys: Vec<Key> = (0..rows).map(|row| self.key.fold_in(row as u64)).collect();
        let mut fates = vec![0b1111; rows];
        vectorised(
            self.arch,
            #[inline(always)]
            || {
                for (four, output) in (first / 4..).zip(output.chunks_mut(4 * rows)) {
                    if self.threshold > 0 {
                        for (fates, &key) in fates.iter_mut().zip(&keys) {
                            *fates = keep_mask(key, four as u64, self.threshold);
                        }
                    }
                    for (unit, output) in output.chunks_exact_mut(rows).enumerate() {
                        for (output, fates) in output.iter_mut().zip(&fates) {
                            // Without a branch: half of all units are below 0, at random. A NaN stays one, so that
                            // the loss shows it.
                            let keep_bits = u32::from(fates >> unit & 1).wrapping_neg();
                            let positive = if *output <= 0.0 { 0.0 } else { *output };
                            *output = positive * f32::from_bits(self.boost.to_bits() & keep_bits);
                        }
                    }
                }
            },
        );
    }
}

/// From the slope by a unit's output to that by what went into ReLU: an output is positive just where both ReLU and
/// Dropout let it pass.
#[inline(always)]
fn through_gate(slope: &mut [f32], output: &[f32], boost: f32) {
    for (slope, &output) in slope.iter_mut().zip(output) {
        *slope = if output > 0.0 { *slope * boost } else { 0.0 };
    }
}

/// From the slope by what BatchNorm gives to that by what it gets. `factor` is scale / deviation.
///
/// The slope by the bias before it is 0: the batch's mean takes every bias out again. The sum that says so would be
/// rounding noise, which Adam divides by its own size.
#[inline(always)]
fn through_norm(slope: &mut [f32], normalised: &[f32], factor: f32) -> Slopes {
    let rows = slope.len() as f32;
    let (shift, scale) = (sum(slope), sum_of(slope, normalised, |slope, normalised| slope * normalised));
    let (mean, tilt) = (shift / rows, scale / rows);
    for (slope, &normalised) in slope.iter_mut().zip(normalised) {
        *slope = (*slope - mean - normalised * tilt) * factor;
    }
    Slopes { bias: 0.0, scale, shift }
}

fn add_slopes(layer: &LayerLayout, slopes: &[Slopes], gradient: &mut [f32]) {
    for (feature, slopes) in slopes.iter().enumerate() {
        gradient[layer.bias.start + feature] += slopes.bias;
        if let Some(norm) = &layer.batch_norm {
            gradient[norm.scale.start + feature] += slopes.scale;
            gradient[norm.shift.start + feature] += slopes.shift;
        }
    }
}
