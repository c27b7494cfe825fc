//! Evaluation mode: BatchNorm goes by its running statistics and nothing is dropped, so a row needs no other row.

use std::ops::Range;

use pulp::Arch;
use recsim_core::net::{Layer, Layout, NORM_EPSILON, Weights};

use super::vectorised;
use crate::gemm::{Matrix, Onto, multiply};

/// One thread's room for the activations of a tile of rows, kept from tile to tile.
#[derive(Debug)]
pub(crate) struct Room {
    arch: Arch,
    /// What goes in, then what each layer gives: `[features, rows]`.
    activations: Vec<Vec<f32>>,
    /// `[features, rows]`: slopes on the way back.
    slopes: [Vec<f32>; 2],
}

impl Room {
    pub(crate) fn new(arch: Arch) -> Self {
        Self { arch, activations: Vec::new(), slopes: Default::default() }
    }

    /// The place of what goes in, `[inputs, rows]`, as the last call left it.
    pub(crate) fn input(&mut self, layout: &Layout, rows: usize) -> &mut [f32] {
        self.activations.resize_with(layout.layers().len() + 1, Vec::new);
        self.activations[0].resize(layout.inputs() * rows, 0.0);
        &mut self.activations[0]
    }

    /// Where the last output, `[outputs, rows]`, lies.
    pub(crate) fn output(&self) -> &[f32] {
        self.activations.last().map_or(&[], Vec::as_slice)
    }

    /// The network's output, `[outputs, rows]`, for the input in its place.
    pub(crate) fn evaluate(&mut self, layout: &Layout, weights: &Weights, rows: usize) -> &mut [f32] {
        let hidden = layout.layers().len() - 1;
        for (depth, layer) in layout.layers().iter().enumerate() {
            let (before, after) = self.activations.split_at_mut(depth + 1);
            let (input, output) = (&before[depth], &mut after[0]);
            output.resize(layer.outputs * rows, 0.0);
            let weight = Matrix::new(&weights.parameters[layer.weight.clone()], layer.inputs);
            multiply(self.arch, output, weight, Matrix::new(input, rows), Onto::Replace);
            vectorised(
                self.arch,
                #[inline(always)]
                || {
                    for (feature, output) in output.chunks_exact_mut(rows).enumerate() {
                        let (factor, term) = affine(layer, weights, feature);
                        let floor = if depth < hidden { 0.0 } else { f32::NEG_INFINITY };
                        for output in output {
                            // Not `f32::max`, which would turn a NaN into 0 and hide it.
                            let sum = *output * factor + term;
                            *output = if sum < floor { floor } else { sum };
                        }
                    }
                },
            );
        }
        &mut self.activations[hidden + 1]
    }

    /// The slope of a network's only output by some of its inputs, `[inputs, rows]`, at the row just evaluated.
    pub(crate) fn slope_by_input(
        &mut self,
        layout: &Layout,
        weights: &Weights,
        inputs: &Range<usize>,
        rows: usize,
    ) -> &[f32] {
        let Self { arch, activations, slopes: [slope, next] } = self;
        slope.clear();
        slope.resize(layout.outputs() * rows, 1.0);
        for (depth, layer) in layout.layers().iter().enumerate().rev() {
            let weight = Matrix::new(&weights.parameters[layer.weight.clone()], layer.inputs);
            let by = if depth == 0 { inputs.clone() } else { 0..layer.inputs };
            next.resize(by.len() * rows, 0.0);
            multiply(*arch, next, weight.columns(&by).transposed(), Matrix::new(slope, rows), Onto::Replace);
            if depth > 0 {
                let below = &layout.layers()[depth - 1];
                vectorised(
                    *arch,
                    #[inline(always)]
                    || {
                        let tables = next.chunks_exact_mut(rows).zip(activations[depth].chunks_exact(rows));
                        for (feature, (slope, output)) in tables.enumerate() {
                            let (factor, _) = affine(below, weights, feature);
                            for (slope, &output) in slope.iter_mut().zip(output) {
                                *slope = if output > 0.0 { *slope * factor } else { 0.0 };
                            }
                        }
                    },
                );
            }
            std::mem::swap(slope, next);
        }
        slope
    }
}

/// What a feature's weighted sum is multiplied by, and what is then added: its bias and its frozen normalisation.
#[inline(always)]
fn affine(layer: &Layer, weights: &Weights, feature: usize) -> (f32, f32) {
    let parameter = |range: &Range<usize>| weights.parameters[range.start + feature];
    let statistic = |range: &Range<usize>| weights.statistics[range.start + feature];
    match &layer.norm {
        None => (1.0, parameter(&layer.bias)),
        Some(norm) => {
            let factor = parameter(&norm.scale) / (statistic(&norm.variance) + NORM_EPSILON as f32).sqrt();
            (factor, (parameter(&layer.bias) - statistic(&norm.mean)) * factor + parameter(&norm.shift))
        }
    }
}
