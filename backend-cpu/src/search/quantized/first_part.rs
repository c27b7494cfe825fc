//! A lower bound of each query's last list score, from the quantized scores of the index's first part, before any item
//! is scored in the defined order.

use std::array::from_fn;

use pulp::bytemuck::{Zeroable, cast_slice, cast_slice_mut};

use super::index::QuantizedIndex;
use super::kernel::Int8Kernel;
use super::queries::QuantizedQueries;

/// The quantized scores of the first part, and their maxima.
pub(super) struct FirstPart<K: Int8Kernel, const Q: usize> {
    /// `[panels of a part]` if the kernel stores scores, otherwise two entries that are overwritten alternately.
    pub(super) scores: Vec<[K::PanelScores; Q]>,
    /// `[groups, sections]`: the maxima of each group; the score of an empty slot where a section has no item of the
    /// group.
    group_max: Vec<[K::PanelScores; Q]>,
    sections: usize,
    list_len: usize,
    /// `[sections * panel_items]` each: lower bounds of the highest score in each share of the part. Shares are
    /// disjoint sets of items.
    share_bounds: [Vec<f32>; Q],
}

impl<K: Int8Kernel, const Q: usize> FirstPart<K, Q> {
    pub(super) fn new(index: &QuantizedIndex, list_len: usize, part_panels: usize) -> Self {
        // The last of `list_len` scores is at least the `list_len`-th highest of the shares' bounds. Twice as many
        // shares as list entries make that bound tight.
        let sections = (2 * list_len).div_ceil(index.panel_items());
        Self {
            scores: vec![[K::PanelScores::zeroed(); Q]; if K::STORES_SCORES { part_panels } else { 2 }],
            group_max: vec![[K::PanelScores::zeroed(); Q]; sections * index.groups().len()],
            sections,
            list_len,
            share_bounds: from_fn(|_| vec![0.0; sections * index.panel_items()]),
        }
    }

    /// Scores the first part's panels. Panels of one group are adjacent.
    #[inline(always)]
    pub(super) fn score<'a>(
        &mut self,
        kernel: K,
        queries: &QuantizedQueries<Q>,
        groups: &[u32],
        panels: &mut impl Iterator<Item = &'a [u32]>,
    ) {
        self.share_bounds.iter_mut().for_each(|share_bounds| share_bounds.fill(f32::NEG_INFINITY));
        let empty = K::from_f64(K::LAYOUT.empty_score.into());
        let mut first = 0;
        for groups in groups.chunk_by(|a, b| a == b) {
            let group = groups[0] as usize;
            let group_max = &mut self.group_max[group * self.sections..][..self.sections];
            cast_slice_mut::<_, K::Score>(group_max.as_flattened_mut()).fill(empty);
            let (mut slot, mut section) = (if K::STORES_SCORES { first } else { 0 }, 0);
            let mut last = None;
            for panel in panels.take(groups.len()) {
                kernel.score(&queries.words.0, panel, &mut self.scores[slot]);
                if let Some((slot, section)) = last.replace((slot, section)) {
                    update_max(kernel, &mut group_max[section], &self.scores[slot]);
                }
                slot = if K::STORES_SCORES { slot + 1 } else { 1 - slot };
                section = if section + 1 == self.sections { 0 } else { section + 1 };
            }
            if let Some((slot, section)) = last {
                update_max(kernel, &mut group_max[section], &self.scores[slot]);
            }
            first += groups.len();
            self.raise_share_bounds(queries, group);
        }
    }

    /// Raises the shares' bounds by a group's maxima.
    #[inline(always)]
    fn raise_share_bounds(&mut self, queries: &QuantizedQueries<Q>, group: usize) {
        let group_max = &self.group_max[group * self.sections..][..self.sections];
        for (n, share_bounds) in self.share_bounds.iter_mut().enumerate() {
            for (bounds, scores) in share_bounds.chunks_exact_mut(K::LAYOUT.panel_items()).zip(group_max) {
                let maxima: &[K::Score] = cast_slice(std::slice::from_ref(&scores[n]));
                queries.raise_lower_bounds(n, group, maxima, K::LAYOUT.empty_score, bounds);
            }
        }
    }

    /// Whether any score of a group that has panels in the first part is above its thresholds.
    #[inline(always)]
    pub(super) fn is_any_above(&self, kernel: K, group: usize, thresholds: &[K::Score; Q]) -> bool {
        let mut queries_above = 0;
        for group_max in &self.group_max[group * self.sections..][..self.sections] {
            queries_above |= kernel.queries_above(group_max, thresholds);
        }
        queries_above != 0
    }

    /// A lower bound of the last score of a query's list.
    #[inline(always)]
    pub(super) fn lower_bound(&mut self, n: usize) -> f32 {
        let (_, &mut bound, _) =
            self.share_bounds[n].select_nth_unstable_by(self.list_len - 1, |a, b| b.total_cmp(a));
        bound
    }
}

#[inline(always)]
fn update_max<K: Int8Kernel, const Q: usize>(
    kernel: K,
    group_max: &mut [K::PanelScores; Q],
    scores: &[K::PanelScores; Q],
) {
    for (group_max, &score) in group_max.iter_mut().zip(scores) {
        *group_max = kernel.max_scores(*group_max, score);
    }
}
