//! The quantized search: quantized scores select the candidates for a query's list, and candidates are scored in the
//! defined order.
//!
//! The index is scanned in parts; most indices are one part. All scores of the first part are computed first, and their
//! maxima give a lower bound of the last score of each query's list: so there is a threshold before any candidate is
//! collected. It rises with every further part.

use std::array::from_fn;

use pulp::NullaryFnOnce;
use pulp::bytemuck::{Zeroable, cast_slice};
use recsim_core::model::slate::TopK;

use super::first_part::FirstPart;
use super::index::QuantizedIndex;
use super::kernel::Int8Kernel;
use super::queries::QuantizedQueries;
use super::reference_score::ROWS_AT_ONCE;

/// Pushes the items of an index onto each query's top-k list, `Q` queries at a time. Stops and returns `false` if too
/// many items would have to be scored in the defined order, or a score may not be finite.
pub(super) struct QuantizedScan<'a, 'b, K, const Q: usize> {
    pub(super) kernel: K,
    pub(super) index: &'a QuantizedIndex,
    /// `[n, D]`
    pub(super) queries: &'a [f32],
    /// `[n]`: empty lists.
    pub(super) best: &'a mut [TopK<'b>],
    /// The length of the lists.
    pub(super) list_len: usize,
    /// The maximum number of candidates, of one query on average.
    pub(super) max_candidates: usize,
    /// Panels in a part of the index.
    pub(super) part_panels: usize,
}

impl<K: Int8Kernel, const Q: usize> NullaryFnOnce for QuantizedScan<'_, '_, K, Q> {
    type Output = bool;

    // Loops, here and below: a closure that an iterator calls may be compiled separately, without the vector
    // instructions.
    #[inline(always)]
    fn call(self) -> bool {
        let Self { kernel, index, queries, best, list_len, max_candidates, part_panels } = self;
        let mut block = QueryBlock::<K, Q>::new(index, list_len, part_panels);
        for (queries, best) in queries.chunks(Q * index.dimensions).zip(best.chunks_mut(Q)) {
            if !block.search(kernel, index, queries, best.len().saturating_mul(max_candidates)) {
                return false;
            }
            for (n, (action, best)) in queries.chunks_exact(index.dimensions).zip(best).enumerate() {
                block.rescore(kernel, index, n, action, best);
            }
        }
        true
    }
}

/// Queries whose scores are computed together, and their candidates.
struct QueryBlock<K: Int8Kernel, const Q: usize> {
    queries: QuantizedQueries<Q>,
    /// The number of queries: Q except in the last block.
    count: usize,
    /// The length of a query's list.
    list_len: usize,
    /// Lower bounds of the last score of each query's list.
    lower_bounds: [f32; Q],
    /// `[groups]`: quantized scores that are not above these thresholds cannot reach the lower bounds.
    thresholds: Vec<[K::Score; Q]>,
    /// Items above the thresholds.
    candidates: [Vec<Candidate>; Q],
    first_part: FirstPart<K, Q>,
    /// Panels in a part of the index.
    part_panels: usize,
}

/// An item that may be in a query's list.
#[derive(Clone, Copy)]
struct Candidate {
    position: u32,
    group: u32,
    /// The quantized score.
    score: i32,
}

impl<K: Int8Kernel, const Q: usize> QueryBlock<K, Q> {
    fn new(index: &QuantizedIndex, list_len: usize, part_panels: usize) -> Self {
        Self {
            queries: QuantizedQueries::new(index),
            count: 0,
            list_len,
            lower_bounds: [f32::INFINITY; Q],
            thresholds: vec![[K::from_f64(f64::INFINITY); Q]; index.groups().len()],
            candidates: from_fn(|_| Vec::new()),
            first_part: FirstPart::new(index, list_len, part_panels),
            part_panels,
        }
    }

    /// Collects the candidates for the lists of some queries, `[n, D]`: at most `max_candidates` over all of them.
    /// Returns `false` if there are more, or if scores may not be finite.
    #[inline(always)]
    fn search(&mut self, kernel: K, index: &QuantizedIndex, queries: &[f32], max_candidates: usize) -> bool {
        self.count = queries.len() / index.dimensions;
        // Missing queries have lower bounds that no score reaches.
        self.lower_bounds.fill(f32::INFINITY);
        self.candidates.iter_mut().for_each(Vec::clear);
        if !self.queries.set(index, queries) {
            return false;
        }
        let part_panels = self.part_panels;
        let (groups, mut panels) = index.panels();
        for (n, groups) in groups.chunks(part_panels).enumerate() {
            if n == 0 {
                self.scan_first_part(kernel, groups, &mut panels);
            } else {
                self.raise_lower_bounds();
                self.set_thresholds();
                self.scan_part(kernel, n * part_panels, groups, &mut panels);
            }
            if self.candidates.iter().map(Vec::len).sum::<usize>() > max_candidates {
                return false;
            }
        }
        true
    }

    /// Scans the first part: sets thresholds by its maxima, then collects candidates from the groups that reach them.
    #[inline(always)]
    fn scan_first_part<'a>(
        &mut self,
        kernel: K,
        groups: &[u32],
        panels: &mut (impl Iterator<Item = &'a [u32]> + Clone),
    ) {
        let mut again = panels.clone();
        self.first_part.score(kernel, &self.queries, groups, panels);
        for n in 0..self.count {
            self.lower_bounds[n] = self.first_part.lower_bound(n);
        }
        self.set_thresholds();
        let mut first = 0;
        for groups in groups.chunk_by(|a, b| a == b) {
            let mut panels = again.by_ref().take(groups.len());
            let thresholds = &self.thresholds[groups[0] as usize];
            if !self.first_part.is_any_above(kernel, groups[0] as usize, thresholds) {
                panels.for_each(drop);
            } else if K::STORES_SCORES {
                for (n, scores) in (first..).zip(&self.first_part.scores[first..][..groups.len()]) {
                    collect_candidates(kernel, &mut self.candidates, n, groups[0], scores, thresholds);
                }
                panels.for_each(drop);
            } else {
                self.scan_part(kernel, first, groups, &mut panels);
            }
            first += groups.len();
        }
    }

    /// Collects the candidates of a part whose first panel has the index `first`.
    #[inline(always)]
    fn scan_part<'a>(
        &mut self,
        kernel: K,
        first: usize,
        groups: &[u32],
        panels: &mut impl Iterator<Item = &'a [u32]>,
    ) {
        let Self { queries, thresholds, candidates, .. } = self;
        let mut buffers = [[K::PanelScores::zeroed(); Q]; 2];
        let [mut scores, mut last_scores] = buffers.each_mut();
        let mut last = None;
        for ((n, &group), panel) in (first..).zip(groups).zip(panels) {
            kernel.score(&queries.words.0, panel, scores);
            if let Some((n, group)) = last.replace((n, group)) {
                collect_candidates(kernel, candidates, n, group, last_scores, &thresholds[group as usize]);
            }
            std::mem::swap(&mut scores, &mut last_scores);
        }
        if let Some((n, group)) = last {
            collect_candidates(kernel, candidates, n, group, last_scores, &thresholds[group as usize]);
        }
    }

    /// Raises the lower bounds by the candidates so far, and drops candidates that cannot reach them.
    #[inline(always)]
    fn raise_lower_bounds(&mut self) {
        let Self { queries, count, list_len, lower_bounds, candidates, .. } = self;
        for (n, (lower_bound, candidates)) in lower_bounds.iter_mut().zip(candidates).enumerate().take(*count) {
            let mut bounds: Vec<f32> = candidates.iter().map(|item| item.lower_bound(queries, n)).collect();
            if let Some(nth) = list_len.checked_sub(1).filter(|&nth| nth < bounds.len()) {
                *lower_bound = *bounds.select_nth_unstable_by(nth, |a, b| b.total_cmp(a)).1;
            }
            candidates.retain(|item| item.may_reach::<K, Q>(queries, n, *lower_bound));
        }
    }

    #[inline(always)]
    fn set_thresholds(&mut self) {
        for (group, thresholds) in self.thresholds.iter_mut().enumerate() {
            self.queries.thresholds::<K>(group, &self.lower_bounds, thresholds);
        }
    }

    /// Scores a query's candidates in the defined order: first those whose lower bound reaches the list's, then those
    /// of the rest that may still enter the list.
    #[inline(always)]
    fn rescore(&mut self, kernel: K, index: &QuantizedIndex, n: usize, action: &[f32], best: &mut TopK<'_>) {
        let Self { queries, lower_bounds, candidates, .. } = self;
        let (lower_bound, candidates) = (lower_bounds[n], &mut candidates[n]);
        let mut first = 0;
        for next in 0..candidates.len() {
            if candidates[next].lower_bound(queries, n) >= lower_bound {
                candidates.swap(first, next);
                first += 1;
            }
        }
        push_reference_scores(kernel, index, action, &candidates[..first], best);
        let mut end = first;
        for next in first..candidates.len() {
            if candidates[next].may_reach::<K, Q>(queries, n, best.threshold()) {
                candidates.swap(end, next);
                end += 1;
            }
        }
        push_reference_scores(kernel, index, action, &candidates[first..end], best);
    }
}

impl Candidate {
    /// A lower bound of its score.
    #[inline(always)]
    fn lower_bound<const Q: usize>(self, queries: &QuantizedQueries<Q>, n: usize) -> f32 {
        queries.lower_bound(n, self.group as usize, self.score)
    }

    /// Whether its score may reach a threshold.
    #[inline(always)]
    fn may_reach<K: Int8Kernel, const Q: usize>(
        self,
        queries: &QuantizedQueries<Q>,
        n: usize,
        threshold: f32,
    ) -> bool {
        self.score > K::from_f64(queries.threshold(n, self.group as usize, threshold)).into()
    }
}

/// Collects the items of a panel that are above the thresholds.
#[inline(always)]
fn collect_candidates<K: Int8Kernel, const Q: usize>(
    kernel: K,
    candidates: &mut [Vec<Candidate>; Q],
    panel: usize,
    group: u32,
    scores: &[K::PanelScores; Q],
    thresholds: &[K::Score; Q],
) {
    let mut query_mask = kernel.queries_above(scores, thresholds);
    while query_mask != 0 {
        let n = query_mask.trailing_zeros() as usize;
        query_mask &= query_mask - 1;
        let mut item_mask = kernel.items_above(scores[n], thresholds[n]);
        while item_mask != 0 {
            let lane = item_mask.trailing_zeros() as usize / K::MASK_BITS;
            item_mask &= item_mask - 1;
            let score = cast_slice::<_, K::Score>(std::slice::from_ref(&scores[n]))[lane].into();
            candidates[n].push(Candidate {
                position: (panel * K::LAYOUT.panel_items() + lane) as u32,
                group,
                score,
            });
        }
    }
}

/// Scores candidates in the defined order and pushes them onto the list.
#[inline(always)]
fn push_reference_scores<K: Int8Kernel>(
    kernel: K,
    index: &QuantizedIndex,
    action: &[f32],
    candidates: &[Candidate],
    best: &mut TopK<'_>,
) {
    for chunk in candidates.chunks(ROWS_AT_ONCE) {
        let Some(last) = chunk.last() else { return };
        let rows = from_fn(|n| index.row(chunk.get(n).unwrap_or(last).position as usize));
        for (candidate, score) in chunk.iter().zip(kernel.reference_scores(action, rows)) {
            if let Some(item) = index.item(candidate.position as usize) {
                best.push(item, score);
            }
        }
    }
}
