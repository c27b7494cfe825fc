//! A pass through networks, forwards and backwards: products of matrices by the machine's library, and kernels between them.

use crate::CudaError;
use crate::ffi::kernels::WORD;
use crate::ffi::learning::{Behind, Kernels, Stage};
use crate::ffi::{Machine, Matrix, Product};
use crate::flat::Group;

/// What a pass keeps of each layer, for rows of one number; tables are `[nets, rows, width]`.
pub(crate) struct Pass<M: Machine> {
    rows: usize,
    /// What each Linear layer gives without its bias; in evaluation a hidden layer's output takes its place.
    sums: Vec<M::Memory>,
    /// While learning, each hidden layer's output.
    outputs: Vec<M::Memory>,
    /// `[nets, 2, width]`: while learning, each hidden layer's means and inverse deviations.
    batch: Vec<M::Memory>,
}

/// What goes into the first layer: rows of a table, the same for all networks.
pub(crate) struct Input<'a, M: Machine> {
    pub(crate) table: &'a M::Memory,
    /// Numbers before the first row.
    pub(crate) first: usize,
    /// Numbers from a row to the next.
    pub(crate) apart: usize,
}

/// Room for what a pass forgets.
pub(crate) struct Scratch<M: Machine> {
    /// Slopes by a layer's output and by its input, in turn.
    pub(crate) slopes: [M::Memory; 2],
    /// Where chunks of rows are brought together.
    pub(crate) partial: M::Memory,
    /// Blocks that are done: all 0 between kernels.
    pub(crate) done: M::Memory,
}

impl<M: Machine> Pass<M> {
    /// Room for a pass of `rows` rows through a group, and for a way back if it is to `learn`.
    pub(crate) fn new(machine: &M, group: &Group<'_>, rows: usize, learn: bool) -> Result<Self, CudaError> {
        let layers = group.layout.layers();
        let hidden = if learn { &layers[..layers.len() - 1] } else { &[] };
        let table = |numbers: usize| machine.zeros("networks' layers", group.nets * numbers * WORD);
        Ok(Self {
            rows,
            sums: layers.iter().map(|layer| table(rows * layer.outputs)).collect::<Result<_, _>>()?,
            outputs: hidden.iter().map(|layer| table(rows * layer.outputs)).collect::<Result<_, _>>()?,
            batch: hidden.iter().map(|layer| table(2 * layer.outputs)).collect::<Result<_, _>>()?,
        })
    }

    /// The last layer's sums.
    pub(crate) fn raw(&self) -> &M::Memory {
        &self.sums[self.sums.len() - 1]
    }

    /// In evaluation.
    pub(crate) fn evaluate(
        &self,
        kernels: &Kernels<'_, M>,
        group: &Group<'_>,
        weights: &M::Memory,
        input: &Input<'_, M>,
    ) -> Result<(), CudaError> {
        for depth in 0..self.sums.len() {
            self.multiply(kernels.machine, group, weights, input, depth, false)?;
            if depth + 1 < self.sums.len() {
                let stage = Stage { group, depth, rows: self.rows, weights };
                kernels.evaluate(&stage, &self.sums[depth])?;
            }
        }
        Ok(())
    }

    /// While learning: running statistics follow.
    pub(crate) fn learn(
        &self,
        kernels: &Kernels<'_, M>,
        group: &Group<'_>,
        weights: &M::Memory,
        input: &Input<'_, M>,
        scratch: &Scratch<M>,
        (update, threshold): (&M::Memory, u16),
    ) -> Result<(), CudaError> {
        for depth in 0..self.sums.len() {
            self.multiply(kernels.machine, group, weights, input, depth, true)?;
            if depth + 1 < self.sums.len() {
                let stage = Stage { group, depth, rows: self.rows, weights };
                let (sums, batch) = (&self.sums[depth], &self.batch[depth]);
                if group.layout.layers()[depth].batch_norm.is_some() {
                    kernels.moments(&stage, sums, (&scratch.partial, &scratch.done), batch)?;
                }
                kernels.activate(&stage, (update, threshold), batch, sums, &self.outputs[depth])?;
            }
        }
        Ok(())
    }

    /// The way back from the slope by the last layer's sums, which lies in the first of `slopes`, to the gradient of the
    /// parameters, if one is given, and to the slope by the input, if it is asked for: the first table of those returned,
    /// which are the same two, then has it. `boost` is what kept units were multiplied by; none after an evaluation.
    #[expect(clippy::too_many_arguments, reason = "everything that a way back touches")]
    pub(crate) fn back<'a>(
        &self,
        kernels: &Kernels<'_, M>,
        group: &Group<'_>,
        weights: &M::Memory,
        input: &Input<'_, M>,
        scratch: &Scratch<M>,
        [mut slope, mut other]: [&'a M::Memory; 2],
        boost: Option<f32>,
        gradient: Option<&M::Memory>,
        to_input: bool,
    ) -> Result<[&'a M::Memory; 2], CudaError> {
        let sums = (&scratch.partial, &scratch.done);
        for (depth, layer) in group.layout.layers().iter().enumerate().rev() {
            let stage = Stage { group, depth, rows: self.rows, weights };
            let output = if boost.is_some() { self.outputs.get(depth) } else { Some(&self.sums[depth]) };
            let behind = Behind {
                boost: boost.unwrap_or(1.0),
                batch: if boost.is_some() { self.batch.get(depth) } else { None },
                sums: &self.sums[depth],
                output: output.unwrap_or(&self.sums[depth]),
            };
            if let Some(gradient) = gradient {
                kernels.back_to_column(&stage, &behind, slope, sums, gradient)?;
            }
            if depth + 1 < self.sums.len() {
                kernels.back_to_sums(&stage, &behind, gradient, slope)?;
            }
            let by_output = |turned| Matrix {
                table: slope,
                first: 0,
                row: layer.outputs,
                apart: self.rows * layer.outputs,
                turned,
            };
            let apart = group.parameters_apart();
            let weight = group.parameters().start + layer.weight.start;
            if let Some(gradient) = gradient {
                let product =
                    Product { rows: layer.outputs, columns: layer.inputs, terms: self.rows, count: group.nets };
                let out = Matrix { table: gradient, first: weight, row: layer.inputs, apart, turned: false };
                kernels.machine.multiply(
                    &product,
                    &by_output(true),
                    &self.input(input, layer.inputs, depth, boost.is_some()),
                    &out,
                )?;
            }
            if depth > 0 || to_input {
                let product =
                    Product { rows: self.rows, columns: layer.inputs, terms: layer.outputs, count: group.nets };
                let right = Matrix { table: weights, first: weight, row: layer.inputs, apart, turned: false };
                let out = Matrix {
                    table: other,
                    first: 0,
                    row: layer.inputs,
                    apart: self.rows * layer.inputs,
                    turned: false,
                };
                kernels.machine.multiply(&product, &by_output(false), &right, &out)?;
                (slope, other) = (other, slope);
            }
        }
        Ok([slope, other])
    }

    /// A Linear layer without its bias.
    fn multiply(
        &self,
        machine: &M,
        group: &Group<'_>,
        weights: &M::Memory,
        input: &Input<'_, M>,
        depth: usize,
        learns: bool,
    ) -> Result<(), CudaError> {
        let layer = &group.layout.layers()[depth];
        let product = Product { rows: self.rows, columns: layer.outputs, terms: layer.inputs, count: group.nets };
        let weight = Matrix {
            table: weights,
            first: group.parameters().start + layer.weight.start,
            row: layer.inputs,
            apart: group.parameters_apart(),
            turned: true,
        };
        let out = Matrix {
            table: &self.sums[depth],
            first: 0,
            row: layer.outputs,
            apart: self.rows * layer.outputs,
            turned: false,
        };
        machine.multiply(&product, &self.input(input, layer.inputs, depth, learns), &weight, &out)
    }

    /// What goes into a layer.
    fn input<'a>(
        &'a self,
        input: &Input<'a, M>,
        width: usize,
        depth: usize,
        learns: bool,
    ) -> Matrix<'a, M::Memory> {
        let Some(before) = depth.checked_sub(1) else {
            return Matrix { table: input.table, first: input.first, row: input.apart, apart: 0, turned: false };
        };
        let table = if learns { &self.outputs[before] } else { &self.sums[before] };
        Matrix { table, first: 0, row: width, apart: self.rows * width, turned: false }
    }
}
