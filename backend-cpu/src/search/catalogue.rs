//! The catalogue as the search reads it.

use pulp::Arch;
use recsim_core::slate::Best;

use super::kernel::{PanelWidth, Search};

/// Item rows in panels: `[panels, D, width]`, a panel being as many items as the kernel scores at a time. The last is
/// filled up with zeros.
#[derive(Debug)]
pub(crate) struct Catalogue {
    arch: Arch,
    items: usize,
    dimensions: usize,
    width: usize,
    storage: Vec<f32>,
    start: usize,
}

impl Catalogue {
    /// Lays out `rows` (`[I, D]`) for an instruction set.
    pub(crate) fn new(arch: Arch, rows: &[f32], dimensions: usize) -> Self {
        Self::with_width(arch, rows, dimensions, arch.dispatch(PanelWidth))
    }

    pub(super) fn with_width(arch: Arch, rows: &[f32], dimensions: usize, width: usize) -> Self {
        let items = rows.len() / dimensions;
        let panel = width * dimensions;
        let mut storage = vec![0.0; items.div_ceil(width) * panel + CACHE_LINE];
        // A vector that lies across two cache lines costs two loads. The minimum only guards the slice below:
        // `align_offset` may decline to answer.
        let start = storage.as_ptr().align_offset(CACHE_LINE * size_of::<f32>()).min(CACHE_LINE);
        for (item, row) in rows.chunks_exact(dimensions).enumerate() {
            let column = start + item / width * panel + item % width;
            for (place, &x) in storage[column..].iter_mut().step_by(width).zip(row) {
                *place = x;
            }
        }
        Self { arch, items, dimensions, width, storage, start }
    }

    /// Writes, for each of `queries` (`[n, D]`), the best `list` items to the beginning of its row of `places`
    /// (`[n, stride]`).
    pub(crate) fn best(&self, queries: &[f32], places: &mut [u32], stride: usize, list: usize) {
        let mut scores = vec![0.0; places.len() / stride * list];
        let rows = places.chunks_exact_mut(stride).zip(scores.chunks_exact_mut(list));
        let mut best: Vec<_> = rows.map(|(places, scores)| Best::new(&mut places[..list], scores)).collect();
        self.arch.dispatch(Search { catalogue: self, queries, best: &mut best });
    }

    /// Each panel with the index of its first item and its number of items, in order.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, usize, &[f32])> {
        let panels = self.storage[self.start..].chunks_exact(self.width * self.dimensions);
        let firsts = (0..self.items).step_by(self.width);
        firsts.zip(panels).map(|(first, panel)| (first, self.width.min(self.items - first), panel))
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }
}

/// Numbers in a cache line.
const CACHE_LINE: usize = 16;
