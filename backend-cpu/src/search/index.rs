//! The items in the layout that the search reads.

use pulp::Arch;
use recsim_core::model::slate::{TopK, coprime_stride};

use super::fp32::{Fp32Search, PanelWidth};
#[cfg(target_arch = "x86_64")]
use super::quantized::QuantizedSearch;
use crate::InstructionSet;
use crate::aligned::Aligned;

/// A search index over items: their rows in panels, `[panels, D, width]`, a panel being as many items as the kernel
/// scores at a time. Missing items of the last panel are zeros.
///
/// Panels are not stored in the items' order: item panel `n * stride % panels` is stored at index `n`. Each item that
/// enters a list costs time, and if later items were systematically better, as in a sorted catalogue, far more would
/// enter.
#[derive(Debug)]
pub(crate) struct SearchIndex {
    arch: Arch,
    items: usize,
    dimensions: usize,
    width: usize,
    panels: usize,
    stride: usize,
    storage: Aligned<f32>,
    /// Where each panel of items is stored, in the items' order.
    panel_position: Vec<usize>,
    /// The search in 8-bit integers, if the instruction set has one and the items allow it.
    #[cfg(target_arch = "x86_64")]
    quantized: Option<QuantizedSearch>,
}

impl SearchIndex {
    /// Builds the index of `rows`, `[I, D]`, for an instruction set. `cluster` gives each item's cluster, whose items
    /// should be similar: it affects the speed of the search, not its result.
    pub(crate) fn new(
        instruction_set: InstructionSet,
        rows: &[f32],
        dimensions: usize,
        cluster: impl Fn(usize) -> u32,
    ) -> Self {
        let arch = instruction_set.arch().unwrap_or(Arch::Scalar);
        #[cfg(not(target_arch = "x86_64"))]
        let _ = cluster;
        Self {
            #[cfg(target_arch = "x86_64")]
            quantized: QuantizedSearch::new(instruction_set, rows, dimensions, cluster),
            ..Self::with_width(arch, rows, dimensions, arch.dispatch(PanelWidth))
        }
    }

    /// An index without a quantized search, of panels of `width` items.
    pub(super) fn with_width(arch: Arch, rows: &[f32], dimensions: usize, width: usize) -> Self {
        let items = rows.len() / dimensions;
        let panels = items.div_ceil(width);
        let mut storage = Aligned::new(panels * width * dimensions);
        let stride = coprime_stride(panels);
        let mut index = Self {
            arch,
            items,
            dimensions,
            width,
            panels,
            stride,
            storage: Aligned::new(0),
            panel_position: vec![0; panels],
            #[cfg(target_arch = "x86_64")]
            quantized: None,
        };
        for (position, panel) in storage.chunks_exact_mut(width * dimensions).enumerate() {
            let (first, count) = index.items_of(position);
            index.panel_position[first / width] = position;
            let rows = rows[first * dimensions..][..count * dimensions].chunks_exact(dimensions);
            for (lane, row) in rows.enumerate() {
                for (lanes, &x) in panel.chunks_exact_mut(width).zip(row) {
                    lanes[lane] = x;
                }
            }
        }
        index.storage = storage;
        index
    }

    /// Writes, for each of `queries`, `[n, D]`, the `list_len` items of highest score to the beginning of its row of
    /// `lists`, `[n, stride]`.
    pub(crate) fn top_k(&self, queries: &[f32], lists: &mut [u32], stride: usize, list_len: usize) {
        let mut scores = vec![0.0; lists.len() / stride * list_len];
        #[cfg(target_arch = "x86_64")]
        if let Some(quantized) = &self.quantized
            && quantized.top_k(queries, &mut empty_lists(lists, stride, &mut scores, list_len), list_len)
        {
            return;
        }
        let mut best = empty_lists(lists, stride, &mut scores, list_len);
        for (queries, best) in queries.chunks(QUERIES_IN_L1 * self.dimensions).zip(best.chunks_mut(QUERIES_IN_L1)) {
            self.arch.dispatch(Fp32Search { index: self, queries, best });
        }
    }

    /// Each panel with the index of its first item and its number of items.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, usize, &[f32])> {
        let panels = self.storage.chunks_exact(self.width * self.dimensions);
        panels.enumerate().map(|(position, panel)| {
            let (first, count) = self.items_of(position);
            (first, count, panel)
        })
    }

    /// The first item of the panel stored at `index`, and the number of its items.
    fn items_of(&self, position: usize) -> (usize, usize) {
        let first = position * self.stride % self.panels * self.width;
        (first, self.width.min(self.items - first))
    }

    /// Writes an item's row, `[D]`.
    pub(crate) fn row(&self, item: usize, row: &mut [f32]) {
        let panel = &self.storage[self.panel_position[item / self.width] * self.width * self.dimensions..];
        for (x, lanes) in row.iter_mut().zip(panel.chunks_exact(self.width)) {
            *x = lanes[item % self.width];
        }
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }
}

/// Queries that stay in the first-level cache together with a panel of items: 12 KB at 64 dimensions.
const QUERIES_IN_L1: usize = 48;

/// Empty top-k lists that write to the beginnings of the rows of `items`, `[n, stride]`.
fn empty_lists<'a>(items: &'a mut [u32], stride: usize, scores: &'a mut [f32], list_len: usize) -> Vec<TopK<'a>> {
    let rows = items.chunks_exact_mut(stride).zip(scores.chunks_exact_mut(list_len));
    rows.map(|(items, scores)| TopK::new(&mut items[..list_len], scores)).collect()
}
