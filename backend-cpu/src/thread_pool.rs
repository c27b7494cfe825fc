//! Thread pools of the backend.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::CpuError;

/// A pool of `threads` threads, or of one thread for each core if `None`.
///
/// # Errors
/// [`CpuError::Threads`] if the threads cannot be started.
pub(crate) fn thread_pool(threads: Option<usize>) -> Result<ThreadPool, CpuError> {
    let builder = ThreadPoolBuilder::new().thread_name(|index| format!("recsim-{index}"));
    builder.num_threads(threads.unwrap_or(0)).build().map_err(CpuError::Threads)
}
