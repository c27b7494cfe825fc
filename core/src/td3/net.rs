//! The networks' layout: where each tensor lies in a flat buffer, what it is called, and how it begins.
//!
//! Every backend, file and optimizer keeps a network as two flat `f32` buffers: its *parameters* (weight, bias and, in
//! a normalised layer, scale and shift, layer by layer) and its *statistics* (running mean and variance, layer by
//! layer). One pass over a buffer is then one pass over a network.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::model::rng::{Key, uniform};

/// A multi-layer perceptron: hidden layers are Linear, BatchNorm (if `batch_norm`), ReLU, Dropout; the last is Linear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlpLayout {
    name: &'static str,
    layers: Vec<LayerLayout>,
}

/// Where one layer's tensors lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerLayout {
    /// Length of a row that goes in.
    pub inputs: usize,
    /// Length of a row that comes out.
    pub outputs: usize,
    /// `[outputs, inputs]` in the parameters, row-major as PyTorch keeps it.
    pub weight: Range<usize>,
    /// `[outputs]` in the parameters.
    pub bias: Range<usize>,
    /// The normalisation behind it, if any.
    pub batch_norm: Option<BatchNorm>,
}

/// Where a BatchNorm's tensors lie, each `[outputs]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchNorm {
    /// In the parameters.
    pub scale: Range<usize>,
    /// In the parameters.
    pub shift: Range<usize>,
    /// In the statistics.
    pub mean: Range<usize>,
    /// In the statistics; unbiased.
    pub variance: Range<usize>,
}

/// Which of a network's two buffers a tensor lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightBuffer {
    /// What the optimizer moves.
    Parameters,
    /// What training keeps track of.
    RunningStats,
}

/// One named tensor of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTensor {
    /// As PyTorch's `nn.Sequential` would call it, such as `actor.0.weight`.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// The buffer it lies in.
    pub buffer: WeightBuffer,
    /// Where it lies there.
    pub range: Range<usize>,
}

/// A network's two buffers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights<T = f32> {
    /// Weights, biases, scales and shifts.
    pub parameters: Vec<T>,
    /// Running means and variances.
    pub running_stats: Vec<T>,
}

impl MlpLayout {
    /// The layout of a network of these widths, called `name` in files.
    ///
    /// ```
    /// use recsim_core::td3::net::MlpLayout;
    /// let actor = MlpLayout::new("actor", 69, vec![512, 512, 256], 64, true);
    /// assert_eq!(actor.parameter_count(), 36_352 - 512 + 262_656 + 131_328 + 16_448 + 2 * (512 + 512 + 256));
    /// assert_eq!(actor.tensors()[0].name, "actor.0.weight");
    /// ```
    pub fn new(name: &'static str, inputs: usize, hidden: Vec<usize>, outputs: usize, batch_norm: bool) -> Self {
        let (mut parameters, mut statistics) = (Cursor(0), Cursor(0));
        let mut widths = hidden;
        let hidden_layers = widths.len();
        widths.insert(0, inputs);
        widths.push(outputs);
        let layers = widths.windows(2).enumerate().map(|(depth, pair)| LayerLayout {
            inputs: pair[0],
            outputs: pair[1],
            weight: parameters.take(pair[0] * pair[1]),
            bias: parameters.take(pair[1]),
            batch_norm: (batch_norm && depth < hidden_layers).then(|| BatchNorm {
                scale: parameters.take(pair[1]),
                shift: parameters.take(pair[1]),
                mean: statistics.take(pair[1]),
                variance: statistics.take(pair[1]),
            }),
        });
        Self { name, layers: layers.collect() }
    }

    /// What the network is called in files.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[LayerLayout] {
        &self.layers
    }

    /// Length of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    /// Length of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// Length of the parameters.
    pub fn parameter_count(&self) -> usize {
        let last = &self.layers[self.layers.len() - 1];
        last.bias.end
    }

    /// Length of the statistics.
    pub fn running_stats_count(&self) -> usize {
        self.layers
            .iter()
            .filter_map(|layer| layer.batch_norm.as_ref())
            .map(|norm| norm.variance.end)
            .max()
            .unwrap_or(0)
    }

    /// Every tensor, in the order of PyTorch's `state_dict`.
    ///
    /// The numbers count the modules of an `nn.Sequential` of Linear, BatchNorm1d (if any), ReLU, Dropout, ...
    pub fn tensors(&self) -> Vec<NamedTensor> {
        let mut tensors = Vec::new();
        let mut module = 0;
        for layer in &self.layers {
            let mut add = |module: usize, kind: &str, shape: &[usize], buffer, range: &Range<usize>| {
                let name = format!("{}.{module}.{kind}", self.name);
                tensors.push(NamedTensor { name, shape: shape.to_vec(), buffer, range: range.clone() });
            };
            add(module, "weight", &[layer.outputs, layer.inputs], WeightBuffer::Parameters, &layer.weight);
            add(module, "bias", &[layer.outputs], WeightBuffer::Parameters, &layer.bias);
            if let Some(norm) = &layer.batch_norm {
                module += 1;
                add(module, "weight", &[layer.outputs], WeightBuffer::Parameters, &norm.scale);
                add(module, "bias", &[layer.outputs], WeightBuffer::Parameters, &norm.shift);
                add(module, "running_mean", &[layer.outputs], WeightBuffer::RunningStats, &norm.mean);
                add(module, "running_var", &[layer.outputs], WeightBuffer::RunningStats, &norm.variance);
            }
            module += 3; // this Linear (or its BatchNorm), ReLU, Dropout
        }
        tensors
    }

    /// Initial weights as PyTorch's `nn.Linear` has them, weights and biases uniform in `±1/sqrt(inputs)`; scales and
    /// variances 1, shifts and means 0.
    pub fn initial_weights(&self, key: Key) -> Weights {
        let mut weights = Weights {
            parameters: alloc::vec![0.0; self.parameter_count()],
            running_stats: alloc::vec![0.0; self.running_stats_count()],
        };
        for layer in &self.layers {
            let bound = 1.0 / libm::sqrtf(layer.inputs as f32);
            for place in layer.weight.start..layer.bias.end {
                weights.parameters[place] = (2.0 * uniform(key.fold_in(place as u64)) - 1.0) * bound;
            }
            if let Some(norm) = &layer.batch_norm {
                weights.parameters[norm.scale.clone()].fill(1.0);
                weights.running_stats[norm.variance.clone()].fill(1.0);
            }
        }
        weights
    }
}

/// BatchNorm's guard against a division by 0.
pub const BATCH_NORM_EPSILON: f64 = 1e-5;
/// The share by which running statistics follow a batch's.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

struct Cursor(usize);

impl Cursor {
    fn take(&mut self, length: usize) -> Range<usize> {
        let start = self.0;
        self.0 += length;
        start..self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::Purpose;
    use alloc::vec;

    #[test]
    fn tensors_tile_both_buffers_without_gap_or_overlap() {
        for batch_norm in [false, true] {
            let layout = MlpLayout::new("net", 7, vec![5, 3], 2, batch_norm);
            for (buffer, length) in [
                (WeightBuffer::Parameters, layout.parameter_count()),
                (WeightBuffer::RunningStats, layout.running_stats_count()),
            ] {
                let mut ranges: Vec<_> =
                    layout.tensors().into_iter().filter(|t| t.buffer == buffer).map(|t| t.range).collect();
                ranges.sort_by_key(|range| range.start);
                assert_eq!(
                    ranges.iter().fold(0, |end, range| if range.start == end { range.end } else { end }),
                    length
                );
            }
        }
    }

    #[test]
    fn names_count_pytorchs_modules() {
        let names = |batch_norm| -> Vec<String> {
            MlpLayout::new("q", 1, vec![1], 1, batch_norm).tensors().into_iter().map(|t| t.name).collect()
        };
        assert_eq!(names(false), ["q.0.weight", "q.0.bias", "q.3.weight", "q.3.bias"]);
        let normalised = names(true);
        assert_eq!(normalised[5], "q.1.running_var");
        assert_eq!(normalised[6], "q.4.weight");
    }

    #[test]
    fn initial_weights_fill_their_range_evenly() {
        let layout = MlpLayout::new("net", 100, vec![50], 3, true);
        let weights = layout.initial_weights(Key::new(0, Purpose::InitialWeights));
        let first = &weights.parameters[layout.layers()[0].weight.clone()];
        let (low, high) = first.iter().fold((0.0_f32, 0.0_f32), |(low, high), &w| (low.min(w), high.max(w)));
        assert!((-0.1..-0.099).contains(&low) && (0.099..0.1).contains(&high));
        let mean = first.iter().sum::<f32>() / first.len() as f32;
        assert!(mean.abs() < 0.1 / libm::sqrtf(3.0 * first.len() as f32) * 4.0);
    }
}
