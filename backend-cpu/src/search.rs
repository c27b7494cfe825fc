//! Exact search: the items with the best scores.

use pulp::Arch;
use recsim_core::slate::{Best, score};

use crate::{CpuError, pool};

/// The catalogue, laid out for the search.
#[derive(Debug)]
pub(crate) struct Catalogue {
    rows: Vec<f32>,
    dimensions: usize,
}

/// Users searched together.
pub(crate) const TILE: usize = 48;

impl Catalogue {
    pub(crate) fn new(_: Arch, rows: &[f32], dimensions: usize) -> Self {
        Self { rows: rows.to_vec(), dimensions }
    }

    pub(crate) fn best(&self, queries: &[f32], places: &mut [u32], stride: usize, list: usize) {
        let mut scores = vec![0.0; list];
        for (query, places) in queries.chunks_exact(self.dimensions).zip(places.chunks_exact_mut(stride)) {
            let mut best = Best::new(&mut places[..list], &mut scores);
            for (item, row) in self.rows.chunks_exact(self.dimensions).enumerate() {
                best.push(item as u32, score(query, row));
            }
        }
    }
}

/// For each of `queries` (`[n, D]`) the `list` items (rows of `items`, `[I, D]`) of best
/// [`score`], ties to the lower index, best first: `[n, list]`.
pub fn best_items(
    items: &[f32],
    queries: &[f32],
    dimensions: usize,
    list: usize,
    threads: Option<usize>,
) -> Result<Vec<u32>, CpuError> {
    let _ = pool(threads)?;
    let mut places = vec![0; queries.len() / dimensions * list];
    Catalogue::new(Arch::new(), items, dimensions).best(queries, &mut places, list, list);
    Ok(places)
}
