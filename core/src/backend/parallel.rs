//! Whoever works through a table.

/// Does the same for every row of a table, in any order: threads, where there are some.
///
/// What comes of it must not depend on who does which row, and does not, as a row is all that the work may change.
pub trait Crew {
    /// Calls `work` with each row of `width` numbers and its index. A table of no columns has no rows.
    fn rows<T: Send>(&self, table: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync);
}

/// One row after the other.
///
/// ```
/// use recsim_core::backend::{Alone, Crew};
/// let mut table = [0; 4];
/// Alone.rows(&mut table, 2, |n, row| row.fill(n));
/// assert_eq!(table, [0, 0, 1, 1]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Crew for Alone {
    fn rows<T: Send>(&self, table: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        if width > 0 {
            table.chunks_exact_mut(width).enumerate().for_each(|(n, row)| work(n, row));
        }
    }
}

impl<C: Crew> Crew for &C {
    fn rows<T: Send>(&self, table: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        C::rows(self, table, width, work);
    }
}
