//! Whoever works through a table.

/// Does the same for every row of a table, in any order: threads, where there are some.
///
/// What comes of it must not depend on who does which row, and does not, as a row is all that the work may change.
pub trait ParallelFor {
    /// Calls `work` with each row of `width` numbers and its index. A table of no columns has no rows.
    fn for_each_row<T: Send>(&self, table: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync);
}

/// One row after the other.
///
/// ```
/// use recsim_core::backend::{Sequential, ParallelFor};
/// let mut table = [0; 4];
/// Sequential.for_each_row(&mut table, 2, |n, row| row.fill(n));
/// assert_eq!(table, [0, 0, 1, 1]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl ParallelFor for Sequential {
    fn for_each_row<T: Send>(&self, table: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        if width > 0 {
            table.chunks_exact_mut(width).enumerate().for_each(|(n, row)| work(n, row));
        }
    }
}

impl<C: ParallelFor> ParallelFor for &C {
    fn for_each_row<T: Send>(&self, table: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        C::for_each_row(self, table, width, work);
    }
}
