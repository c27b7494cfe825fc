//! The kernels of `mlp.cu`.

use recsim_core::td3::dropout_scale;
use recsim_core::td3::net::{BatchNorm, LayerLayout};

use super::{
    BLOCK_COLUMNS, CHUNK_ROWS, LayerCall, LearningKernels, SavedForward, UPDATE_PARAMS_BYTES, partial_len,
    u32_bytes, u64_bytes,
};
use crate::CudaError;
use crate::ffi::Device;

impl<D: Device> LearningKernels<'_, D> {
    /// A hidden layer in evaluation mode, in place.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn batch_norm_relu(
        &self,
        layer: &LayerCall<'_, D>,
        values: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let arguments: [&[u8]; 2] = [&self.layer(layer), &self.elements(values, 0, layer.len())];
        let blocks = self.blocks_for_rows(layer.rows);
        // SAFETY: `mlp.cu`'s arguments; all accesses are within the buffers, as `layer` and `elements` check.
        unsafe { self.device.launch_kernel(self.mlp, "batch_norm_relu", blocks, 256, &arguments) }
    }

    /// The batch's means and inverse standard deviations, into `batch_stats`. Updates the running statistics.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn batch_statistics(
        &self,
        layer: &LayerCall<'_, D>,
        pre_bias: &D::DeviceBuffer,
        (partial, blocks_done): (&D::DeviceBuffer, &D::DeviceBuffer),
        batch_stats: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let num_chunks = layer.rows.div_ceil(CHUNK_ROWS);
        let arguments: [&[u8]; 6] = [
            &self.layer(layer),
            &u32_bytes(num_chunks),
            &self.elements(pre_bias, 0, layer.len()),
            &self.elements(partial, 0, layer.partial_len()),
            &self.elements(blocks_done, 0, layer.column_blocks()),
            &self.elements(batch_stats, 0, layer.batch_stats_len()),
        ];
        let blocks = layer.column_blocks() * num_chunks;
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.mlp, "batch_statistics", blocks, 1024, &arguments) }
    }

    /// A hidden layer in training mode.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn batch_norm_relu_dropout(
        &self,
        layer: &LayerCall<'_, D>,
        (update_params, threshold): (&D::DeviceBuffer, u16),
        batch_stats: &D::DeviceBuffer,
        pre_bias: &D::DeviceBuffer,
        output: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let network = layer.group.first as usize;
        let scale = dropout_scale(threshold) as f32;
        let dropout =
            [u32_bytes(network), u32_bytes(layer.depth), u32_bytes(threshold.into()), scale.to_ne_bytes()].concat();
        let arguments: [&[u8]; 6] = [
            &self.layer(layer),
            &dropout,
            &self.bytes(update_params, UPDATE_PARAMS_BYTES),
            &self.elements(batch_stats, 0, layer.batch_stats_len()),
            &self.elements(pre_bias, 0, layer.len()),
            &self.elements(output, 0, layer.len()),
        ];
        let blocks = self.blocks_for_rows(layer.rows);
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.mlp, "batch_norm_relu_dropout", blocks, 128, &arguments) }
    }

    /// The gradient by a layer's bias or, with BatchNorm, by its scale and shift, into `parameter_grad`.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn bias_scale_shift_grad(
        &self,
        layer: &LayerCall<'_, D>,
        saved: &SavedForward<'_, D>,
        output_grad: &D::DeviceBuffer,
        (partial, blocks_done): (&D::DeviceBuffer, &D::DeviceBuffer),
        parameter_grad: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let num_chunks = layer.rows.div_ceil(CHUNK_ROWS);
        let arguments: [&[u8]; 10] = [
            &self.layer(layer),
            &u32_bytes(num_chunks),
            &saved.dropout_scale.to_ne_bytes(),
            &self.batch_stats(layer, saved),
            &self.elements(saved.pre_bias, 0, layer.len()),
            &self.elements(saved.output, 0, layer.len()),
            &self.elements(output_grad, 0, layer.len()),
            &self.elements(partial, 0, layer.partial_len()),
            &self.elements(blocks_done, 0, layer.column_blocks()),
            &self.range(parameter_grad, layer.group.parameters()),
        ];
        let blocks = layer.column_blocks() * num_chunks;
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.mlp, "bias_scale_shift_grad", blocks, 1024, &arguments) }
    }

    /// Turns the gradient by a hidden layer's output into the gradient by its `pre_bias`, in place.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn pre_bias_grad(
        &self,
        layer: &LayerCall<'_, D>,
        saved: &SavedForward<'_, D>,
        parameter_grad: Option<&D::DeviceBuffer>,
        grad: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        assert!(
            parameter_grad.is_some() || saved.batch_stats.is_none(),
            "a backward pass in training mode computes the parameters' gradient"
        );
        let parameter_grad =
            parameter_grad.map_or([0; 8], |parameter_grad| self.range(parameter_grad, layer.group.parameters()));
        let arguments: [&[u8]; 7] = [
            &self.layer(layer),
            &saved.dropout_scale.to_ne_bytes(),
            &self.batch_stats(layer, saved),
            &self.elements(saved.pre_bias, 0, layer.len()),
            &self.elements(saved.output, 0, layer.len()),
            &parameter_grad,
            &self.elements(grad, 0, layer.len()),
        ];
        let blocks = self.blocks_for_rows(layer.rows);
        // SAFETY: as above; `parameter_grad` is read only with `batch_stats`.
        unsafe { self.device.launch_kernel(self.mlp, "pre_bias_grad", blocks, 256, &arguments) }
    }

    /// `mlp.cu`, `Layer`; the weights are within their buffer.
    fn layer(&self, layer: &LayerCall<'_, D>) -> Vec<u8> {
        let (group, layout) = (layer.group, layer.layout());
        let running_stats_stride = group.running_stats_stride();
        let is_hidden = layer.depth + 1 < group.layout.layers().len();
        let offset = |of: fn(&BatchNorm) -> usize| layout.batch_norm.as_ref().map_or(0, of);
        let mut bytes = [u64_bytes(group.num_nets), u64_bytes(layer.rows), u64_bytes(layout.outputs)].concat();
        bytes.extend(self.range(layer.weights, group.parameters()));
        for value in [
            group.parameters_stride(),
            layout.bias.start,
            offset(|norm| norm.scale.start),
            offset(|norm| norm.shift.start),
        ] {
            bytes.extend(u64_bytes(value));
        }
        bytes.extend(self.elements(
            layer.weights,
            group.running_stats_offset(),
            (group.num_nets - 1) * running_stats_stride + group.layout.running_stats_count(),
        ));
        for value in [running_stats_stride, offset(|norm| norm.mean.start), offset(|norm| norm.variance.start)] {
            bytes.extend(u64_bytes(value));
        }
        bytes.extend(u32_bytes(is_hidden.into()));
        bytes.extend(u32_bytes(layout.batch_norm.is_some().into()));
        bytes
    }

    fn batch_stats(&self, layer: &LayerCall<'_, D>, saved: &SavedForward<'_, D>) -> [u8; 8] {
        saved.batch_stats.map_or([0; 8], |batch_stats| self.elements(batch_stats, 0, layer.batch_stats_len()))
    }
}

impl<D: Device> LayerCall<'_, D> {
    fn layout(&self) -> &LayerLayout {
        &self.group.layout.layers()[self.depth]
    }

    /// Elements of the layer's output, `[num_nets, rows, width]`.
    fn len(&self) -> usize {
        self.group.num_nets * self.rows * self.layout().outputs
    }

    /// Elements of the batch's statistics, `[num_nets, 2, width]`.
    fn batch_stats_len(&self) -> usize {
        2 * self.group.num_nets * self.layout().outputs
    }

    /// Blocks over which the columns are distributed.
    fn column_blocks(&self) -> usize {
        self.group.num_nets * self.layout().outputs.div_ceil(BLOCK_COLUMNS)
    }

    fn partial_len(&self) -> usize {
        partial_len(self.group, self.rows, self.layout().outputs)
    }
}
