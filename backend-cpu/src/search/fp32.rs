//! The search in single precision: its inner loops, on the vectors that the machine has.

use pulp::bytemuck::cast_slice;
use pulp::{Simd, WithSimd};
use recsim_core::model::slate::TopK;

use super::SearchIndex;

/// Pushes the items of an index onto each query's top-k list.
pub(super) struct Fp32Search<'a, 'b> {
    pub(super) index: &'a SearchIndex,
    /// `[n, D]`
    pub(super) queries: &'a [f32],
    /// `[n]`: empty lists.
    pub(super) best: &'a mut [TopK<'b>],
}

impl WithSimd for Fp32Search<'_, '_> {
    type Output = ();

    /// A block of sums, a vector of items for each of them and a query must fit into the registers together.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match vectors_per_panel::<S>() {
            3 => search_blocks::<S, 8, 3>(simd, self),
            _ => search_blocks::<S, 6, 2>(simd, self),
        }
    }
}

/// Selects the number of items in a panel.
pub(super) struct PanelWidth;

impl WithSimd for PanelWidth {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        vectors_per_panel::<S>() * S::F32_LANES
    }
}

#[inline(always)]
fn vectors_per_panel<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 3 } else { 2 }
}

/// Scores `Q` queries against `V` vectors of items at a time.
#[inline(always)]
pub(super) fn search_blocks<S: Simd, const Q: usize, const V: usize>(simd: S, search: Fp32Search<'_, '_>) {
    let Fp32Search { index, queries, best } = search;
    let dimensions = index.dimensions();
    let blocks = interleave::<Q>(queries, dimensions);
    let mut thresholds = thresholds::<Q>(best.len());
    for (first, count, panel) in index.panels() {
        let items = S::as_simd_f32s(panel).0.as_chunks().0;
        let best = best.chunks_mut(Q);
        for ((queries, thresholds), best) in blocks.chunks_exact(dimensions).zip(&mut thresholds).zip(best) {
            let scores = scores::<S, Q, V>(simd, queries, items);
            if !all_true(simd, lanes_all_below(simd, &scores, thresholds)) {
                for ((best, threshold), scores) in best.iter_mut().zip(thresholds).zip(scores) {
                    if !all_true(simd, lanes_below(simd, &scores, *threshold)) {
                        *threshold = push_scores(best, *threshold, first, &cast_slice(&scores)[..count]);
                    }
                }
            }
        }
    }
}

/// The scores of `Q` queries for `V` vectors of items: products of one dimension after the other, each added to the sum
/// with a single rounding, starting at 0. `queries` is `[D, Q]`, `items` is `[D, V]`.
#[inline(always)]
fn scores<S: Simd, const Q: usize, const V: usize>(
    simd: S,
    queries: &[[f32; Q]],
    items: &[[S::f32s; V]],
) -> [[S::f32s; V]; Q] {
    let mut sums = [[simd.splat_f32s(0.0); V]; Q];
    for (queries, items) in queries.iter().zip(items) {
        for (sums, &query) in sums.iter_mut().zip(queries) {
            let query = simd.splat_f32s(query);
            for (sum, &item) in sums.iter_mut().zip(items) {
                // `mul_add`, and not `mul_add_e`, which may round twice.
                *sum = simd.mul_add_f32s(query, item, *sum);
            }
        }
    }
    sums
}

/// Pushes the items `first`, `first + 1`... whose scores are not below the threshold, and returns the new threshold.
#[inline(never)]
fn push_scores(best: &mut TopK<'_>, mut threshold: f32, first: usize, scores: &[f32]) -> f32 {
    for (item, &score) in (first as u32..).zip(scores) {
        let is_below = score < threshold;
        if !is_below {
            best.push(item, score);
            threshold = best.threshold();
            if threshold == f32::NEG_INFINITY {
                threshold = NO_THRESHOLD;
            }
        }
    }
    threshold
}

/// The threshold of a list that is not full: no score is below it.
const NO_THRESHOLD: f32 = f32::NAN;

/// The threshold of the padding queries of a block: every finite score is below it.
const UNREACHABLE: f32 = f32::INFINITY;

/// The initial thresholds of `count` queries and of the padding of the last block.
fn thresholds<const Q: usize>(count: usize) -> Vec<[f32; Q]> {
    let threshold = |query| if query < count { NO_THRESHOLD } else { UNREACHABLE };
    (0..count.div_ceil(Q)).map(|block| std::array::from_fn(|n| threshold(block * Q + n))).collect()
}

/// Rearranges `[n, D]` to `[n / Q, D, Q]`; the last block is padded with zeros.
fn interleave<const Q: usize>(queries: &[f32], dimensions: usize) -> Vec<[f32; Q]> {
    let count = queries.len() / dimensions;
    let mut blocks = vec![[0.0; Q]; count.div_ceil(Q) * dimensions];
    for (n, query) in queries.chunks_exact(dimensions).enumerate() {
        for (column, &x) in blocks[n / Q * dimensions..].iter_mut().zip(query) {
            column[n % Q] = x;
        }
    }
    blocks
}

/// A mask of the lanes whose scores of a query are all below its threshold. NaN is never below.
#[inline(always)]
fn lanes_below<S: Simd, const V: usize>(simd: S, scores: &[S::f32s; V], threshold: f32) -> S::m32s {
    let threshold = simd.splat_f32s(threshold);
    let mut lanes_below = simd.less_than_f32s(scores[0], threshold);
    for &score in &scores[1..] {
        lanes_below = simd.and_m32s(lanes_below, simd.less_than_f32s(score, threshold));
    }
    lanes_below
}

/// A mask of the lanes whose scores of all queries are below their thresholds.
#[inline(always)]
fn lanes_all_below<S: Simd, const Q: usize, const V: usize>(
    simd: S,
    scores: &[[S::f32s; V]; Q],
    thresholds: &[f32; Q],
) -> S::m32s {
    let mut all = lanes_below(simd, &scores[0], thresholds[0]);
    for (scores, &threshold) in scores[1..].iter().zip(&thresholds[1..]) {
        all = simd.and_m32s(all, lanes_below(simd, scores, threshold));
    }
    all
}

/// Whether every lane is true.
#[inline(always)]
fn all_true<S: Simd>(simd: S, mask: S::m32s) -> bool {
    simd.first_true_m32s(simd.not_m32s(mask)) == S::F32_LANES
}
