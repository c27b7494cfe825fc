//! Evaluation mode: BatchNorm goes by its running statistics and nothing is dropped, so a row needs no other row.

use std::cell::RefCell;
use std::ops::Range;

use recsim_core::td3::net::{BATCH_NORM_EPSILON, LayerLayout, MlpLayout, Weights};

use super::factor::{Factor, Rows};
use crate::gemm::Matrix;
use crate::isa::Processor;

/// A network's weights as evaluation takes them: a layer's frozen normalisation is part of them.
#[derive(Debug)]
pub(crate) struct Frozen {
    inputs: usize,
    layers: Vec<Factor>,
}

/// The same on the way back: from the slopes by a layer's sums to those by its input.
#[derive(Debug)]
pub(crate) struct Back(Vec<Factor>);

/// One thread's room for the numbers of a tile of rows, kept from tile to tile.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// `[rows, inputs]`
    input: Vec<f32>,
    /// What each layer's units are before ReLU: `[rows, stride]`.
    sums: Vec<Vec<f32>>,
    /// `[rows, outputs]`
    output: Vec<f32>,
    /// `[rows, stride]`
    slopes: Vec<f32>,
    rows: Rows,
}

impl Frozen {
    pub(crate) fn new(processor: Processor, layout: &MlpLayout, weights: &Weights) -> Self {
        let layers = layout.layers().iter().map(|layer| {
            let (matrix, terms) = frozen(layer, weights);
            Factor::new(processor, Matrix::new(&matrix, layer.inputs).transposed(), &terms)
        });
        Self { inputs: layout.inputs(), layers: layers.collect() }
    }
}

impl Back {
    /// To some of the network's inputs.
    pub(crate) fn new(processor: Processor, layout: &MlpLayout, weights: &Weights, inputs: &Range<usize>) -> Self {
        let layers = layout.layers().iter().enumerate().map(|(depth, layer)| {
            let (matrix, _) = frozen(layer, weights);
            let by = if depth == 0 { inputs.clone() } else { 0..layer.inputs };
            Factor::new(processor, Matrix::new(&matrix, layer.inputs).columns(&by), &[])
        });
        Self(layers.collect())
    }
}

thread_local! {
    static ROOMS: RefCell<[Room; 2]> = RefCell::default();
}

impl Room {
    /// Lends this thread's rooms, which live on: nothing is filled with zeros for every update. Meanwhile nothing may be handed
    /// to other threads, as this one could take up what wants rooms too while it waits.
    pub(crate) fn lend<R>(to: impl FnOnce(&mut [Self; 2]) -> R) -> R {
        ROOMS.with_borrow_mut(to)
    }

    /// The place of what goes in, `[rows, inputs]`, as the last call left it.
    pub(crate) fn input(&mut self, network: &Frozen, rows: usize) -> &mut [f32] {
        self.input.resize(network.inputs * rows, 0.0);
        &mut self.input
    }

    /// What went in last, and where what came out lies: row by row.
    pub(crate) fn passed(&self, network: &Frozen) -> impl Iterator<Item = (&[f32], &[f32])> {
        let outputs = network.layers[network.layers.len() - 1].outputs();
        self.input.chunks_exact(network.inputs).zip(self.output.chunks_exact(outputs))
    }

    /// The network's output, `[rows, outputs]`, for the input in its place.
    pub(crate) fn evaluate(&mut self, network: &Frozen, rows: usize) -> &mut [f32] {
        let Self { input, sums, output, rows: taken, .. } = self;
        sums.resize_with(network.layers.len().max(sums.len()), Vec::new);
        network.layers[0].read(taken, rows, input, network.inputs, |input, _| input);
        for (depth, layer) in network.layers.iter().enumerate() {
            if let Some(before) = depth.checked_sub(1) {
                let below = &network.layers[before];
                // Not `f32::max`, which would turn a NaN into 0 and hide it.
                let relu = |sum: f32, _| if sum <= 0.0 { 0.0 } else { sum };
                layer.read(taken, rows, &sums[before], below.stride(), relu);
            }
            layer.multiply(taken, &mut sums[depth]);
        }
        let last = &network.layers[network.layers.len() - 1];
        output.clear();
        let table = sums[network.layers.len() - 1].chunks_exact(last.stride()).take(rows);
        table.for_each(|sums| output.extend_from_slice(&sums[..last.outputs()]));
        output
    }

    /// The slope of a network's only output by the inputs that `back` leads to, `[rows, inputs]`, at the rows just
    /// evaluated.
    pub(crate) fn slope_by_input(&mut self, network: &Frozen, back: &Back, rows: usize) -> &[f32] {
        let Self { sums, output, slopes, rows: taken, .. } = self;
        back.0[back.0.len() - 1].read(taken, rows, output, 1, |_, _| 1.0);
        for (depth, layer) in back.0.iter().enumerate().rev() {
            layer.multiply(taken, slopes);
            if let Some(below) = depth.checked_sub(1) {
                let (sums, stride) = (&sums[below], network.layers[below].stride());
                let gate = |slope, place| if sums[place] > 0.0 { slope } else { 0.0 };
                back.0[below].read(taken, rows, slopes, stride, gate);
            }
        }
        output.clear();
        let table = slopes.chunks_exact(back.0[0].stride()).take(rows);
        table.for_each(|slopes| output.extend_from_slice(&slopes[..back.0[0].outputs()]));
        output
    }
}

/// A layer's weights, `[outputs, inputs]`, and what is added to their sums: bias and normalisation included.
fn frozen(layer: &LayerLayout, weights: &Weights) -> (Vec<f32>, Vec<f32>) {
    let mut matrix = weights.parameters[layer.weight.clone()].to_vec();
    let mut terms = weights.parameters[layer.bias.clone()].to_vec();
    if let Some(norm) = &layer.batch_norm {
        let parameter = |range: &Range<usize>, unit: usize| weights.parameters[range.start + unit];
        let statistic = |range: &Range<usize>, unit: usize| weights.running_stats[range.start + unit];
        for (unit, (term, row)) in terms.iter_mut().zip(matrix.chunks_exact_mut(layer.inputs)).enumerate() {
            let deviation = (statistic(&norm.variance, unit) + BATCH_NORM_EPSILON as f32).sqrt();
            let factor = parameter(&norm.scale, unit) / deviation;
            *term = (*term - statistic(&norm.mean, unit)) * factor + parameter(&norm.shift, unit);
            row.iter_mut().for_each(|weight| *weight *= factor);
        }
    }
    (matrix, terms)
}
