//! The kernels of `mlp.cu`.

use recsim_core::td3::dropout_scale;
use recsim_core::td3::net::{BatchNorm, LayerLayout};

use super::{Behind, CHUNK, COLUMNS, Kernels, Stage, UPDATE, long, partial_numbers, word};
use crate::CudaError;
use crate::ffi::Machine;

impl<M: Machine> Kernels<'_, M> {
    /// A hidden layer in evaluation, in place.
    pub(crate) fn evaluate(&self, stage: &Stage<'_, M>, table: &M::Memory) -> Result<(), CudaError> {
        let arguments: [&[u8]; 2] = [&self.layer(stage), &self.numbers(table, 0, stage.len())];
        // SAFETY: `mlp.cu`'s arguments; every place lies in its table, as `layer` and `numbers` have seen.
        unsafe { self.machine.launch(self.mlp, "evaluate", self.blocks(stage.rows), 256, &arguments) }
    }

    /// The batch's means and inverse deviations; running statistics follow.
    pub(crate) fn moments(
        &self,
        stage: &Stage<'_, M>,
        sums: &M::Memory,
        (partial, done): (&M::Memory, &M::Memory),
        batch: &M::Memory,
    ) -> Result<(), CudaError> {
        let chunks = stage.rows.div_ceil(CHUNK);
        let arguments: [&[u8]; 6] = [
            &self.layer(stage),
            &word(chunks),
            &self.numbers(sums, 0, stage.len()),
            &self.numbers(partial, 0, stage.partial()),
            &self.numbers(done, 0, stage.columns()),
            &self.numbers(batch, 0, 2 * stage.group.nets * stage.shape().outputs),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.mlp, "moments", stage.columns() * chunks, 1024, &arguments) }
    }

    /// A hidden layer while learning.
    pub(crate) fn activate(
        &self,
        stage: &Stage<'_, M>,
        (update, threshold): (&M::Memory, u16),
        batch: &M::Memory,
        sums: &M::Memory,
        output: &M::Memory,
    ) -> Result<(), CudaError> {
        let network = stage.group.network as usize;
        let boost = dropout_scale(threshold) as f32;
        let dropout = [word(network), word(stage.depth), word(threshold.into()), boost.to_ne_bytes()].concat();
        let arguments: [&[u8]; 6] = [
            &self.layer(stage),
            &dropout,
            &self.bytes(update, UPDATE),
            &self.numbers(batch, 0, 2 * stage.group.nets * stage.shape().outputs),
            &self.numbers(sums, 0, stage.len()),
            &self.numbers(output, 0, stage.len()),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.mlp, "activate", self.blocks(stage.rows), 128, &arguments) }
    }

    /// The gradients by a layer's bias, or by its normalisation's scale and shift.
    pub(crate) fn back_to_column(
        &self,
        stage: &Stage<'_, M>,
        behind: &Behind<'_, M>,
        slope: &M::Memory,
        (partial, done): (&M::Memory, &M::Memory),
        gradient: &M::Memory,
    ) -> Result<(), CudaError> {
        let chunks = stage.rows.div_ceil(CHUNK);
        let arguments: [&[u8]; 10] = [
            &self.layer(stage),
            &word(chunks),
            &behind.boost.to_ne_bytes(),
            &self.batch(stage, behind),
            &self.numbers(behind.sums, 0, stage.len()),
            &self.numbers(behind.output, 0, stage.len()),
            &self.numbers(slope, 0, stage.len()),
            &self.numbers(partial, 0, stage.partial()),
            &self.numbers(done, 0, stage.columns()),
            &self.range(gradient, stage.group.parameters()),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.mlp, "back_to_column", stage.columns() * chunks, 1024, &arguments) }
    }

    /// From the slope by a hidden layer's output to that by its sums, in place.
    pub(crate) fn back_to_sums(
        &self,
        stage: &Stage<'_, M>,
        behind: &Behind<'_, M>,
        gradient: Option<&M::Memory>,
        slope: &M::Memory,
    ) -> Result<(), CudaError> {
        assert!(gradient.is_some() || behind.batch.is_none(), "who learns has a gradient");
        let gradient = gradient.map_or([0; 8], |gradient| self.range(gradient, stage.group.parameters()));
        let arguments: [&[u8]; 7] = [
            &self.layer(stage),
            &behind.boost.to_ne_bytes(),
            &self.batch(stage, behind),
            &self.numbers(behind.sums, 0, stage.len()),
            &self.numbers(behind.output, 0, stage.len()),
            &gradient,
            &self.numbers(slope, 0, stage.len()),
        ];
        // SAFETY: as above; `gradient` is looked at only where there is a batch.
        unsafe { self.machine.launch(self.mlp, "back_to_sums", self.blocks(stage.rows), 256, &arguments) }
    }

    /// A `Layer` of `mlp.cu`, whose weights lie in their table.
    fn layer(&self, stage: &Stage<'_, M>) -> Vec<u8> {
        let (group, layer) = (stage.group, stage.shape());
        let statistics = group.statistics_apart();
        let hidden = stage.depth + 1 < group.layout.layers().len();
        let places = |of: fn(&BatchNorm) -> usize| layer.batch_norm.as_ref().map_or(0, of);
        let mut bytes = [long(group.nets), long(stage.rows), long(layer.outputs)].concat();
        bytes.extend(self.range(stage.weights, group.parameters()));
        for number in [
            group.parameters_apart(),
            layer.bias.start,
            places(|norm| norm.scale.start),
            places(|norm| norm.shift.start),
        ] {
            bytes.extend(long(number));
        }
        bytes.extend(self.numbers(
            stage.weights,
            group.statistics(),
            (group.nets - 1) * statistics + group.layout.running_stats_count(),
        ));
        for number in [statistics, places(|norm| norm.mean.start), places(|norm| norm.variance.start)] {
            bytes.extend(long(number));
        }
        bytes.extend(word(hidden.into()));
        bytes.extend(word(layer.batch_norm.is_some().into()));
        bytes
    }

    fn batch(&self, stage: &Stage<'_, M>, behind: &Behind<'_, M>) -> [u8; 8] {
        let width = 2 * stage.group.nets * stage.shape().outputs;
        behind.batch.map_or([0; 8], |batch| self.numbers(batch, 0, width))
    }
}

impl<M: Machine> Stage<'_, M> {
    fn shape(&self) -> &LayerLayout {
        &self.group.layout.layers()[self.depth]
    }

    /// Numbers in a table of the layer.
    fn len(&self) -> usize {
        self.group.nets * self.rows * self.shape().outputs
    }

    /// Blocks that share the columns.
    fn columns(&self) -> usize {
        self.group.nets * self.shape().outputs.div_ceil(COLUMNS)
    }

    fn partial(&self) -> usize {
        partial_numbers(self.group, self.rows, self.shape().outputs)
    }
}
