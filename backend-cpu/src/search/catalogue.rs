//! The catalogue as the search reads it.

use pulp::Arch;
use recsim_core::model::slate::{TopK, coprime_stride};

use super::in_bytes::InBytes;
use super::kernel::{PanelWidth, Search};
use crate::InstructionSet;
use crate::aligned::Aligned;

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
    storage: Aligned<f32>,
    /// Where each panel of items lies, in their order.
    place: Vec<usize>,
    in_bytes: Option<InBytes>,
}

impl Catalogue {
    /// Lays out `rows` (`[I, D]`) for an instruction set. Items of a `cluster` are like each other: what is found does
    /// not depend on it, only how fast.
    pub(crate) fn new(
        isa: InstructionSet,
        rows: &[f32],
        dimensions: usize,
        cluster: impl Fn(usize) -> u32,
    ) -> Self {
        let arch = isa.arch().unwrap_or(Arch::Scalar);
        let in_bytes = InBytes::new(isa, rows, dimensions, cluster);
        Self { in_bytes, ..Self::with_width(arch, rows, dimensions, arch.dispatch(PanelWidth)) }
    }

    pub(super) fn with_width(arch: Arch, rows: &[f32], dimensions: usize, width: usize) -> Self {
        let items = rows.len() / dimensions;
        let panels = items.div_ceil(width);
        let mut storage = Aligned::new(panels * width * dimensions);
        let stride = coprime_stride(panels);
        let (place, none) = (vec![0; panels], Aligned::new(0));
        let mut catalogue =
            Self { arch, items, dimensions, width, panels, stride, storage: none, place, in_bytes: None };
        for (place, panel) in storage.chunks_exact_mut(width * dimensions).enumerate() {
            let (first, count) = catalogue.items_of(place);
            catalogue.place[first / width] = place;
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
        if let Some(in_bytes) = &self.in_bytes
            && in_bytes.best(queries, &mut lists(places, stride, &mut scores, list), list)
        {
            return;
        }
        let mut best = lists(places, stride, &mut scores, list);
        for (queries, best) in queries.chunks(NEAR * self.dimensions).zip(best.chunks_mut(NEAR)) {
            self.arch.dispatch(Search { catalogue: self, queries, best });
        }
    }

    /// Each panel with the index of its first item and its number of items.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, usize, &[f32])> {
        let panels = self.storage.chunks_exact(self.width * self.dimensions);
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

    /// Writes an item's row, `[D]`.
    pub(crate) fn row(&self, item: usize, row: &mut [f32]) {
        let panel = &self.storage[self.place[item / self.width] * self.width * self.dimensions..];
        for (x, lanes) in row.iter_mut().zip(panel.chunks_exact(self.width)) {
            *x = lanes[item % self.width];
        }
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }
}

/// Queries that stay in the nearest cache together with a panel of items: 12 KB at 64 dimensions.
const NEAR: usize = 48;

/// Empty lists in the first places of the rows.
fn lists<'a>(places: &'a mut [u32], stride: usize, scores: &'a mut [f32], list: usize) -> Vec<TopK<'a>> {
    let rows = places.chunks_exact_mut(stride).zip(scores.chunks_exact_mut(list));
    rows.map(|(places, scores)| TopK::new(&mut places[..list], scores)).collect()
}
