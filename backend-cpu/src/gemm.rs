//! Single-threaded matrix products by the `gemm` crate. Callers split the work into tiles that do not depend on the
//! number of threads, so sums do not either.
//!
//! The crate's own entry point uses the best instruction set of the machine. To choose the instruction set, this module
//! calls the generic product and the kernels behind it, which are public too. They take raw pointers: this module has
//! an `unsafe` block, behind an interface that checks every length.

use std::ops::Range;

use pulp::Arch;

/// A view of a matrix in a slice: row-major, or the transpose of that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatrixView<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// What a product does with the previous values of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputMode {
    /// They are overwritten.
    Overwrite,
    /// The product is added to them.
    Accumulate,
}

impl<'a> MatrixView<'a> {
    /// A view of a row-major matrix of `columns` columns and as many rows as the slice holds.
    ///
    /// # Panics
    /// If the slice is not a whole number of rows.
    pub(crate) fn new(data: &'a [f32], columns: usize) -> Self {
        assert!(columns > 0 && data.len().is_multiple_of(columns), "the slice is whole rows");
        Self { data, rows: data.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    /// The transpose of the same data.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The numbers of rows and of columns.
    pub(crate) fn size(self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The value at a row and a column.
    #[inline(always)]
    pub(crate) fn at(self, row: usize, column: usize) -> f32 {
        self.data[row * self.row_stride + column * self.column_stride]
    }

    /// A window of up to `side` rows and columns from an index on, as it is stored: whether the stored lines are
    /// columns of the matrix, and for each stored line its offset in the slice and its values. Empty beyond the matrix.
    #[inline(always)]
    pub(crate) fn window(
        self,
        [row, column]: [usize; 2],
        side: usize,
    ) -> (bool, impl Iterator<Item = (usize, &'a [f32])>) {
        let transposed = self.column_stride != 1;
        let stored = if transposed { self.transposed() } else { self };
        let [row, column] = if transposed { [column, row] } else { [row, column] };
        let (column, width) = (column.min(stored.columns), side.min(stored.columns.saturating_sub(column)));
        let lines = (row..stored.rows.min(row + side)).map(move |row| {
            let start = row * stored.row_stride + column;
            (start, &stored.data[start..start + width])
        });
        (transposed, lines)
    }

    /// The view of a range of columns.
    ///
    /// # Panics
    /// If the range is empty or not within the matrix.
    pub(crate) fn columns(self, range: &Range<usize>) -> Self {
        assert!(range.start < range.end && range.end <= self.columns, "a non-empty range of columns of the matrix");
        Self { data: &self.data[range.start * self.column_stride..], columns: range.len(), ..self }
    }

    /// The view of a range of rows.
    ///
    /// # Panics
    /// If the range is empty or not within the matrix.
    pub(crate) fn rows(self, range: &Range<usize>) -> Self {
        self.transposed().columns(range).transposed()
    }

    /// The offset in `data` one beyond the last element.
    fn end(&self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// Computes `out = left * right` or `out += left * right`; `out` is row-major.
///
/// The crate splits a long inner sum depending on the machine's caches, but never one of at most [`MAX_INNER`] terms.
/// Longer sums are therefore split here, so that the bits depend on the instruction set alone.
///
/// # Panics
/// If the sizes disagree.
pub(crate) fn multiply(arch: Arch, out: &mut [f32], left: MatrixView<'_>, right: MatrixView<'_>, mode: OutputMode) {
    assert_eq!(left.columns, right.rows, "the inner sizes agree");
    for first in (0..left.columns).step_by(MAX_INNER) {
        let chunk = first..left.columns.min(first + MAX_INNER);
        let mode = if first == 0 { mode } else { OutputMode::Accumulate };
        multiply_chunk(arch, out, left.columns(&chunk), right.rows(&chunk), mode);
    }
}

/// The maximum number of terms of an inner sum that the crate computes in one call.
const MAX_INNER: usize = 512;

fn multiply_chunk(arch: Arch, out: &mut [f32], left: MatrixView<'_>, right: MatrixView<'_>, mode: OutputMode) {
    assert_eq!(out.len(), left.rows * right.columns, "the output has the outer sizes");
    assert!(
        left.end() <= left.data.len() && right.end() <= right.data.len(),
        "the matrices are inside their slices"
    );
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(_) => avx512(out, left, right, mode),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(_) => avx2(out, left, right, mode),
        #[cfg(target_arch = "aarch64")]
        Arch::Neon(_) => neon(out, left, right, mode),
        _ => portable(out, left, right, mode),
    }
}

/// A product by the kernels of one instruction set, which the machine must have.
///
/// The crate receives the transposes, and `out` as columns, because it writes whole registers down a column, and single
/// values otherwise.
macro_rules! product {
    ($name:ident, $kernels:ident, $simd:ident, $lanes:literal) => {
        #[inline(never)]
        fn $name(out: &mut [f32], left: MatrixView<'_>, right: MatrixView<'_>, mode: OutputMode) {
            use gemm_common::simd::MixedSimd;
            use gemm_f32::microkernel::$kernels::f32::{H_M, H_N, H_UKR, MR_DIV_N, NR, UKR};
            let stride = |stride: usize| isize::try_from(stride).expect("a slice is no longer than isize::MAX");
            let simd = <gemm_common::simd::$simd as MixedSimd<f32, f32, f32, f32>>::try_new();
            #[expect(unsafe_code, reason = "the gemm crate has no safe interface")]
            // SAFETY: the instruction set is available, or `try_new` would have returned `None`. By the assertions of
            // `multiply_chunk`, every element `row * row_stride + column * column_stride` of the three matrices lies
            // inside its slice, and `out`, being borrowed mutably, overlaps neither of the others.
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
                    simd.expect("`arch` proves that the machine has the instruction set"),
                    right.columns,
                    left.rows,
                    left.columns,
                    out.as_mut_ptr(),
                    stride(right.columns),
                    1,
                    mode == OutputMode::Accumulate,
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
    fn products_of_transposes_and_column_ranges_equal_plain_loops() {
        for arch in [Arch::new(), Arch::Scalar] {
            let (rows, inner, columns) = (7, 5, 3);
            let values = |count: usize| -> Vec<f32> { (0..count).map(|n| ((n * 7) % 11) as f32 - 5.0).collect() };
            let (left, right) = (values(rows * inner), values(columns * inner));
            let mut out = vec![1.0; rows * columns];
            multiply(
                arch,
                &mut out,
                MatrixView::new(&left, inner),
                MatrixView::new(&right, inner).transposed(),
                OutputMode::Accumulate,
            );
            for row in 0..rows {
                for column in 0..columns {
                    let sum: f32 = (0..inner).map(|k| left[row * inner + k] * right[column * inner + k]).sum();
                    assert_eq!(out[row * columns + column], 1.0 + sum);
                }
            }
            let (mut last_rows, mut all) = (vec![f32::NAN; 2 * rows], vec![0.0; columns * rows]);
            let left = MatrixView::new(&left, inner).transposed();
            multiply(arch, &mut all, MatrixView::new(&right, inner), left, OutputMode::Overwrite);
            multiply(arch, &mut last_rows, MatrixView::new(&right[inner..], inner), left, OutputMode::Overwrite);
            assert_eq!(last_rows, all[rows..]);
            let mut narrow = vec![0.0; columns * 2];
            multiply(
                arch,
                &mut narrow,
                MatrixView::new(&right, inner),
                left.columns(&(3..5)),
                OutputMode::Overwrite,
            );
            let expected: Vec<f32> = all.chunks_exact(rows).flat_map(|row| [row[3], row[4]]).collect();
            assert_eq!(narrow, expected);
        }
    }

    #[test]
    fn long_inner_sum_equals_the_sum_of_its_chunks_bit_for_bit() {
        for arch in [Arch::new(), Arch::Scalar] {
            let (rows, inner, columns) = (70, 1300, 66);
            let values =
                |count: usize| -> Vec<f32> { (0..count).map(|n| ((n * 7919) % 1009) as f32 / 1e3).collect() };
            let (left, right) = (values(rows * inner), values(inner * columns));
            let (left, right) = (MatrixView::new(&left, inner), MatrixView::new(&right, columns));
            let (mut whole, mut by_chunks) = (vec![f32::NAN; rows * columns], vec![0.0; rows * columns]);
            multiply(arch, &mut whole, left, right, OutputMode::Overwrite);
            for chunk in [0..512, 512..1024, 1024..1300] {
                multiply_chunk(
                    arch,
                    &mut by_chunks,
                    left.columns(&chunk),
                    right.rows(&chunk),
                    OutputMode::Accumulate,
                );
            }
            assert_eq!(whole, by_chunks);
            for (index, &actual) in whole.iter().enumerate() {
                let (row, column) = (index / columns, index % columns);
                let term =
                    |k: usize| f64::from(left.data[row * inner + k]) * f64::from(right.data[k * columns + column]);
                let expected: f64 = (0..inner).map(term).sum();
                // Every addition rounds, and no partial sum exceeds the whole sum, since all terms are positive.
                assert!((f64::from(actual) - expected).abs() <= expected * inner as f64 * f64::from(f32::EPSILON));
            }
        }
    }

    #[test]
    #[should_panic(expected = "the inner sizes agree")]
    fn multiply_panics_if_sizes_disagree() {
        multiply(
            Arch::new(),
            &mut [0.0; 4],
            MatrixView::new(&[0.0; 4], 2),
            MatrixView::new(&[0.0; 6], 2),
            OutputMode::Overwrite,
        );
    }
}
