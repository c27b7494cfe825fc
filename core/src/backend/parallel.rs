//! A loop over the rows of an array, on one thread or on many.

/// Runs a function for every row of an array, in any order and possibly in parallel.
///
/// Core uses it for work that is independent for each user, and a program passes its own thread pool. The result does
/// not depend on the order or the threads, because the function may change nothing but its row.
pub trait ParallelFor {
    /// Calls `work(index, row)` once for each row of `array`, `[rows, width]`, and returns when all calls are done.
    ///
    /// If `width` is 0 there are no rows. Elements behind the last complete row are left out.
    fn for_each_row<T: Send>(&self, array: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync);
}

/// Runs over the rows one after the other, on the calling thread.
///
/// ```
/// use recsim_core::backend::{Sequential, ParallelFor};
/// let mut array = [0; 4];
/// Sequential.for_each_row(&mut array, 2, |index, row| row.fill(index));
/// assert_eq!(array, [0, 0, 1, 1]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl ParallelFor for Sequential {
    fn for_each_row<T: Send>(&self, array: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        if width > 0 {
            array.chunks_exact_mut(width).enumerate().for_each(|(index, row)| work(index, row));
        }
    }
}

impl<P: ParallelFor> ParallelFor for &P {
    fn for_each_row<T: Send>(&self, array: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        P::for_each_row(self, array, width, work);
    }
}
