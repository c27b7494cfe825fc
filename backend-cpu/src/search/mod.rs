//! Exact item search: for each query the items with the highest scores, at the speed of a matrix product.
//!
//! The score's order of operations is defined ([`score`](recsim_core::model::slate::score)): one dimension after the
//! other. The lanes of a vector are therefore *items*, each accumulating its own products in that order, and the search
//! gives the same bits as plain loops, on every instruction set.
//!
//! Short lists are searched in 8-bit integers where the machine multiplies those fast (`quantized`): quantized scores
//! with error bounds select candidates, and only these are scored in the defined order. Otherwise `fp32`
//! scores every item. The result is the same.

mod fp32;
mod index;
#[cfg(target_arch = "x86_64")]
mod quantized;
#[cfg(test)]
mod tests;

pub(crate) use index::SearchIndex;

use rayon::prelude::*;

use crate::InstructionSet;
use crate::error::{CpuError, filled};
use crate::thread_pool::thread_pool;

/// Returns, for each of `queries`, `[n, D]`, its `list_len` items (rows of `items`, `[I, D]`) of highest
/// [`score`](recsim_core::model::slate::score), best first, as `[n, list_len]`. Ties go to the lower index.
///
/// The result equals that of [`brute_force_lists`](recsim_core::world::brute_force_lists). The search runs on `threads`
/// threads, or on one for each core if `None`.
///
/// ```
/// let (items, queries) = ([1.0, 0.0, 0.0, 1.0, 1.0, 1.0], [2.0, 1.0]);
/// assert_eq!(recsim_backend_cpu::best_items(&items, &queries, 2, 2, None)?, [2, 0]);
/// # Ok::<(), recsim_backend_cpu::CpuError>(())
/// ```
///
/// # Errors
/// [`CpuError::Memory`] if the lists do not fit into memory; [`CpuError::Threads`] if the threads cannot be started.
///
/// # Panics
/// If `dimensions` is 0, an array is not a whole number of rows, or `list_len` is not in `1..=I`.
pub fn best_items(
    items: &[f32],
    queries: &[f32],
    dimensions: usize,
    list_len: usize,
    threads: Option<usize>,
) -> Result<Vec<u32>, CpuError> {
    assert!(
        items.len().is_multiple_of(dimensions) && queries.len().is_multiple_of(dimensions),
        "`items` and `queries` are whole rows"
    );
    assert!((1..=items.len() / dimensions).contains(&list_len), "a list has 1 to I items");
    let index = SearchIndex::new(InstructionSet::best(), items, dimensions, |_| 0);
    let mut lists = filled("lists", queries.len() / dimensions * list_len, 0)?;
    let tiles = lists.par_chunks_mut(TILE * list_len).zip(queries.par_chunks(TILE * dimensions));
    thread_pool(threads)?
        .install(|| tiles.for_each(|(lists, queries)| index.top_k(queries, lists, list_len, list_len)));
    Ok(lists)
}

/// Queries that one thread searches for at a time: a multiple of every kernel's number of queries.
pub(crate) const TILE: usize = 96;
