//! The catalogue as the search reads it.

use pulp::Arch;
use recsim_core::slate::{Best, scattering_stride};

use super::kernel::{PanelWidth, Search};

/// Item rows in panels: `[panels, D, width]`, a panel being as many items as the kernel scores at a time. What is
/// missing from the last items' panel is zeros.
///
/// Panels do not lie in the items' order but scattered, every `stride`-th after the other, round and round. Each item
/// that enters a list costs time, and were later items systematically better, as where a catalogue is sorted, far more
/// would enter.
#[derive(Debug)]
pub(crate) struct Catalogue {
    arch: Arch,
    items: usize,
    dimensions: usize,
    width: usize,
    panels: usize,
    stride: usize,
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
        let panels = items.div_ceil(width);
        let mut storage = vec![0.0; panels * width * dimensions + CACHE_LINE];
        // A vector that lies across two cache lines costs two loads. The minimum only guards the slice below:
        // `align_offset` may decline to answer.
        let start = storage.as_ptr().align_offset(CACHE_LINE * size_of::<f32>()).min(CACHE_LINE);
        let stride = scattering_stride(panels);
        let mut catalogue = Self { arch, items, dimensions, width, panels, stride, storage: Vec::new(), start };
        for (place, panel) in storage[start..].chunks_exact_mut(width * dimensions).take(panels).enumerate() {
            let (first, count) = catalogue.items_of(place);
            let rows = rows[first * dimensions..][..count * dimensions].chunks_exact(dimensions);
            for (lane, row) in rows.enumerate() {
                for (scores, &x) in panel.chunks_exact_mut(width).zip(row) {
                    scores[lane] = x;
                }
            }
        }
        catalogue.storage = storage;
        catalogue
    }

    /// Writes, for each of `queries` (`[n, D]`), the best `list` items to the beginning of its row of `places`
    /// (`[n, stride]`).
    pub(crate) fn best(&self, queries: &[f32], places: &mut [u32], stride: usize, list: usize) {
        let mut scores = vec![0.0; places.len() / stride * list];
        let rows = places.chunks_exact_mut(stride).zip(scores.chunks_exact_mut(list));
        let mut best: Vec<_> = rows.map(|(places, scores)| Best::new(&mut places[..list], scores)).collect();
        self.arch.dispatch(Search { catalogue: self, queries, best: &mut best });
    }

    /// Each panel with the index of its first item and its number of items.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, usize, &[f32])> {
        let panels = self.storage[self.start..].chunks_exact(self.width * self.dimensions).take(self.panels);
        panels.enumerate().map(|(place, panel)| {
            let (first, count) = self.items_of(place);
            (first, count, panel)
        })
    }

    /// The first item of the panel at `place`, and how many it has.
    fn items_of(&self, place: usize) -> (usize, usize) {
        let first = place * self.stride % self.panels * self.width;
        (first, self.width.min(self.items - first))
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }
}

/// Numbers in a cache line.
const CACHE_LINE: usize = 16;
