//! Products of matrices of `f32`, as a machine's library makes them.

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
