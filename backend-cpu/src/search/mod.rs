//! Exact search: of all items, the few with the best scores, at the speed of a matrix product.
//!
//! The score's order of operations is defined ([`score`](recsim_core::model::slate::score)): over the dimensions, one after
//! the other. A vector's lanes are therefore *items*, each adding its own products in that order, and the search gives
//! the same bits as plain loops, on every instruction set.
//!
//! Short lists are searched for in bytes where the machine multiplies them fast (`in_bytes`): a rough score tells which
//! items may be among the best, and those alone are scored in the defined order. What is found is the same.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod bytes;
mod catalogue;
#[cfg(target_arch = "x86_64")]
mod defined;
#[cfg(target_arch = "x86_64")]
mod eights;
#[cfg(target_arch = "x86_64")]
mod greatest;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_bytes.rs")]
mod in_bytes;
mod kernel;
#[cfg(target_arch = "x86_64")]
mod panel;
#[cfg(target_arch = "x86_64")]
mod queries;
#[cfg(target_arch = "x86_64")]
mod rough;
#[cfg(target_arch = "x86_64")]
mod scan;
#[cfg(target_arch = "x86_64")]
mod vnni;

pub(crate) use catalogue::Catalogue;

use rayon::prelude::*;

use crate::error::{CpuError, table};
use crate::{InstructionSet, pool};

/// For each of `queries` (`[n, D]`) the `list` items (rows of `items`, `[I, D]`) of best
/// [`score`](recsim_core::model::slate::score), ties to the lower index, best first: `[n, list]`.
///
/// The same as [`brute_force_lists`](recsim_core::world::brute_force_lists), only faster; on `threads` threads,
/// or one for each core.
///
/// ```
/// let (items, queries) = ([1.0, 0.0, 0.0, 1.0, 1.0, 1.0], [2.0, 1.0]);
/// assert_eq!(recsim_backend_cpu::best_items(&items, &queries, 2, 2, None)?, [2, 0]);
/// # Ok::<(), recsim_backend_cpu::CpuError>(())
/// ```
///
/// # Panics
/// If `dimensions` is 0, a table is no whole number of rows, or `list` is not from 1 to I.
pub fn best_items(
    items: &[f32],
    queries: &[f32],
    dimensions: usize,
    list: usize,
    threads: Option<usize>,
) -> Result<Vec<u32>, CpuError> {
    assert!(
        items.len().is_multiple_of(dimensions) && queries.len().is_multiple_of(dimensions),
        "tables of whole rows"
    );
    assert!((1..=items.len() / dimensions).contains(&list), "a list of 1 to I items");
    let catalogue = Catalogue::new(InstructionSet::best(), items, dimensions, |_| 0);
    let mut lists = table("lists", queries.len() / dimensions * list, 0)?;
    let tiles = lists.par_chunks_mut(TILE * list).zip(queries.par_chunks(TILE * dimensions));
    pool(threads)?.install(|| tiles.for_each(|(lists, queries)| catalogue.best(queries, lists, list, list)));
    Ok(lists)
}

/// Queries searched for by one thread at a time: a multiple of all kernels' heights.
pub(crate) const TILE: usize = 96;

#[cfg(all(test, target_arch = "x86_64"))]
mod rough_tests;
#[cfg(test)]
mod tests;
