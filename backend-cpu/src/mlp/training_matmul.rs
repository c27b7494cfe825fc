//! Matrix products of training mode.

use std::cell::RefCell;

use pulp::Arch;

use super::Processor;
use super::tile_matmul::{TileMultiplier, num_blocks, pack};
use crate::bf16_block::{BLOCK_LEN, Bf16Block, BlockProduct, Side};
use crate::gemm::{self, MatrixView, OutputMode};

/// Computes `out = left * right` or `out += left * right`; `out` is row-major.
pub(super) fn multiply(
    processor: Processor,
    out: &mut [f32],
    left: MatrixView<'_>,
    right: MatrixView<'_>,
    mode: OutputMode,
) {
    match processor.multiplier {
        None => gemm::multiply(processor.arch, out, left, right, mode),
        Some(multiplier) => {
            SCRATCH.with_borrow_mut(|scratch| scratch.multiply(processor.arch, multiplier, out, left, right, mode));
        }
    }
}

thread_local! {
    /// Packed operands. The buffer only grows and is reused by every product, so it stays in the second-level cache.
    static SCRATCH: RefCell<PackedOperands> =
        const { RefCell::new(PackedOperands { left: Vec::new(), right: Vec::new() }) };
}

/// A thread's packed operands.
struct PackedOperands {
    left: Vec<Bf16Block>,
    /// 32 lines.
    right: Vec<Bf16Block>,
}

impl PackedOperands {
    fn multiply(
        &mut self,
        arch: Arch,
        multiplier: TileMultiplier,
        out: &mut [f32],
        left: MatrixView<'_>,
        right: MatrixView<'_>,
        mode: OutputMode,
    ) {
        let ((rows, terms), (same_terms, columns)) = (left.size(), right.size());
        assert_eq!(terms, same_terms, "the inner sizes agree");
        assert_eq!(out.len(), rows * columns, "the output has the outer sizes");
        let identity = |value, _| value;
        let left_blocks = grown(&mut self.left, num_blocks(rows) * num_blocks(terms));
        pack(arch, left_blocks, Side::Left, left, identity);
        let right_blocks = grown(&mut self.right, num_blocks(terms));
        let lines = right.transposed();
        for first in (0..columns).step_by(BLOCK_LEN) {
            let width = BLOCK_LEN.min(columns - first);
            pack(arch, right_blocks, Side::Right, lines.rows(&(first..first + width)), identity);
            multiplier.multiply(
                arch,
                left_blocks,
                right_blocks,
                num_blocks(terms),
                #[inline(always)]
                |[row, _], BlockProduct(products)| {
                    for (products, line) in products.iter().zip(out[row * columns..].chunks_exact_mut(columns)) {
                        let outputs = &mut line[first..first + width];
                        match <&mut [f32; BLOCK_LEN]>::try_from(&mut *outputs) {
                            // Most lines are whole: in vectors.
                            Ok(outputs) => *outputs = mode.combine(*outputs, products),
                            Err(_) => {
                                let mut padded = [0.0; BLOCK_LEN];
                                padded[..width].copy_from_slice(outputs);
                                outputs.copy_from_slice(&mode.combine(padded, products)[..width]);
                            }
                        }
                    }
                },
            );
        }
    }
}

/// The first `count` blocks of a buffer, which grows if needed.
fn grown(buffer: &mut Vec<Bf16Block>, count: usize) -> &mut [Bf16Block] {
    buffer.resize(count.max(buffer.len()), Bf16Block::ZERO);
    &mut buffer[..count]
}

impl OutputMode {
    /// The new output values, given the previous ones and the product's.
    #[inline(always)]
    fn combine(self, mut outputs: [f32; BLOCK_LEN], products: &[f32; BLOCK_LEN]) -> [f32; BLOCK_LEN] {
        match self {
            Self::Overwrite => *products,
            Self::Accumulate => {
                for n in 0..BLOCK_LEN {
                    outputs[n] += products[n];
                }
                outputs
            }
        }
    }
}
