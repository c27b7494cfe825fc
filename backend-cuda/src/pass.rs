//! Forward and backward passes through a group of networks: matrix products by the device's library, and kernels
//! between them.

use crate::CudaError;
use crate::ffi::learning::{LayerCall, LearningKernels, SavedForward};
use crate::ffi::simulation::WORD_BYTES;
use crate::ffi::{Device, DeviceMatrix, MatmulShape};
use crate::packed::NetworkGroup;

/// The activations of a pass over a fixed number of rows. Buffers are `[num_nets, rows, width]`.
pub(crate) struct MlpPass<D: Device> {
    rows: usize,
    /// Each Linear layer's product without its bias. In evaluation mode the output of a hidden layer replaces it.
    pre_bias: Vec<D::DeviceBuffer>,
    /// In training mode, each hidden layer's output.
    outputs: Vec<D::DeviceBuffer>,
    /// `[num_nets, 2, width]`: in training mode, each hidden layer's means and inverse standard deviations.
    batch_stats: Vec<D::DeviceBuffer>,
}

/// The first layer's input: rows of a buffer, the same for all networks.
pub(crate) struct InputRows<'a, D: Device> {
    pub(crate) buffer: &'a D::DeviceBuffer,
    /// Elements before the first row.
    pub(crate) offset: usize,
    /// Elements from one row to the next.
    pub(crate) row_stride: usize,
}

/// Buffers that a pass needs temporarily.
pub(crate) struct BackwardScratch<D: Device> {
    /// The gradients by a layer's output and by its input, alternating.
    pub(crate) grads: [D::DeviceBuffer; 2],
    /// Partial sums over chunks of rows.
    pub(crate) partial: D::DeviceBuffer,
    /// Counters of finished blocks: all 0 between kernels.
    pub(crate) blocks_done: D::DeviceBuffer,
}

impl<D: Device> MlpPass<D> {
    /// Allocates a pass of `rows` rows through a group; with `is_trainable` also the buffers of `forward_train` and
    /// `backward`.
    ///
    /// # Errors
    /// The device has no memory.
    pub(crate) fn new(
        device: &D,
        group: &NetworkGroup<'_>,
        rows: usize,
        is_trainable: bool,
    ) -> Result<Self, CudaError> {
        let layers = group.layout.layers();
        let hidden = if is_trainable { &layers[..layers.len() - 1] } else { &[] };
        let floats = |len: usize| device.alloc_zeros("activations", group.num_nets * len * WORD_BYTES);
        Ok(Self {
            rows,
            pre_bias: layers.iter().map(|layer| floats(rows * layer.outputs)).collect::<Result<_, _>>()?,
            outputs: hidden.iter().map(|layer| floats(rows * layer.outputs)).collect::<Result<_, _>>()?,
            batch_stats: hidden.iter().map(|layer| floats(2 * layer.outputs)).collect::<Result<_, _>>()?,
        })
    }

    /// The last layer's product without its bias, `[num_nets, rows, width]`.
    pub(crate) fn pre_bias(&self) -> &D::DeviceBuffer {
        &self.pre_bias[self.pre_bias.len() - 1]
    }

    /// The forward pass in evaluation mode.
    ///
    /// # Errors
    /// A launch fails.
    pub(crate) fn forward_eval(
        &self,
        kernels: &LearningKernels<'_, D>,
        group: &NetworkGroup<'_>,
        weights: &D::DeviceBuffer,
        input: &InputRows<'_, D>,
    ) -> Result<(), CudaError> {
        for depth in 0..self.pre_bias.len() {
            self.linear(kernels.device, group, weights, input, depth, false)?;
            if depth + 1 < self.pre_bias.len() {
                let layer = LayerCall { group, depth, rows: self.rows, weights };
                kernels.batch_norm_relu(&layer, &self.pre_bias[depth])?;
            }
        }
        Ok(())
    }

    /// The forward pass in training mode. Updates the running statistics.
    ///
    /// # Errors
    /// A launch fails.
    pub(crate) fn forward_train(
        &self,
        kernels: &LearningKernels<'_, D>,
        group: &NetworkGroup<'_>,
        weights: &D::DeviceBuffer,
        input: &InputRows<'_, D>,
        scratch: &BackwardScratch<D>,
        (update_params, threshold): (&D::DeviceBuffer, u16),
    ) -> Result<(), CudaError> {
        for depth in 0..self.pre_bias.len() {
            self.linear(kernels.device, group, weights, input, depth, true)?;
            if depth + 1 < self.pre_bias.len() {
                let layer = LayerCall { group, depth, rows: self.rows, weights };
                let (pre_bias, batch_stats) = (&self.pre_bias[depth], &self.batch_stats[depth]);
                if group.layout.layers()[depth].batch_norm.is_some() {
                    let sums = (&scratch.partial, &scratch.blocks_done);
                    kernels.batch_statistics(&layer, pre_bias, sums, batch_stats)?;
                }
                let output = &self.outputs[depth];
                kernels.batch_norm_relu_dropout(
                    &layer,
                    (update_params, threshold),
                    batch_stats,
                    pre_bias,
                    output,
                )?;
            }
        }
        Ok(())
    }

    /// The backward pass. The first buffer of `grads` contains the gradient by the last layer's output.
    ///
    /// Writes the gradient by the parameters to `parameter_grad`, if given. With `with_input_grad` it also computes
    /// the gradient by the input. Returns the two buffers of `grads`, the one with the last computed gradient first.
    /// `dropout_scale` is that of the forward pass; `None` after `forward_eval`.
    ///
    /// # Errors
    /// A launch fails.
    #[expect(clippy::too_many_arguments, reason = "everything that a backward pass reads and writes")]
    pub(crate) fn backward<'a>(
        &self,
        kernels: &LearningKernels<'_, D>,
        group: &NetworkGroup<'_>,
        weights: &D::DeviceBuffer,
        input: &InputRows<'_, D>,
        scratch: &BackwardScratch<D>,
        [mut grad, mut next_grad]: [&'a D::DeviceBuffer; 2],
        dropout_scale: Option<f32>,
        parameter_grad: Option<&D::DeviceBuffer>,
        with_input_grad: bool,
    ) -> Result<[&'a D::DeviceBuffer; 2], CudaError> {
        let sums = (&scratch.partial, &scratch.blocks_done);
        let is_training = dropout_scale.is_some();
        for (depth, layout) in group.layout.layers().iter().enumerate().rev() {
            let layer = LayerCall { group, depth, rows: self.rows, weights };
            let output = if is_training { self.outputs.get(depth) } else { Some(&self.pre_bias[depth]) };
            let saved = SavedForward {
                dropout_scale: dropout_scale.unwrap_or(1.0),
                batch_stats: if is_training { self.batch_stats.get(depth) } else { None },
                pre_bias: &self.pre_bias[depth],
                output: output.unwrap_or(&self.pre_bias[depth]),
            };
            if let Some(parameter_grad) = parameter_grad {
                kernels.bias_scale_shift_grad(&layer, &saved, grad, sums, parameter_grad)?;
            }
            if depth + 1 < self.pre_bias.len() {
                kernels.pre_bias_grad(&layer, &saved, parameter_grad, grad)?;
            }
            let pre_bias_grad = |is_transposed| DeviceMatrix {
                buffer: grad,
                offset: 0,
                row_stride: layout.outputs,
                matrix_stride: self.rows * layout.outputs,
                is_transposed,
            };
            let matrix_stride = group.parameters_stride();
            let offset = group.parameters().start + layout.weight.start;
            let weight_matrix = |buffer| DeviceMatrix {
                buffer,
                offset,
                row_stride: layout.inputs,
                matrix_stride,
                is_transposed: false,
            };
            if let Some(parameter_grad) = parameter_grad {
                let shape = MatmulShape {
                    rows: layout.outputs,
                    columns: layout.inputs,
                    inner: self.rows,
                    count: group.num_nets,
                };
                kernels.device.matmul(
                    &shape,
                    &pre_bias_grad(true),
                    &self.layer_input(input, layout.inputs, depth, is_training),
                    &weight_matrix(parameter_grad),
                )?;
            }
            if depth > 0 || with_input_grad {
                let shape = MatmulShape {
                    rows: self.rows,
                    columns: layout.inputs,
                    inner: layout.outputs,
                    count: group.num_nets,
                };
                let out = DeviceMatrix {
                    buffer: next_grad,
                    offset: 0,
                    row_stride: layout.inputs,
                    matrix_stride: self.rows * layout.inputs,
                    is_transposed: false,
                };
                kernels.device.matmul(&shape, &pre_bias_grad(false), &weight_matrix(weights), &out)?;
                (grad, next_grad) = (next_grad, grad);
            }
        }
        Ok([grad, next_grad])
    }

    /// A Linear layer without its bias.
    fn linear(
        &self,
        device: &D,
        group: &NetworkGroup<'_>,
        weights: &D::DeviceBuffer,
        input: &InputRows<'_, D>,
        depth: usize,
        is_training: bool,
    ) -> Result<(), CudaError> {
        let layout = &group.layout.layers()[depth];
        let shape =
            MatmulShape { rows: self.rows, columns: layout.outputs, inner: layout.inputs, count: group.num_nets };
        let weight = DeviceMatrix {
            buffer: weights,
            offset: group.parameters().start + layout.weight.start,
            row_stride: layout.inputs,
            matrix_stride: group.parameters_stride(),
            is_transposed: true,
        };
        let out = DeviceMatrix {
            buffer: &self.pre_bias[depth],
            offset: 0,
            row_stride: layout.outputs,
            matrix_stride: self.rows * layout.outputs,
            is_transposed: false,
        };
        device.matmul(&shape, &self.layer_input(input, layout.inputs, depth, is_training), &weight, &out)
    }

    /// The input of the layer at `depth`.
    fn layer_input<'a>(
        &'a self,
        input: &InputRows<'a, D>,
        width: usize,
        depth: usize,
        is_training: bool,
    ) -> DeviceMatrix<'a, D::DeviceBuffer> {
        let Some(previous) = depth.checked_sub(1) else {
            return DeviceMatrix {
                buffer: input.buffer,
                offset: input.offset,
                row_stride: input.row_stride,
                matrix_stride: 0,
                is_transposed: false,
            };
        };
        DeviceMatrix {
            buffer: if is_training { &self.outputs[previous] } else { &self.pre_bias[previous] },
            offset: 0,
            row_stride: width,
            matrix_stride: self.rows * width,
            is_transposed: false,
        }
    }
}
