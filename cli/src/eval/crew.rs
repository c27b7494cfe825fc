//! Threads that work through a table.

use anyhow::Context;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use recsim_core::backend::ParallelFor;

/// Some threads.
pub(super) struct Threads(ThreadPool);

impl Threads {
    /// That many, or one per core.
    pub(super) fn new(threads: Option<usize>) -> anyhow::Result<Self> {
        let pool = ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
        pool.map(Self).context("could not start threads")
    }
}

impl ParallelFor for Threads {
    fn for_each_row<T: Send>(&self, table: &mut [T], width: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        if width > 0 {
            let rows = table.par_chunks_exact_mut(width).enumerate();
            self.0.install(|| rows.for_each(|(n, row)| work(n, row)));
        }
    }
}
