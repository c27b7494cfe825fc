//! Single-precision products on tiles of bfloat16, faster than a machine's single-precision units.
//!
//! A value of a product depends only on its row and its column, and its terms are added in one order: neither the
//! number of other rows and columns nor how they are split changes a bit.

use pulp::Arch;

use super::vectorized;
use crate::InstructionSet;
#[cfg(test)]
use crate::bf16_block::emulated;
use crate::bf16_block::{BLOCK_LEN, Bf16Block, BlockProduct, Side};
use crate::gemm::MatrixView;
#[cfg(target_arch = "x86_64")]
use crate::intrinsics::Amx;
use crate::intrinsics::prefetch;

/// The unit that multiplies blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TileMultiplier {
    #[cfg(target_arch = "x86_64")]
    Amx(Amx),
    /// Scalar emulation of AMX, bit for bit, for tests.
    #[cfg(test)]
    Emulated,
}

/// The number of blocks that `count` lines, or terms of a sum, have.
pub(super) fn num_blocks(count: usize) -> usize {
    count.div_ceil(BLOCK_LEN)
}

/// Packs the blocks of a matrix of lines, `[lines, terms]`, for one side of a product whose sums run over the terms.
/// Each packed value is `map` of a value and its offset in the matrix's slice.
#[inline(always)]
pub(super) fn pack(
    arch: Arch,
    to: &mut [Bf16Block],
    side: Side,
    matrix: MatrixView<'_>,
    map: impl Fn(f32, usize) -> f32,
) {
    let (lines, terms) = matrix.size();
    assert_eq!(to.len(), num_blocks(lines) * num_blocks(terms), "the output has every block");
    vectorized(
        arch,
        #[inline(always)]
        || {
            let mut values = [[0.0; BLOCK_LEN]; BLOCK_LEN];
            for (index, block) in to.iter_mut().enumerate() {
                let [line, term] =
                    [index / num_blocks(terms), index % num_blocks(terms)].map(|block| block * BLOCK_LEN);
                // Prefetches the next window: its strided reads are slow, and the hardware does not predict them.
                matrix.window([line, term + BLOCK_LEN], BLOCK_LEN).1.for_each(|(_, ahead)| prefetch(ahead));
                let (transposed, stored_lines) = matrix.window([line, term], BLOCK_LEN);
                let mut filled = 0;
                for (values, (start, stored)) in values.iter_mut().zip(stored_lines) {
                    // Most lines are whole, so their length is a compile-time constant.
                    if let Ok(stored) = <&[f32; BLOCK_LEN]>::try_from(stored) {
                        for (lane, (value, &from)) in values.iter_mut().zip(stored).enumerate() {
                            *value = map(from, start + lane);
                        }
                    } else {
                        for (lane, (value, &from)) in values.iter_mut().zip(stored).enumerate() {
                            *value = map(from, start + lane);
                        }
                        values[stored.len()..].fill(0.0);
                    }
                    filled += 1;
                }
                values[filled..].fill([0.0; BLOCK_LEN]);
                block.pack(arch, side, &values, transposed);
            }
        },
    );
}

impl TileMultiplier {
    /// The multiplier of an instruction set; `None` if it has none, or this machine does not have it.
    pub(crate) fn new(instruction_set: InstructionSet) -> Option<Self> {
        match instruction_set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Amx => Amx::try_new().map(Self::Amx),
            _ => None,
        }
    }

    /// Passes the products of all lines of `left` and `right` to `consume`, 32 by 32 of them at a time, with the
    /// indices of their first row and column. A line has `term_blocks` blocks of terms.
    #[cfg_attr(not(any(target_arch = "x86_64", test)), expect(unused_variables, reason = "no multiplier exists"))]
    #[inline(always)]
    pub(super) fn multiply(
        self,
        arch: Arch,
        left: &[Bf16Block],
        right: &[Bf16Block],
        term_blocks: usize,
        consume: impl FnMut([usize; 2], &BlockProduct),
    ) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(amx) => {
                let tiles = amx.configure();
                multiply_with(
                    arch,
                    left,
                    right,
                    term_blocks,
                    |left, right, sums| tiles.multiply_bf16(left, right, sums),
                    consume,
                );
            }
            #[cfg(test)]
            Self::Emulated => multiply_with(arch, left, right, term_blocks, emulated::multiply, consume),
        }
    }
}

/// Like [`TileMultiplier::multiply`], with the given product of two lines of blocks.
#[cfg(any(target_arch = "x86_64", test))]
#[inline(always)]
fn multiply_with(
    arch: Arch,
    left: &[Bf16Block],
    right: &[Bf16Block],
    term_blocks: usize,
    product: impl Fn(&[Bf16Block], &[Bf16Block], &mut BlockProduct),
    mut consume: impl FnMut([usize; 2], &BlockProduct),
) {
    vectorized(
        arch,
        #[inline(always)]
        || {
            let mut sums = BlockProduct([[0.0; BLOCK_LEN]; BLOCK_LEN]);
            // A right line of blocks stays in the first-level cache for all left lines.
            for (column, right) in right.chunks_exact(term_blocks).enumerate() {
                for (row, left) in left.chunks_exact(term_blocks).enumerate() {
                    product(left, right, &mut sums);
                    consume([row * BLOCK_LEN, column * BLOCK_LEN], &sums);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use recsim_core::model::rng::{Key, Purpose, uniform};

    use super::super::Processor;
    use super::super::packed_matrix::{PackedMatrix, PackedRows};
    use super::super::training_matmul::multiply;
    use super::*;
    use crate::gemm::{self, OutputMode};
    use crate::skip;

    /// Values of all magnitudes that networks have.
    fn random_values(seed: u64, count: usize) -> Vec<f32> {
        let draw = |n: usize| uniform(Key::new(seed, Purpose::World).fold_in(n as u64));
        (0..count).map(|n| (2.0 * draw(2 * n) - 1.0) * (10.0 * draw(2 * n + 1) - 8.0).exp2()).collect()
    }

    fn product(multiplier: TileMultiplier, left: MatrixView<'_>, right: MatrixView<'_>) -> Vec<f32> {
        product_on(Arch::new(), multiplier, left, right)
    }

    fn product_on(arch: Arch, multiplier: TileMultiplier, left: MatrixView<'_>, right: MatrixView<'_>) -> Vec<f32> {
        let processor = Processor { arch, multiplier: Some(multiplier) };
        let mut out = vec![f32::NAN; left.size().0 * right.size().1];
        multiply(processor, &mut out, left, right, OutputMode::Overwrite);
        let mut sum = vec![1.0; out.len()];
        multiply(processor, &mut sum, left, right, OutputMode::Accumulate);
        assert!(sum.iter().zip(&out).all(|(sum, out)| sum.is_nan() && out.is_nan() || *sum == 1.0 + out));
        out
    }

    const SIZES: [[usize; 3]; 6] =
        [[1, 1, 1], [32, 32, 32], [33, 64, 31], [5, 100, 70], [64, 512, 40], [3, 133, 1]];

    #[test]
    fn tile_products_are_nearer_than_single_precision() {
        let [mut tile_error, mut single_error] = [0.0; 2];
        for [rows, terms, columns] in SIZES {
            let (left, right) = (random_values(1, rows * terms), random_values(2, terms * columns));
            let (left, right) = (MatrixView::new(&left, terms), MatrixView::new(&right, columns));
            let mut single = vec![0.0; rows * columns];
            gemm::multiply(Arch::new(), &mut single, left, right, OutputMode::Overwrite);
            let actual = product(TileMultiplier::Emulated, left, right);
            for (index, (actual, single)) in actual.into_iter().zip(single).enumerate() {
                let (row, column) = (index / columns, index % columns);
                let term = |n: usize| f64::from(left.at(row, n)) * f64::from(right.at(n, column));
                let expected: f64 = (0..terms).map(term).sum();
                let magnitude: f64 = (0..terms).map(|n| term(n).abs()).sum();
                let error = |value: f32| (f64::from(value) - expected) / magnitude;
                // Two units may be omitted from each product; 16 products and then two sums are rounded, and six such
                // sums are added for every 32 terms.
                let units = (2 + 16 + 1 + 6 * terms.div_ceil(BLOCK_LEN)) as f64;
                assert!(error(actual).abs() <= units * f64::from(f32::EPSILON) / 2.0, "{actual} is not {expected}");
                tile_error += error(actual).powi(2);
                single_error += error(single).powi(2);
            }
        }
        eprintln!("error: {:.2} of single precision's", f64::sqrt(tile_error / single_error));
        assert!(tile_error < single_error);
    }

    #[test]
    fn amx_products_equal_the_emulation_bit_for_bit() {
        let Some(amx) = TileMultiplier::new(InstructionSet::Amx) else {
            skip::no_amx("amx_products_equal_the_emulation_bit_for_bit");
            return;
        };
        for (n, [rows, terms, columns]) in SIZES.into_iter().enumerate() {
            let (mut left, mut right) =
                (random_values(n as u64 + 3, rows * terms), random_values(n as u64 + 9, terms * columns));
            // Includes zeros, values whose last parts are subnormal, and values whose products are.
            for (index, value) in left.iter_mut().chain(&mut right).enumerate() {
                match index % 7 {
                    0 => *value = 0.0,
                    1 => *value *= 1e-19,
                    2 => *value *= 1e-33,
                    _ => (),
                }
            }
            let (left, right) = (MatrixView::new(&left, terms), MatrixView::new(&right, columns));
            assert_eq!(product(amx, left, right), product(TileMultiplier::Emulated, left, right));
        }
    }

    #[test]
    fn product_of_transposes_equals_the_product() {
        let (rows, terms, columns) = (40, 70, 35);
        let (left, right) = (random_values(4, rows * terms), random_values(5, terms * columns));
        let transpose = |array: &[f32], width: usize| -> Vec<f32> {
            (0..array.len()).map(|n| array[n % (array.len() / width) * width + n / (array.len() / width)]).collect()
        };
        let (transposed_left, transposed_right) = (transpose(&left, terms), transpose(&right, columns));
        let expected =
            product(TileMultiplier::Emulated, MatrixView::new(&left, terms), MatrixView::new(&right, columns));
        let left = MatrixView::new(&transposed_left, rows).transposed();
        let right = MatrixView::new(&transposed_right, terms).transposed();
        for arch in [Arch::new(), Arch::Scalar] {
            assert_eq!(product_on(arch, TileMultiplier::Emulated, left, right), expected);
        }
    }

    #[test]
    fn row_product_does_not_depend_on_other_rows() {
        let (rows, terms, columns) = (70, 75, 33);
        let (array, matrix) = (random_values(6, rows * terms), random_values(7, terms * columns));
        let expected =
            product(TileMultiplier::Emulated, MatrixView::new(&array, terms), MatrixView::new(&matrix, columns));
        let processor = Processor { arch: Arch::new(), multiplier: Some(TileMultiplier::Emulated) };
        let packed = PackedMatrix::new(processor, MatrixView::new(&matrix, columns), &[]);
        let (mut rows_buffer, mut sums) = (PackedRows::default(), Vec::new());
        for (first, count) in [(0, rows), (3, 1), (3, 64), (69, 1)] {
            packed.read(&mut rows_buffer, count, &array[first * terms..][..count * terms], terms, |value, _| value);
            packed.multiply(&rows_buffer, &mut sums);
            for (sums, expected) in sums
                .chunks_exact(packed.stride())
                .zip(expected[first * columns..].chunks_exact(columns))
                .take(count)
            {
                assert_eq!(sums[..columns], *expected, "{count} rows from {first} on");
            }
        }
    }

    #[test]
    fn non_finite_and_too_large_values_give_nan() {
        for bad in [f32::NAN, -f32::NAN, f32::from_bits(0x7fff_ffff), f32::INFINITY, f32::MAX] {
            for index in 0..3 {
                let mut left = [0.0; 3];
                left[index] = bad;
                for multiplier in
                    TileMultiplier::new(InstructionSet::Amx).into_iter().chain([TileMultiplier::Emulated])
                {
                    let actual =
                        product(multiplier, MatrixView::new(&left, 3), MatrixView::new(&[1.0, 2.0, 3.0], 1));
                    assert!(actual[0].is_nan(), "{bad} gives {actual:?}");
                }
            }
        }
    }
}
