//! The inner loops of the search, on the vectors that the machine has.

use pulp::bytemuck::cast_slice;
use pulp::{Simd, WithSimd};
use recsim_core::model::slate::TopK;

use super::Catalogue;

/// Enters the items of a catalogue into each query's best.
pub(super) struct Search<'a, 'b> {
    pub(super) catalogue: &'a Catalogue,
    /// `[n, D]`
    pub(super) queries: &'a [f32],
    /// `[n]`, empty
    pub(super) best: &'a mut [TopK<'b>],
}

impl WithSimd for Search<'_, '_> {
    type Output = ();

    /// A block of sums, a vector of items for each of them and a query must fit into the registers together.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match vectors::<S>() {
            3 => search::<S, 8, 3>(simd, self),
            _ => search::<S, 6, 2>(simd, self),
        }
    }
}

/// The number of items in a panel.
pub(super) struct PanelWidth;

impl WithSimd for PanelWidth {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        vectors::<S>() * S::F32_LANES
    }
}

#[inline(always)]
fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 3 } else { 2 }
}

/// Scores `Q` queries against `V` vectors of items at a time.
#[inline(always)]
pub(super) fn search<S: Simd, const Q: usize, const V: usize>(simd: S, search: Search<'_, '_>) {
    let Search { catalogue, queries, best } = search;
    let dimensions = catalogue.dimensions();
    let blocks = interleave::<Q>(queries, dimensions);
    let mut bars = bars::<Q>(best.len());
    for (first, count, panel) in catalogue.panels() {
        let items = S::as_simd_f32s(panel).0.as_chunks().0;
        let best = best.chunks_mut(Q);
        for ((queries, bars), best) in blocks.chunks_exact(dimensions).zip(&mut bars).zip(best) {
            let scores = scores::<S, Q, V>(simd, queries, items);
            if !all_true(simd, all_below(simd, &scores, bars)) {
                for ((best, bar), scores) in best.iter_mut().zip(bars).zip(scores) {
                    if !all_true(simd, below(simd, &scores, *bar)) {
                        *bar = enter(best, *bar, first, &cast_slice(&scores)[..count]);
                    }
                }
            }
        }
    }
}

/// The scores of `Q` queries for `V` vectors of items: for each the products of one dimension after the other, each
/// added with a single rounding, beginning at 0. `queries` is `[D, Q]`, `items` is `[D, V]`.
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

/// Enters those of items `first`, `first + 1`... whose scores are not below the bar, and returns where it is then.
#[inline(never)]
fn enter(best: &mut TopK<'_>, mut bar: f32, first: usize, scores: &[f32]) -> f32 {
    for (item, &score) in (first as u32..).zip(scores) {
        let below = score < bar;
        if !below {
            best.push(item, score);
            bar = best.threshold();
            if bar == f32::NEG_INFINITY {
                bar = OPEN;
            }
        }
    }
    bar
}

/// The bar while there is room: nothing is below it.
const OPEN: f32 = f32::NAN;

/// The bar of what fills up a block: every finite number is below it.
const SHUT: f32 = f32::INFINITY;

/// The bars of `count` queries, and of those that fill up the last block.
fn bars<const Q: usize>(count: usize) -> Vec<[f32; Q]> {
    let bar = |query| if query < count { OPEN } else { SHUT };
    (0..count.div_ceil(Q)).map(|block| std::array::from_fn(|n| bar(block * Q + n))).collect()
}

/// `[n, D]` to `[n / Q, D, Q]`, the last block filled up with zeros.
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

/// Where all of a query's scores are below its bar. What is not a number never is.
#[inline(always)]
fn below<S: Simd, const V: usize>(simd: S, scores: &[S::f32s; V], bar: f32) -> S::m32s {
    let bar = simd.splat_f32s(bar);
    let mut below = simd.less_than_f32s(scores[0], bar);
    for &score in &scores[1..] {
        below = simd.and_m32s(below, simd.less_than_f32s(score, bar));
    }
    below
}

/// Where all scores of all queries are.
#[inline(always)]
fn all_below<S: Simd, const Q: usize, const V: usize>(
    simd: S,
    scores: &[[S::f32s; V]; Q],
    bars: &[f32; Q],
) -> S::m32s {
    let mut all = below(simd, &scores[0], bars[0]);
    for (scores, &bar) in scores[1..].iter().zip(&bars[1..]) {
        all = simd.and_m32s(all, below(simd, scores, bar));
    }
    all
}

/// Whether every lane is true.
#[inline(always)]
fn all_true<S: Simd>(simd: S, mask: S::m32s) -> bool {
    simd.first_true_m32s(simd.not_m32s(mask)) == S::F32_LANES
}
