//! Inference mode: BatchNorm uses its running statistics and Dropout is off, so rows are independent.

use std::cell::RefCell;
use std::ops::Range;

use recsim_core::td3::net::{BATCH_NORM_EPSILON, LayerLayout, MlpLayout, Weights};

use super::Processor;
use super::packed_matrix::{PackedMatrix, PackedRows};
use crate::gemm::MatrixView;

/// A network's weights in inference mode, with each layer's BatchNorm folded into its weights and bias.
#[derive(Debug)]
pub(crate) struct InferenceWeights {
    inputs: usize,
    layers: Vec<PackedMatrix>,
}

/// A network's weights for the gradient by its inputs in inference mode: from the gradient by a layer's outputs to that
/// by its inputs.
#[derive(Debug)]
pub(crate) struct InputGradWeights(Vec<PackedMatrix>);

/// One thread's buffers for a tile of rows, reused from tile to tile.
#[derive(Debug, Default)]
pub(crate) struct InferenceScratch {
    /// `[rows, inputs]`
    input: Vec<f32>,
    /// Each layer's units before ReLU, `[rows, stride]`.
    sums: Vec<Vec<f32>>,
    /// `[rows, outputs]`
    output: Vec<f32>,
    /// `[rows, stride]`
    grads: Vec<f32>,
    packed: PackedRows,
}

impl InferenceWeights {
    pub(crate) fn new(processor: Processor, layout: &MlpLayout, weights: &Weights) -> Self {
        let layers = layout.layers().iter().map(|layer| {
            let (matrix, bias) = fold_batch_norm(layer, weights);
            PackedMatrix::new(processor, MatrixView::new(&matrix, layer.inputs).transposed(), &bias)
        });
        Self { inputs: layout.inputs(), layers: layers.collect() }
    }
}

impl InputGradWeights {
    /// Packs the weights for the gradient by some of the network's inputs.
    pub(crate) fn new(processor: Processor, layout: &MlpLayout, weights: &Weights, inputs: &Range<usize>) -> Self {
        let layers = layout.layers().iter().enumerate().map(|(depth, layer)| {
            let (matrix, _) = fold_batch_norm(layer, weights);
            let columns = if depth == 0 { inputs.clone() } else { 0..layer.inputs };
            PackedMatrix::new(processor, MatrixView::new(&matrix, layer.inputs).columns(&columns), &[])
        });
        Self(layers.collect())
    }
}

thread_local! {
    static SCRATCH: RefCell<[InferenceScratch; 2]> = RefCell::default();
}

impl InferenceScratch {
    /// Runs `f` with this thread's buffers, which are reused for every update, so they are not filled with zeros each
    /// time. `f` must not spawn or wait for tasks: the thread could run another task that needs the buffers.
    pub(crate) fn with_thread_local<R>(f: impl FnOnce(&mut [Self; 2]) -> R) -> R {
        SCRATCH.with_borrow_mut(f)
    }

    /// The input buffer, `[rows, inputs]`, as the last call left it.
    pub(crate) fn input(&mut self, network: &InferenceWeights, rows: usize) -> &mut [f32] {
        self.input.resize(network.inputs * rows, 0.0);
        &mut self.input
    }

    /// The rows of the last input and of the last output.
    pub(crate) fn inputs_and_outputs(&self, network: &InferenceWeights) -> impl Iterator<Item = (&[f32], &[f32])> {
        let outputs = network.layers[network.layers.len() - 1].outputs();
        self.input.chunks_exact(network.inputs).zip(self.output.chunks_exact(outputs))
    }

    /// Computes the network's output, `[rows, outputs]`, for the input buffer's rows.
    pub(crate) fn evaluate(&mut self, network: &InferenceWeights, rows: usize) -> &mut [f32] {
        let Self { input, sums, output, packed, .. } = self;
        sums.resize_with(network.layers.len().max(sums.len()), Vec::new);
        network.layers[0].read(packed, rows, input, network.inputs, |input, _| input);
        for (depth, layer) in network.layers.iter().enumerate() {
            if let Some(before) = depth.checked_sub(1) {
                let below = &network.layers[before];
                // Not `f32::max`, which would turn NaN into 0 and hide it.
                let relu = |sum: f32, _| if sum <= 0.0 { 0.0 } else { sum };
                layer.read(packed, rows, &sums[before], below.stride(), relu);
            }
            layer.multiply(packed, &mut sums[depth]);
        }
        let last = &network.layers[network.layers.len() - 1];
        output.clear();
        let sum_rows = sums[network.layers.len() - 1].chunks_exact(last.stride()).take(rows);
        sum_rows.for_each(|sums| output.extend_from_slice(&sums[..last.outputs()]));
        output
    }

    /// Computes the gradient of a network's only output by the inputs that `weights` covers, `[rows, inputs]`, at the
    /// rows just evaluated.
    pub(crate) fn input_grad(
        &mut self,
        network: &InferenceWeights,
        weights: &InputGradWeights,
        rows: usize,
    ) -> &[f32] {
        let Self { sums, output, grads, packed, .. } = self;
        weights.0[weights.0.len() - 1].read(packed, rows, output, 1, |_, _| 1.0);
        for (depth, layer) in weights.0.iter().enumerate().rev() {
            layer.multiply(packed, grads);
            if let Some(below) = depth.checked_sub(1) {
                let (sums, stride) = (&sums[below], network.layers[below].stride());
                let relu_grad = |grad, index| if sums[index] > 0.0 { grad } else { 0.0 };
                weights.0[below].read(packed, rows, grads, stride, relu_grad);
            }
        }
        output.clear();
        let grad_rows = grads.chunks_exact(weights.0[0].stride()).take(rows);
        grad_rows.for_each(|grads| output.extend_from_slice(&grads[..weights.0[0].outputs()]));
        output
    }
}

/// A layer's weights, `[outputs, inputs]`, and bias, with BatchNorm folded in.
fn fold_batch_norm(layer: &LayerLayout, weights: &Weights) -> (Vec<f32>, Vec<f32>) {
    let mut matrix = weights.parameters[layer.weight.clone()].to_vec();
    let mut bias = weights.parameters[layer.bias.clone()].to_vec();
    if let Some(norm) = &layer.batch_norm {
        let parameter = |range: &Range<usize>, unit: usize| weights.parameters[range.start + unit];
        let statistic = |range: &Range<usize>, unit: usize| weights.running_stats[range.start + unit];
        for (unit, (bias, row)) in bias.iter_mut().zip(matrix.chunks_exact_mut(layer.inputs)).enumerate() {
            let std_dev = (statistic(&norm.variance, unit) + BATCH_NORM_EPSILON as f32).sqrt();
            let factor = parameter(&norm.scale, unit) / std_dev;
            *bias = (*bias - statistic(&norm.mean, unit)) * factor + parameter(&norm.shift, unit);
            row.iter_mut().for_each(|weight| *weight *= factor);
        }
    }
    (matrix, bias)
}
