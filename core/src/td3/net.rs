//! The layout of a network: where each tensor lies in a flat buffer, its name, and its initial values (`docs/spec.md`,
//! sections 4.1, Networks, and 4.2, Initialisation).
//!
//! Every backend, file and optimizer stores a network as two flat `f32` buffers, so a step over all of its values is
//! one loop over a buffer:
//!
//! | buffer | contents, layer by layer | updated by |
//! |---|---|---|
//! | parameters | weight `[out, in]`, bias `[out]`; with BatchNorm scale `[out]` and shift `[out]` | the optimizer |
//! | running statistics | with BatchNorm: mean `[out]` and variance `[out]` | training mode |

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::model::rng::{Key, uniform};

/// The layout of a multi-layer perceptron.
///
/// A hidden layer is Linear, BatchNorm (with `batch_norm`), ReLU, Dropout. The last layer is Linear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlpLayout {
    name: &'static str,
    layers: Vec<LayerLayout>,
}

/// The layout of one layer. Its output is `x * weight^T + bias`, for an input `x` of `[rows, inputs]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerLayout {
    /// The input's width.
    pub inputs: usize,
    /// The output's width.
    pub outputs: usize,
    /// The weight in the parameters: `[outputs, inputs]`, row-major as in PyTorch.
    pub weight: Range<usize>,
    /// The bias in the parameters: `[outputs]`.
    pub bias: Range<usize>,
    /// The BatchNorm that follows, if there is one.
    pub batch_norm: Option<BatchNorm>,
}

/// The layout of a BatchNorm (Ioffe and Szegedy, 2015). Each tensor is `[outputs]`.
///
/// Its output is `(x - mean) / sqrt(variance + 1e-5) * scale + shift`. Training mode uses the mean and the biased
/// variance of the minibatch, evaluation mode the running statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchNorm {
    /// The scale in the parameters, PyTorch's `weight`.
    pub scale: Range<usize>,
    /// The shift in the parameters, PyTorch's `bias`.
    pub shift: Range<usize>,
    /// The running mean in the running statistics.
    pub mean: Range<usize>,
    /// The running variance in the running statistics, a mean of unbiased variances.
    pub variance: Range<usize>,
}

/// One of the two buffers of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightBuffer {
    /// The parameters, which the optimizer updates.
    Parameters,
    /// The running statistics of BatchNorm, which training mode updates.
    RunningStats,
}

/// One named tensor of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTensor {
    /// The name that PyTorch's `nn.Sequential` gives it, such as `actor.0.weight`.
    pub name: String,
    /// The tensor's dimensions.
    pub shape: Vec<usize>,
    /// The buffer that has the tensor.
    pub buffer: WeightBuffer,
    /// The tensor's range in the buffer.
    pub range: Range<usize>,
}

/// The two buffers of a network. [`MlpLayout`] has their layout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights<T = f32> {
    /// Weights, biases, scales and shifts: `[parameter_count]`.
    pub parameters: Vec<T>,
    /// Running means and variances: `[running_stats_count]`.
    pub running_stats: Vec<T>,
}

impl MlpLayout {
    /// The layout of a network with these widths. `name` is the network's name in files.
    ///
    /// ```
    /// use recsim_core::td3::net::MlpLayout;
    /// let critic = MlpLayout::new("critic", 3, vec![4], 1, true);
    /// // Weights and biases of 3 -> 4 -> 1, scales and shifts of 4; a mean and a variance of 4.
    /// assert_eq!(critic.parameter_count(), (3 * 4 + 4) + (4 * 1 + 1) + 2 * 4);
    /// assert_eq!(critic.running_stats_count(), 2 * 4);
    /// ```
    pub fn new(
        name: &'static str,
        inputs: usize,
        hidden_sizes: Vec<usize>,
        outputs: usize,
        batch_norm: bool,
    ) -> Self {
        let (mut parameters, mut running_stats) = (Cursor(0), Cursor(0));
        let mut widths = hidden_sizes;
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
                mean: running_stats.take(pair[1]),
                variance: running_stats.take(pair[1]),
            }),
        });
        Self { name, layers: layers.collect() }
    }

    /// The network's name in files, such as `actor`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[LayerLayout] {
        &self.layers
    }

    /// The width of an input row.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    /// The width of an output row.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// The length of the parameters.
    pub fn parameter_count(&self) -> usize {
        let last = &self.layers[self.layers.len() - 1];
        last.bias.end
    }

    /// The length of the running statistics; 0 without BatchNorm.
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
    /// The number in a name is the index of the module in an `nn.Sequential` of Linear, BatchNorm1d (if any), ReLU,
    /// Dropout, and so on.
    ///
    /// ```
    /// use recsim_core::td3::net::MlpLayout;
    /// let names: Vec<_> =
    ///     MlpLayout::new("actor", 3, vec![4], 2, true).tensors().into_iter().map(|tensor| tensor.name).collect();
    /// assert_eq!(names[..3], ["actor.0.weight", "actor.0.bias", "actor.1.weight"]);
    /// assert_eq!(names[4..7], ["actor.1.running_mean", "actor.1.running_var", "actor.4.weight"]);
    /// ```
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

    /// The initial weights, with the distribution of PyTorch's `nn.Linear`.
    ///
    /// The weight or bias at index `i` of the parameters is `(2 * uniform(key.fold_in(i)) - 1) / sqrt(inputs)`,
    /// uniform in `[-1 / sqrt(inputs), 1 / sqrt(inputs))`. Scales and variances are 1; shifts and means are 0.
    pub fn initial_weights(&self, key: Key) -> Weights {
        let mut weights = Weights {
            parameters: alloc::vec![0.0; self.parameter_count()],
            running_stats: alloc::vec![0.0; self.running_stats_count()],
        };
        for layer in &self.layers {
            let bound = 1.0 / libm::sqrtf(layer.inputs as f32);
            for index in layer.weight.start..layer.bias.end {
                weights.parameters[index] = (2.0 * uniform(key.fold_in(index as u64)) - 1.0) * bound;
            }
            if let Some(norm) = &layer.batch_norm {
                weights.parameters[norm.scale.clone()].fill(1.0);
                weights.running_stats[norm.variance.clone()].fill(1.0);
            }
        }
        weights
    }
}

/// The term that BatchNorm adds to the variance, PyTorch's `eps`.
pub const BATCH_NORM_EPSILON: f64 = 1e-5;
/// The weight of a minibatch's statistics in the update of the running statistics, PyTorch's `momentum`.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// The end of the part of a buffer that is assigned to tensors.
struct Cursor(usize);

impl Cursor {
    fn take(&mut self, len: usize) -> Range<usize> {
        let start = self.0;
        self.0 += len;
        start..self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::Purpose;
    use alloc::vec;

    #[test]
    fn tensors_cover_both_buffers_without_gap_or_overlap() {
        for batch_norm in [false, true] {
            let layout = MlpLayout::new("net", 7, vec![5, 3], 2, batch_norm);
            for (buffer, len) in [
                (WeightBuffer::Parameters, layout.parameter_count()),
                (WeightBuffer::RunningStats, layout.running_stats_count()),
            ] {
                let mut ranges: Vec<_> =
                    layout.tensors().into_iter().filter(|t| t.buffer == buffer).map(|t| t.range).collect();
                ranges.sort_by_key(|range| range.start);
                assert_eq!(
                    ranges.iter().fold(0, |end, range| if range.start == end { range.end } else { end }),
                    len
                );
            }
        }
    }

    #[test]
    fn tensors_have_pytorchs_names() {
        let names = |batch_norm| -> Vec<String> {
            MlpLayout::new("q", 1, vec![1], 1, batch_norm).tensors().into_iter().map(|t| t.name).collect()
        };
        assert_eq!(names(false), ["q.0.weight", "q.0.bias", "q.3.weight", "q.3.bias"]);
        let with_batch_norm = names(true);
        assert_eq!(with_batch_norm[5], "q.1.running_var");
        assert_eq!(with_batch_norm[6], "q.4.weight");
    }

    #[test]
    fn initial_weights_are_uniform_in_their_range() {
        let layout = MlpLayout::new("net", 100, vec![50], 3, true);
        let weights = layout.initial_weights(Key::new(0, Purpose::InitialWeights));
        let first = &weights.parameters[layout.layers()[0].weight.clone()];
        let (low, high) = first.iter().fold((0.0_f32, 0.0_f32), |(low, high), &w| (low.min(w), high.max(w)));
        assert!((-0.1..-0.099).contains(&low) && (0.099..0.1).contains(&high));
        let mean = first.iter().sum::<f32>() / first.len() as f32;
        assert!(mean.abs() < 0.1 / libm::sqrtf(3.0 * first.len() as f32) * 4.0);
    }
}
