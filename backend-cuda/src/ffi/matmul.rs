//! Products of `f32` matrices, as a device's library computes them.

use std::fmt;
use std::str::FromStr;

/// The shape of `count` products, each of a matrix `[rows, inner]` and a matrix `[inner, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatmulShape {
    /// Rows of the left matrix and of the product.
    pub rows: usize,
    /// Columns of the right matrix and of the product.
    pub columns: usize,
    /// Columns of the left matrix and rows of the right one.
    pub inner: usize,
    /// Number of products.
    pub count: usize,
}

/// Row-major matrices in a buffer of `f32`.
#[derive(Debug)]
pub struct DeviceMatrix<'a, B> {
    /// The buffer.
    pub buffer: &'a B,
    /// Elements before the first matrix.
    pub offset: usize,
    /// Elements from one row to the next.
    pub row_stride: usize,
    /// Elements from one matrix to the next; 0 if all products use the same.
    pub matrix_stride: usize,
    /// Whether the buffer contains the transposed matrices.
    pub is_transposed: bool,
}

impl<B> DeviceMatrix<'_, B> {
    /// The elements that the buffer must have for `count` matrices of this shape.
    ///
    /// # Panics
    /// If a matrix is empty, or its rows overlap.
    pub(super) fn required_len(&self, rows: usize, columns: usize, count: usize) -> usize {
        let (rows, columns) = if self.is_transposed { (columns, rows) } else { (rows, columns) };
        assert!(columns <= self.row_stride && rows * columns * count > 0, "matrices with separate rows");
        self.offset + (count - 1) * self.matrix_stride + (rows - 1) * self.row_stride + columns
    }
}

/// The precision of a GPU's matrix products. Sums are always of `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// All 24 significant bits of a factor.
    #[default]
    Float32,
    /// 11 significant bits, on tensor cores.
    Tf32,
    /// 8 significant bits, on tensor cores.
    Bf16,
}

/// The name in configurations.
impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

/// ```
/// let tf32 = recsim_backend_cuda::Precision::Tf32;
/// assert_eq!(tf32.to_string().parse(), Ok(tf32));
/// ```
impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, UnknownPrecision> {
        let all = [Self::Float32, Self::Tf32, Self::Bf16];
        all.into_iter().find(|precision| precision.to_string() == text).ok_or(UnknownPrecision)
    }
}

/// A text is not the name of a [`Precision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPrecision;

impl std::error::Error for UnknownPrecision {}

impl fmt::Display for UnknownPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown precision: use float32, tf32 or bf16")
    }
}
