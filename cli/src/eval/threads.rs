//! Divides work on the rows of an array among threads.

use anyhow::Context;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use recsim_core::backend::ParallelFor;

/// A pool of threads.
pub(super) struct Threads(ThreadPool);

impl Threads {
    /// Starts `threads` threads, or one per core if `None`.
    ///
    /// # Errors
    /// If the operating system cannot start them.
    pub(super) fn new(threads: Option<usize>) -> anyhow::Result<Self> {
        let pool = ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
        pool.map(Self).context("could not start threads")
    }
}

impl ParallelFor for Threads {
    fn for_each_row<T: Send>(&self, values: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        if width > 0 {
            let rows = values.par_chunks_exact_mut(width).enumerate();
            self.0.install(|| rows.for_each(|(n, row)| work(n, row)));
        }
    }
}
