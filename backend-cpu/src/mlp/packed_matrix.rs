//! Matrices packed for products in inference mode, and the rows packed for them.

use super::Processor;
use super::nonzero::NonzeroPairs;
use super::sparse_matmul::WeightPanels;
use super::tile_matmul::{TileMultiplier, num_blocks, pack};
use crate::bf16_block::{BLOCK_LEN, Bf16Block, Side};
use crate::gemm::MatrixView;

/// A matrix, `[inputs, outputs]`, and the initial value of each output's sum.
#[derive(Debug)]
pub(super) enum PackedMatrix {
    /// For products that skip the rows' zeros.
    Sparse(WeightPanels),
    /// For tile products, which are faster than skipping half of the terms.
    Tiled(TiledMatrix),
}

#[derive(Debug)]
pub(super) struct TiledMatrix {
    arch: pulp::Arch,
    multiplier: TileMultiplier,
    inputs: usize,
    outputs: usize,
    blocks: Vec<Bf16Block>,
    /// `[stride]`
    bias: Vec<f32>,
}

/// Rows packed for a product. One buffer serves all matrices.
#[derive(Debug, Default)]
pub(super) struct PackedRows {
    nonzero: NonzeroPairs,
    blocks: Vec<Bf16Block>,
    /// The number of blocks in use.
    used_blocks: usize,
}

impl PackedMatrix {
    /// Packs a matrix, and the initial values of the first outputs' sums. Other sums start at 0.
    pub(super) fn new(processor: Processor, matrix: MatrixView<'_>, bias: &[f32]) -> Self {
        let Processor { arch, multiplier } = processor;
        let Some(multiplier) = multiplier else { return Self::Sparse(WeightPanels::new(arch, matrix, bias)) };
        let (inputs, outputs) = matrix.size();
        let mut tiled = TiledMatrix {
            arch,
            multiplier,
            inputs,
            outputs,
            blocks: Vec::with_capacity(num_blocks(inputs) * num_blocks(outputs)),
            bias: bias.to_vec(),
        };
        tiled.bias.resize(outputs.next_multiple_of(BLOCK_LEN), 0.0);
        for first in (0..outputs).step_by(BLOCK_LEN) {
            let lines = matrix.columns(&(first..outputs.min(first + BLOCK_LEN))).transposed();
            let start = tiled.blocks.len();
            // Column by column: the zeros are still in cache when they are overwritten.
            tiled.blocks.resize(start + num_blocks(inputs), Bf16Block::ZERO);
            pack(arch, &mut tiled.blocks[start..], Side::Right, lines, |weight, _| weight);
        }
        Self::Tiled(tiled)
    }

    /// The number of outputs.
    pub(super) fn outputs(&self) -> usize {
        match self {
            Self::Sparse(panels) => panels.outputs(),
            Self::Tiled(tiled) => tiled.outputs,
        }
    }

    /// The distance between rows of sums: at least the number of outputs.
    pub(super) fn stride(&self) -> usize {
        match self {
            Self::Sparse(panels) => panels.stride(),
            Self::Tiled(tiled) => tiled.bias.len(),
        }
    }

    /// Packs the first `inputs` columns of `count` rows for a product. Rows are `stride` apart; each input is `map` of
    /// a value and its offset in `values`.
    #[inline(always)]
    pub(super) fn read(
        &self,
        rows: &mut PackedRows,
        count: usize,
        values: &[f32],
        stride: usize,
        map: impl Fn(f32, usize) -> f32,
    ) {
        match self {
            Self::Sparse(panels) => panels.read(&mut rows.nonzero, count, values, stride, map),
            Self::Tiled(tiled) => {
                let inputs = MatrixView::new(&values[..count * stride], stride).columns(&(0..tiled.inputs));
                rows.used_blocks = num_blocks(count) * num_blocks(tiled.inputs);
                // The buffer only grows: layers alternate, and a buffer that shrank would be filled with zeros when it
                // grows again.
                rows.blocks.resize(rows.used_blocks.max(rows.blocks.len()), Bf16Block::ZERO);
                pack(tiled.arch, &mut rows.blocks[..rows.used_blocks], Side::Left, inputs, map);
            }
        }
    }

    /// The product of rows with the matrix, `[rows, stride]`, followed by some unused rows.
    pub(super) fn multiply(&self, rows: &PackedRows, sums: &mut Vec<f32>) {
        match self {
            Self::Sparse(panels) => panels.multiply(&rows.nonzero, sums),
            Self::Tiled(tiled) => tiled.multiply(&rows.blocks[..rows.used_blocks], sums),
        }
    }
}

impl TiledMatrix {
    fn multiply(&self, rows: &[Bf16Block], sums: &mut Vec<f32>) {
        let (inputs, stride) = (num_blocks(self.inputs), self.bias.len());
        sums.resize(rows.len() / inputs * BLOCK_LEN * stride, 0.0);
        let bias = self.bias.as_chunks::<BLOCK_LEN>().0;
        self.multiplier.multiply(
            self.arch,
            rows,
            &self.blocks,
            inputs,
            #[inline(always)]
            |[row, column], product| {
                let sum_rows = sums[row * stride..].chunks_exact_mut(stride);
                let bias = &bias[column / BLOCK_LEN];
                for (products, sums) in product.0.iter().zip(sum_rows) {
                    let mut biased = [0.0; BLOCK_LEN];
                    for n in 0..BLOCK_LEN {
                        biased[n] = products[n] + bias[n];
                    }
                    sums[column..column + BLOCK_LEN].copy_from_slice(&biased);
                }
            },
        );
    }
}
