//! Products of matrices of `f32`, as a machine's library makes them.

use std::fmt;
use std::str::FromStr;

/// `count` products at once, each of a matrix `[rows, terms]` and one `[terms, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Rows of the left matrix and of the outcome.
    pub rows: usize,
    /// Columns of the right matrix and of the outcome.
    pub columns: usize,
    /// Products that a number of the outcome is the sum of.
    pub terms: usize,
    /// How many.
    pub count: usize,
}

/// Matrices in a table of numbers, row-major.
#[derive(Debug)]
pub struct Matrix<'a, T> {
    /// The table.
    pub table: &'a T,
    /// Numbers before the first matrix.
    pub first: usize,
    /// Numbers from a row to the next.
    pub row: usize,
    /// Numbers from a matrix to the next; 0 if all products share one.
    pub apart: usize,
    /// Whether it lies there turned, its columns as rows.
    pub turned: bool,
}

impl<T> Matrix<'_, T> {
    /// Numbers of the table up to the last one of `count` matrices of that shape.
    pub(super) fn end(&self, rows: usize, columns: usize, count: usize) -> usize {
        let (rows, columns) = if self.turned { (columns, rows) } else { (rows, columns) };
        assert!(columns <= self.row && rows * columns * count > 0, "matrices of something, row by row");
        self.first + (count - 1) * self.apart + (rows - 1) * self.row + columns
    }
}

/// How exactly a GPU multiplies. Sums are always of `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// All 24 bits of a number.
    #[default]
    Float32,
    /// The first 11 bits, by tensor cores.
    Tf32,
    /// The first 8 bits, by tensor cores.
    Bf16,
}

/// As configurations have it.
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

/// There is no such precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPrecision;

impl std::error::Error for UnknownPrecision {}

impl fmt::Display for UnknownPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such precision: float32, tf32 or bf16")
    }
}
