//! Matrices that rows are multiplied with in evaluation mode, and the rows as they take them.

use super::active::Active;
use super::sparse::Panels;
use super::tiles::{Multiplier, blocks, fill};
use crate::block::{Block, Side, TWO};
use crate::gemm::Matrix;
use crate::isa::Processor;

/// A matrix `[inputs, outputs]`, and what each output's sum begins with.
#[derive(Debug)]
pub(super) enum Factor {
    /// Where rows' zeros are left out.
    Sparse(Panels),
    /// Where tiles are multiplied, which is faster than leaving out half of everything.
    Tiled(Tiled),
}

#[derive(Debug)]
pub(super) struct Tiled {
    arch: pulp::Arch,
    multiplier: Multiplier,
    inputs: usize,
    outputs: usize,
    blocks: Vec<Block>,
    /// `[stride]`
    terms: Vec<f32>,
}

/// Rows as they are multiplied. One place serves all matrices in turn.
#[derive(Debug, Default)]
pub(super) struct Rows {
    active: Active,
    blocks: Vec<Block>,
    /// Blocks in use.
    used: usize,
}

impl Factor {
    /// Of a matrix, and terms for its first outputs; those of others are 0.
    pub(super) fn new(processor: Processor, matrix: Matrix<'_>, terms: &[f32]) -> Self {
        let Processor { arch, multiplier } = processor;
        let Some(multiplier) = multiplier else { return Self::Sparse(Panels::new(arch, matrix, terms)) };
        let (inputs, outputs) = matrix.size();
        let mut tiled = Tiled {
            arch,
            multiplier,
            inputs,
            outputs,
            blocks: Vec::with_capacity(blocks(inputs) * blocks(outputs)),
            terms: terms.to_vec(),
        };
        tiled.terms.resize(outputs.next_multiple_of(TWO), 0.0);
        for first in (0..outputs).step_by(TWO) {
            let lines = matrix.columns(&(first..outputs.min(first + TWO))).transposed();
            let place = tiled.blocks.len();
            // Not all at once: zeros are still near when they are written over.
            tiled.blocks.resize(place + blocks(inputs), Block::ZERO);
            fill(arch, &mut tiled.blocks[place..], Side::Right, lines, |weight, _| weight);
        }
        Self::Tiled(tiled)
    }

    /// Outputs.
    pub(super) fn outputs(&self) -> usize {
        match self {
            Self::Sparse(panels) => panels.outputs(),
            Self::Tiled(tiled) => tiled.outputs,
        }
    }

    /// How far apart rows of sums are: there is room for some more than there are outputs.
    pub(super) fn stride(&self) -> usize {
        match self {
            Self::Sparse(panels) => panels.stride(),
            Self::Tiled(tiled) => tiled.terms.len(),
        }
    }

    /// Takes the first `inputs` columns of `count` rows of a table for a product. The rows are `stride` apart, and `value` says
    /// what counts, by a number and its place in the table.
    #[inline(always)]
    pub(super) fn read(
        &self,
        rows: &mut Rows,
        count: usize,
        table: &[f32],
        stride: usize,
        value: impl Fn(f32, usize) -> f32,
    ) {
        match self {
            Self::Sparse(panels) => panels.list(&mut rows.active, count, table, stride, value),
            Self::Tiled(tiled) => {
                let table = Matrix::new(&table[..count * stride], stride).columns(&(0..tiled.inputs));
                rows.used = blocks(count) * blocks(tiled.inputs);
                // They only become more: layers take turns, and what shrinks is filled with zeros when it grows again.
                rows.blocks.resize(rows.used.max(rows.blocks.len()), Block::ZERO);
                fill(tiled.arch, &mut rows.blocks[..rows.used], Side::Left, table, value);
            }
        }
    }

    /// The product of rows with the matrix, `[rows, stride]`; some more of them in the end.
    pub(super) fn multiply(&self, rows: &Rows, sums: &mut Vec<f32>) {
        match self {
            Self::Sparse(panels) => panels.multiply(&rows.active, sums),
            Self::Tiled(tiled) => tiled.multiply(&rows.blocks[..rows.used], sums),
        }
    }
}

impl Tiled {
    fn multiply(&self, rows: &[Block], sums: &mut Vec<f32>) {
        let (inputs, stride) = (blocks(self.inputs), self.terms.len());
        sums.resize(rows.len() / inputs * TWO * stride, 0.0);
        let terms = self.terms.as_chunks::<TWO>().0;
        self.multiplier.multiply(
            self.arch,
            rows,
            &self.blocks,
            inputs,
            #[inline(always)]
            |[row, column], found| {
                let places = sums[row * stride..].chunks_exact_mut(stride);
                let terms = &terms[column / TWO];
                for (found, places) in found.0.iter().zip(places) {
                    let mut all = [0.0; TWO];
                    for n in 0..TWO {
                        all[n] = found[n] + terms[n];
                    }
                    places[column..column + TWO].copy_from_slice(&all);
                }
            },
        );
    }
}
