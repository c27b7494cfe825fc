//! Matrix products by the `gemm` crate, one thread each: whoever calls cuts the work into tiles that do not depend on
//! the number of threads, so neither does any sum.
//!
//! The crate's own front door takes the best instruction set there is, so this goes round it to the generic product
//! and the kernels behind it, which are public too. They take raw pointers: here stands an `unsafe` block, behind an
//! interface that checks every length.

use std::ops::Range;

use pulp::Arch;

/// A matrix in a slice: row-major, or the transpose of that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// What becomes of the numbers that a product finds in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Onto {
    /// They are overwritten.
    Replace,
    /// The product is added to them.
    Add,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix of `columns` columns and as many rows as there are.
    pub(crate) fn new(data: &'a [f32], columns: usize) -> Self {
        assert!(columns > 0 && data.len().is_multiple_of(columns), "whole rows");
        Self { data, rows: data.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    /// The transpose, in the same place.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Rows and columns.
    pub(crate) fn size(self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// One of the numbers.
    #[inline(always)]
    pub(crate) fn at(self, row: usize, column: usize) -> f32 {
        self.data[row * self.row_stride + column * self.column_stride]
    }

    /// Up to so many rows and columns from a place on, as they lie: whether that is their transpose, and line by line, where each
    /// line begins in the slice and its numbers. None beyond the last.
    #[inline(always)]
    pub(crate) fn window(
        self,
        [row, column]: [usize; 2],
        side: usize,
    ) -> (bool, impl Iterator<Item = (usize, &'a [f32])>) {
        let transposed = self.column_stride != 1;
        let lying = if transposed { self.transposed() } else { self };
        let [row, column] = if transposed { [column, row] } else { [row, column] };
        let (column, width) = (column.min(lying.columns), side.min(lying.columns.saturating_sub(column)));
        let lines = (row..lying.rows.min(row + side)).map(move |row| {
            let start = row * lying.row_stride + column;
            (start, &lying.data[start..start + width])
        });
        (transposed, lines)
    }

    /// Some of the columns.
    pub(crate) fn columns(self, range: &Range<usize>) -> Self {
        assert!(range.start < range.end && range.end <= self.columns, "columns that are there");
        Self { data: &self.data[range.start * self.column_stride..], columns: range.len(), ..self }
    }

    /// Some of the rows.
    pub(crate) fn rows(self, range: &Range<usize>) -> Self {
        self.transposed().columns(range).transposed()
    }

    /// One beyond the last element in `data`.
    fn end(&self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// `out = left * right` or `out += left * right`; `out` is row-major.
///
/// The crate cuts a long inner sum where the machine's caches suggest, but never one of [`PIECE`] or fewer. Longer ones
/// are therefore cut here, so that the bits depend on the instruction set alone.
///
/// # Panics
/// If the sizes disagree.
pub(crate) fn multiply(arch: Arch, out: &mut [f32], left: Matrix<'_>, right: Matrix<'_>, onto: Onto) {
    assert_eq!(left.columns, right.rows, "inner sizes");
    for first in (0..left.columns).step_by(PIECE) {
        let piece = first..left.columns.min(first + PIECE);
        let onto = if first == 0 { onto } else { Onto::Add };
        multiply_piece(arch, out, left.columns(&piece), right.rows(&piece), onto);
    }
}

/// Terms of an inner sum that are added in one go.
const PIECE: usize = 512;

fn multiply_piece(arch: Arch, out: &mut [f32], left: Matrix<'_>, right: Matrix<'_>, onto: Onto) {
    assert_eq!(out.len(), left.rows * right.columns, "outer sizes");
    assert!(left.end() <= left.data.len() && right.end() <= right.data.len(), "matrices inside their slices");
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(_) => avx512(out, left, right, onto),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(_) => avx2(out, left, right, onto),
        #[cfg(target_arch = "aarch64")]
        Arch::Neon(_) => neon(out, left, right, onto),
        _ => portable(out, left, right, onto),
    }
}

/// A product by the kernels of one instruction set, which the machine must have.
///
/// The crate is given the transposes, and `out` as columns: it writes whole registers down a column, and anything else number
/// by number.
macro_rules! product {
    ($name:ident, $kernels:ident, $simd:ident, $lanes:literal) => {
        #[inline(never)]
        fn $name(out: &mut [f32], left: Matrix<'_>, right: Matrix<'_>, onto: Onto) {
            use gemm_common::simd::MixedSimd;
            use gemm_f32::microkernel::$kernels::f32::{H_M, H_N, H_UKR, MR_DIV_N, NR, UKR};
            let stride = |stride: usize| isize::try_from(stride).expect("a slice is no longer than isize::MAX");
            let simd = <gemm_common::simd::$simd as MixedSimd<f32, f32, f32, f32>>::try_new();
            #[expect(unsafe_code, reason = "the gemm crate has no safe interface")]
            // SAFETY: the instruction set is there, or `try_new` would have declined. By `multiply_piece`'s assertions,
            // every element `row * row_stride + column * column_stride` of the three matrices lies inside its slice,
            // and `out`, being borrowed mutably, overlaps neither of the others.
            unsafe {
                gemm_common::gemm::gemm_basic_generic::<
                    _,
                    f32,
                    $lanes,
                    { MR_DIV_N * $lanes },
                    NR,
                    MR_DIV_N,
                    H_M,
                    H_N,
                >(
                    simd.expect("whoever holds the key to the vectors has them"),
                    right.columns,
                    left.rows,
                    left.columns,
                    out.as_mut_ptr(),
                    stride(right.columns),
                    1,
                    onto == Onto::Add,
                    right.data.as_ptr(),
                    stride(right.row_stride),
                    stride(right.column_stride),
                    left.data.as_ptr(),
                    stride(left.row_stride),
                    stride(left.column_stride),
                    1.0,
                    1.0,
                    false,
                    false,
                    false,
                    |a, b, c| a * b + c,
                    &UKR,
                    &H_UKR,
                    false,
                    gemm_common::Parallelism::None,
                );
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
product!(avx512, avx512f, V4, 16);
#[cfg(target_arch = "x86_64")]
product!(avx2, fma, V3, 8);
#[cfg(target_arch = "aarch64")]
product!(neon, neon, Scalar, 4);
product!(portable, scalar, Scalar, 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_transposes_and_of_some_columns_are_what_loops_say() {
        for arch in [Arch::new(), Arch::Scalar] {
            let (rows, inner, columns) = (7, 5, 3);
            let numbers = |count: usize| -> Vec<f32> { (0..count).map(|n| ((n * 7) % 11) as f32 - 5.0).collect() };
            let (left, right) = (numbers(rows * inner), numbers(columns * inner));
            let mut out = vec![1.0; rows * columns];
            multiply(arch, &mut out, Matrix::new(&left, inner), Matrix::new(&right, inner).transposed(), Onto::Add);
            for row in 0..rows {
                for column in 0..columns {
                    let sum: f32 = (0..inner).map(|k| left[row * inner + k] * right[column * inner + k]).sum();
                    assert_eq!(out[row * columns + column], 1.0 + sum);
                }
            }
            let (mut some, mut all) = (vec![f32::NAN; 2 * rows], vec![0.0; columns * rows]);
            let left = Matrix::new(&left, inner).transposed();
            multiply(arch, &mut all, Matrix::new(&right, inner), left, Onto::Replace);
            multiply(arch, &mut some, Matrix::new(&right[inner..], inner), left, Onto::Replace);
            assert_eq!(some, all[rows..]);
            let mut narrow = vec![0.0; columns * 2];
            multiply(arch, &mut narrow, Matrix::new(&right, inner), left.columns(&(3..5)), Onto::Replace);
            let expected: Vec<f32> = all.chunks_exact(rows).flat_map(|row| [row[3], row[4]]).collect();
            assert_eq!(narrow, expected);
        }
    }

    #[test]
    fn a_long_inner_sum_is_the_sum_of_its_pieces_bit_for_bit() {
        for arch in [Arch::new(), Arch::Scalar] {
            let (rows, inner, columns) = (70, 1300, 66);
            let numbers =
                |count: usize| -> Vec<f32> { (0..count).map(|n| ((n * 7919) % 1009) as f32 / 1e3).collect() };
            let (left, right) = (numbers(rows * inner), numbers(inner * columns));
            let (left, right) = (Matrix::new(&left, inner), Matrix::new(&right, columns));
            let (mut whole, mut pieces) = (vec![f32::NAN; rows * columns], vec![0.0; rows * columns]);
            multiply(arch, &mut whole, left, right, Onto::Replace);
            for piece in [0..512, 512..1024, 1024..1300] {
                multiply_piece(arch, &mut pieces, left.columns(&piece), right.rows(&piece), Onto::Add);
            }
            assert_eq!(whole, pieces);
            for (place, &found) in whole.iter().enumerate() {
                let (row, column) = (place / columns, place % columns);
                let term =
                    |k: usize| f64::from(left.data[row * inner + k]) * f64::from(right.data[k * columns + column]);
                let due: f64 = (0..inner).map(term).sum();
                // Every addition rounds, and no partial sum exceeds the whole: all terms are positive.
                assert!((f64::from(found) - due).abs() <= due * inner as f64 * f64::from(f32::EPSILON));
            }
        }
    }

    #[test]
    #[should_panic(expected = "inner sizes")]
    fn sizes_that_disagree_are_refused() {
        multiply(Arch::new(), &mut [0.0; 4], Matrix::new(&[0.0; 4], 2), Matrix::new(&[0.0; 6], 2), Onto::Replace);
    }
}
