//! The quantized search against plain loops, and its error bounds against scores in the defined order.

use proptest::prelude::*;
use pulp::NullaryFnOnce;
use pulp::x86::V3;
use recsim_core::model::rng::{Key, Purpose, index, normal_pair};
use recsim_core::model::slate::{TopK, score};
use recsim_core::world::brute_force_lists;
use recsim_core::world::error_bound::reference_error_bound;

use super::Int8Unit;
use super::amx::AmxKernel;
use super::avx2::i16_layout;
use super::index::QuantizedIndex;
use super::kernel::{Int8Kernel, Int8Layout, MAX_WORDS};
use super::queries::{QuantizedQueries, ScoreBounds};
use super::reference_score::{ROWS_AT_ONCE, reference_scores_avx2, reference_scores_avx512};
use super::scan::QuantizedScan;
use super::vector_panel::{Int8Vectors, score_panel};
use crate::intrinsics::Vnni;
use crate::{InstructionSet, skip};

proptest! {
    #![proptest_config(crate::properties::config(256))]

    #[test]
    fn quantized_search_equals_plain_loops(
        case in search_cases(),
        list_len in 1_usize..30,
        part_panels in 1_usize..30,
    ) {
        let SearchCase { dimensions, items, queries, .. } = &case;
        let list_len = list_len.min(items.len() / dimensions);
        let expected = brute_force_lists(items, queries, *dimensions, list_len);
        for unit in int8_units() {
            let (is_complete, lists) = quantized_lists(unit, &case, list_len, usize::MAX, part_panels);
            prop_assert!(is_complete);
            prop_assert_eq!(&lists, &expected, "{:?}", unit);
        }
        prop_assert_eq!(&scalar_lists::<_, 12>(ScalarI16, &case, list_len, part_panels), &expected);
        prop_assert_eq!(&scalar_lists::<_, 32>(ScalarTiles, &case, list_len, part_panels), &expected);
    }

    #[test]
    fn error_bound_bounds_every_score(case in search_cases()) {
        for layout in LAYOUTS {
            let index = case.index(layout);
            let mut queries = QuantizedQueries::<1>::new(&index);
            for action in case.queries.chunks_exact(case.dimensions) {
                prop_assert!(queries.set(&index, action), "the values are finite");
                assert_bounds_are_wide_enough(&index, action, &queries);
                for ScoredItem { group, row, score: quantized_score } in scored_items(&index, &queries.words.0[0]) {
                    let expected = score(action, &row);
                    prop_assert!(quantized_score > layout.empty_score, "the score differs from that of an empty slot");
                    let mut bounds = [f32::NEG_INFINITY; 8];
                    queries.raise_lower_bounds(0, group, &[quantized_score; 8], layout.empty_score, &mut bounds);
                    prop_assert_eq!(bounds, [queries.lower_bound(0, group, quantized_score); 8]);
                    prop_assert!(bounds[0] <= expected);
                    let threshold = queries.threshold(0, group, expected);
                    prop_assert!(threshold < quantized_score.into(), "the item may reach its own score");
                }
            }
        }
    }
}

/// Checks the score bounds against the proven ones, computed again in double precision: an error bound that is smaller
/// by a unit of single precision would fail, and so would bounds without the roundings.
fn assert_bounds_are_wide_enough(index: &QuantizedIndex, action: &[f32], queries: &QuantizedQueries<1>) {
    let Int8Layout { query_bias, score_unit, max_sum, .. } = index.layout;
    let codes: Vec<f64> = queries.words.0[0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .map(|byte| f64::from(byte.wrapping_sub(query_bias as u8).cast_signed()))
        .take(index.dimensions)
        .collect();
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let action: Vec<f64> = action.iter().map(|&x| x.into()).collect();
    let query_norm = norm(&mut action.iter().copied());
    for (group_index, (group, bounds)) in index.groups().iter().zip(&queries.bounds).enumerate() {
        // The steps of a query's integers, and of a quantized score.
        let step = group.inverse_step / (bounds.inverse_step[0] * score_unit);
        if !step.is_finite() {
            assert!(group.step == 0.0, "only items equal to their center have no step");
            continue;
        }
        let score_step = step * group.step * score_unit;
        let error_norm = norm(&mut action.iter().zip(&codes).map(|(x, code)| x - step * code));
        let dequantized_norm = step * norm(&mut codes.iter().copied());
        let error_bound = error_norm * group.max_residual_norm
            + dequantized_norm * group.max_error_norm
            + reference_error_bound(index.dimensions, query_norm, index.max_item_norm, 0);
        let center = index.centers()[group.cluster].as_flattened().iter().zip(&action).map(|(c, x)| c * x);
        let center = center.sum::<f64>();
        // The rounding of double precision in both computations.
        let tolerance = 1e-13 * (center.abs() + error_bound + score_step * max_sum / score_unit);
        let expected_upper = center + error_bound + score_step * (1.0 - 1.0 / score_unit);
        assert!(
            bounds.upper_offset[0] >= expected_upper - tolerance,
            "{} is below {expected_upper}",
            bounds.upper_offset[0]
        );
        let sums = (max_sum / score_unit) as i32;
        for score in [-sums, -sums / 3, -1, 0, 1, sums / 7, sums / 2, sums - 1, sums] {
            let lower_bound = f64::from(queries.lower_bound(0, group_index, score));
            let expected = center - error_bound + score_step * f64::from(score);
            assert!(lower_bound <= expected + tolerance, "{lower_bound} is above {expected}");
        }
    }
}

/// Each term of the error bound is attained to a thousandth: no smaller term would be correct.
#[test]
fn error_bound_is_tight() {
    for (layout, max_query) in [(i16_layout(8), 63.0), (AmxKernel::LAYOUT, 127.0)] {
        // Items of integers except for the last two, half a step off; a query of integers.
        assert_error_bound_is_tight(layout, 1, &[127.0, -127.0, 0.5, -0.5], &[max_query], 2);
        // A query half a step off, where items are integers in its second dimension and 0 in the first.
        assert_error_bound_is_tight(layout, 2, &[0.0, 127.0, 0.0, -127.0], &[max_query, 0.499_999], 0);
    }
    // All are integers, but the sum is one short of another score unit.
    assert_error_bound_is_tight(Vnni::LAYOUT, 2, &[127.0, 14.0, -127.0, -14.0], &[127.0, 1.0], 0);
}

fn assert_error_bound_is_tight(layout: Int8Layout, dimensions: usize, items: &[f32], action: &[f32], item: usize) {
    let index = QuantizedIndex::new(layout, items, dimensions, |_| 0).expect("the values are finite");
    let mut queries = QuantizedQueries::<1>::new(&index);
    assert!(queries.set(&index, action), "the values are finite");
    let quantized_score = scored_items(&index, &queries.words.0[0])[item].score;
    let expected = f64::from(score(action, &items[item * dimensions..][..dimensions]));
    // The center is 0, so the upper offset of a quantized score of 0 is the error bound.
    let ScoreBounds { upper_offset: [error_bound], inverse_step: [inverse_step], .. } = queries.bounds[0];
    let error = (expected - f64::from(quantized_score) / inverse_step).abs();
    assert!(error <= error_bound && error > 0.999 * error_bound, "{error} of {error_bound}: {layout:?}");
}

/// Rounding may increase a query's norm beyond what its sums allow, by two percent and more: here the query equals an
/// item, and all its values are in one of the two 16-bit parts of words.
#[test]
fn query_norm_stays_in_range_when_rounding_increases_it() {
    let sign = |item: usize, d: usize| {
        let normal = normal_pair(Key::new(3, Purpose::World).fold_in(item as u64).fold_in(d as u64))[0];
        if d / 2 % 2 == 1 { 0.0 } else { 1.0_f32.copysign(normal) }
    };
    let row = |item: usize| (0..256).map(move |d| sign(item / 2, d) * [1.0, -1.0][item % 2]);
    let case = SearchCase {
        dimensions: 256,
        clusters: 1,
        items: (0..512).flat_map(row).collect(),
        queries: row(300).collect(),
    };
    assert_finds_the_best(&case);
}

/// Steps near underflow, which single precision holds with a few bits only: the rounding error of a step is multiplied
/// by the score.
#[test]
fn steps_near_underflow_lose_no_item() {
    for (multiple, dimensions) in
        (1..40).flat_map(|multiple| [64, 128, 256].map(|dimensions| (multiple, dimensions)))
    {
        let step = (f64::from(multiple) * 0.05 + 0.2) * 2.0_f64.powi(-149);
        let action = (step * 127.0 * 127.0 * 2.0_f64.powi(60)) as f32;
        let items = (0..512).flat_map(|item| {
            let key = Key::new(item, Purpose::World);
            let normal = move |d: usize| normal_pair(key.fold_in(d as u64))[0];
            (0..dimensions).map(move |d| {
                // One item has a single sign, as the query does.
                let sign = if item == 300 { 1.0 } else { 1.0_f32.copysign(normal(d)) };
                sign * 2.0_f32.powi(-60)
            })
        });
        assert_finds_the_best(&SearchCase {
            dimensions,
            clusters: 1,
            items: items.collect(),
            queries: vec![action; dimensions],
        });
    }
}

fn assert_finds_the_best(case: &SearchCase) {
    let expected = brute_force_lists(&case.items, &case.queries, case.dimensions, 1);
    for unit in int8_units() {
        assert!(quantized_lists(unit, case, 1, usize::MAX, 1024) == (true, expected.clone()), "{unit:?}");
    }
    assert!(scalar_lists::<_, 32>(ScalarTiles, case, 1, 1024) == expected);
}

#[test]
fn index_of_several_parts_is_searched_to_its_end() {
    let key = Key::new(0, Purpose::World);
    let values = |key: Key, count: u64| (0..count).flat_map(move |n| normal_pair(key.fold_in(n)));
    let items: Vec<f32> = values(key.fold_in(0), 4 * 40_000).collect();
    let queries: Vec<f32> = values(key.fold_in(1), 4 * 13).collect();
    // Also sorted: the best items come last, or first.
    let mut rows: Vec<&[f32]> = items.chunks_exact(8).collect();
    rows.sort_by(|a, b| score(&queries[..8], a).total_cmp(&score(&queries[..8], b)));
    for rows in [items.chunks_exact(8).collect(), rows.clone(), rows.into_iter().rev().collect()] {
        let case = SearchCase { dimensions: 8, clusters: 2, items: rows.concat(), queries: queries.clone() };
        let expected = brute_force_lists(&case.items, &queries, 8, 10);
        for unit in int8_units() {
            assert!(quantized_lists(unit, &case, 10, usize::MAX, 1024) == (true, expected.clone()), "{unit:?}");
        }
    }
}

#[test]
fn search_stops_at_too_many_candidates() {
    let equal_items =
        SearchCase { dimensions: 4, clusters: 1, items: vec![1.0; 4 * 5000], queries: vec![0.5; 4 * 7] };
    for unit in int8_units() {
        assert!(!quantized_lists(unit, &equal_items, 3, 4999, 1024).0, "{unit:?}");
        assert!(quantized_lists(unit, &equal_items, 3, 5000, 1024).0, "{unit:?}");
    }
}

#[test]
fn non_finite_and_too_large_values_are_refused() {
    assert!(QuantizedIndex::new(i16_layout(8), &[1.0, f32::NAN], 1, |_| 0).is_none());
    let index = QuantizedIndex::new(i16_layout(8), &[1e20, -1e20], 1, |_| 0).expect("the values are finite");
    let accepts = |action| QuantizedQueries::<1>::new(&index).set(&index, &[action]);
    assert!(accepts(1e16));
    assert!(![1e17, f32::INFINITY, f32::NAN].into_iter().any(accepts));
}

#[test]
fn reference_scores_equal_the_score_of_each_row() {
    for dimensions in 1..40 {
        let key = Key::new(dimensions as u64, Purpose::World);
        let values =
            |key: Key| -> Vec<f32> { (0..dimensions as u64).map(|d| normal_pair(key.fold_in(d))[0]).collect() };
        let action = values(key.fold_in(0));
        let rows: [_; ROWS_AT_ONCE] = std::array::from_fn(|row| values(key.fold_in(1 + row as u64)));
        let (rows, expected) =
            (rows.each_ref().map(|row| &row[..]), rows.each_ref().map(|row| score(&action, row)));
        if let Some(vectors) = V3::try_new() {
            assert_eq!(vectors.vectorize(|| reference_scores_avx2(vectors, &action, rows)), expected);
        }
        if let Some(vectors) = Vnni::try_new() {
            assert_eq!(vectors.vectorize(|| reference_scores_avx512(vectors, &action, rows)), expected);
        }
    }
}

#[test]
fn int8_units_include_amx() {
    let has_amx = int8_units().iter().any(|unit| matches!(unit, Int8Unit::Amx(..)));
    assert_eq!(has_amx, InstructionSet::Amx.arch().is_some());
    if !has_amx {
        skip::no_amx("search::quantized on amx");
    }
}

/// Scalar sums in 16 bits, in the layout of larger vectors than any machine has for them.
#[derive(Clone, Copy)]
struct ScalarI16;

impl Int8Kernel for ScalarI16 {
    type Score = i16;
    type PanelScores = [i16; 32];
    const LAYOUT: Int8Layout = i16_layout(16);
    const MASK_BITS: usize = 1;
    const STORES_SCORES: bool = true;

    fn from_f64(value: f64) -> i16 {
        value as i16
    }

    fn score<const Q: usize>(self, queries: &[[u32; MAX_WORDS]; Q], panel: &[u32], scores: &mut [[i16; 32]; Q]) {
        score_panel(self, queries, panel, scores);
    }

    fn max_scores(self, a: [i16; 32], b: [i16; 32]) -> [i16; 32] {
        std::array::from_fn(|n| a[n].max(b[n]))
    }

    fn items_above(self, scores: [i16; 32], threshold: i16) -> u32 {
        scores.iter().rev().fold(0, |bits, &score| bits << 1 | u32::from(score > threshold))
    }

    fn reference_scores(self, action: &[f32], rows: [&[f32]; ROWS_AT_ONCE]) -> [f32; ROWS_AT_ONCE] {
        rows.map(|row| score(action, row))
    }
}

impl Int8Vectors for ScalarI16 {
    type Vector = [u32; 16];
    type Words = [u32; 16];
    type PanelScores = [i16; 32];

    fn load(self, words: &[u32; 16]) -> [u32; 16] {
        *words
    }

    fn splat(self, word: u32) -> [u32; 16] {
        [word; 16]
    }

    fn multiply_add(self, unsigned: [u32; 16], signed: [u32; 16], sums: [u32; 16]) -> [u32; 16] {
        std::array::from_fn(|item| {
            let (a, b) = (unsigned[item].to_le_bytes(), signed[item].to_le_bytes());
            let product = |n: usize| i32::from(a[n]) * i32::from(b[n].cast_signed());
            let half = |n: usize| i16::try_from(product(2 * n) + product(2 * n + 1)).expect("two products fit");
            let [low, high] = [0, 1].map(|n| half(n).wrapping_add(split_i16(sums[item])[n]));
            u32::from(low.cast_unsigned()) | u32::from(high.cast_unsigned()) << 16
        })
    }

    fn scores(self, sums: [[u32; 16]; 2]) -> [i16; 32] {
        std::array::from_fn(|index| {
            let [low, high] = split_i16(sums.as_flattened()[Self::LAYOUT.word_index(index)]);
            low.saturating_add(high)
        })
    }
}

fn split_i16(word: u32) -> [i16; 2] {
    [word as u16, (word >> 16) as u16].map(u16::cast_signed)
}

/// Scalar emulation of tile products, for machines without AMX.
#[derive(Clone, Copy)]
struct ScalarTiles;

impl Int8Kernel for ScalarTiles {
    type Score = i32;
    type PanelScores = [i32; 32];
    const LAYOUT: Int8Layout = AmxKernel::LAYOUT;
    const MASK_BITS: usize = 1;
    const STORES_SCORES: bool = false;

    fn from_f64(value: f64) -> i32 {
        AmxKernel::from_f64(value)
    }

    fn score<const Q: usize>(self, queries: &[[u32; MAX_WORDS]; Q], panel: &[u32], scores: &mut [[i32; 32]; Q]) {
        let (initial, words) =
            panel.as_chunks::<32>().0.split_first().expect("a panel begins with its initial sums");
        for (query, scores) in queries.iter().zip(scores) {
            *scores = std::array::from_fn(|item| {
                let products = words.iter().zip(query).flat_map(|(words, query)| {
                    let [item, query] = [words[item], *query].map(|word| word.to_le_bytes().map(u8::cast_signed));
                    item.into_iter().zip(query).map(|(x, q)| i32::from(x) * i32::from(q))
                });
                initial[item].cast_signed() + products.sum::<i32>()
            });
        }
    }

    fn max_scores(self, a: [i32; 32], b: [i32; 32]) -> [i32; 32] {
        std::array::from_fn(|n| a[n].max(b[n]))
    }

    fn items_above(self, scores: [i32; 32], threshold: i32) -> u32 {
        scores.iter().rev().fold(0, |bits, &score| bits << 1 | u32::from(score > threshold))
    }

    fn reference_scores(self, action: &[f32], rows: [&[f32]; ROWS_AT_ONCE]) -> [f32; ROWS_AT_ONCE] {
        rows.map(|row| score(action, row))
    }
}

/// The list of the quantized search with a scalar kernel.
fn scalar_lists<K: Int8Kernel, const Q: usize>(
    kernel: K,
    case: &SearchCase,
    list_len: usize,
    part_panels: usize,
) -> Vec<u32> {
    let SearchCase { dimensions, queries, .. } = case;
    let (index, mut lists) = (&case.index(K::LAYOUT), vec![u32::MAX; queries.len() / dimensions * list_len]);
    let mut scores = vec![0.0; lists.len()];
    let rows = lists.chunks_exact_mut(list_len).zip(scores.chunks_exact_mut(list_len));
    let best = &mut rows.map(|(lists, scores)| TopK::new(lists, scores)).collect::<Vec<_>>();
    assert!(
        QuantizedScan::<_, Q> { kernel, index, queries, best, list_len, max_candidates: usize::MAX, part_panels }
            .call()
    );
    lists
}

/// The int8 units of this machine.
fn int8_units() -> Vec<Int8Unit> {
    InstructionSet::available().filter_map(Int8Unit::new).collect()
}

/// Whether the search completed, and the lists it found.
fn quantized_lists(
    unit: Int8Unit,
    case: &SearchCase,
    list_len: usize,
    max_candidates: usize,
    part_panels: usize,
) -> (bool, Vec<u32>) {
    let SearchCase { dimensions, items, queries, .. } = case;
    let index = &unit.build_index(items, *dimensions, case.cluster()).expect("the values are finite");
    let mut lists = vec![u32::MAX; queries.len() / dimensions * list_len];
    let mut scores = vec![0.0; lists.len()];
    let rows = lists.chunks_exact_mut(list_len).zip(scores.chunks_exact_mut(list_len));
    let best = &mut rows.map(|(lists, scores)| TopK::new(lists, scores)).collect::<Vec<_>>();
    let is_complete = unit.search(index, queries, best, list_len, max_candidates, part_panels);
    (is_complete, lists)
}

/// The layouts of all kernels.
const LAYOUTS: [Int8Layout; 3] = [i16_layout(8), Vnni::LAYOUT, AmxKernel::LAYOUT];

struct ScoredItem {
    group: usize,
    row: Vec<f32>,
    score: i32,
}

/// Every item with its quantized score, by scalar sums.
fn scored_items(index: &QuantizedIndex, query: &[u32; MAX_WORDS]) -> Vec<ScoredItem> {
    let Int8Layout { query_bias, score_unit, max_sum, .. } = index.layout;
    let (groups, panels) = index.panels();
    let mut all = Vec::new();
    for (panel, (&group, words)) in groups.iter().zip(panels).enumerate() {
        for lane in 0..index.panel_items() {
            let position = panel * index.panel_items() + lane;
            let column =
                words.iter().skip(index.layout.word_index(lane) + index.panel_items()).step_by(index.panel_items());
            let products = column.zip(query).flat_map(|(item, query)| {
                let (item, query) = (item.to_le_bytes(), query.to_le_bytes());
                // With the bias added, a query's bytes are unsigned.
                let query_value =
                    |byte: u8| if query_bias > 0.0 { i32::from(byte) } else { byte.cast_signed().into() };
                item.into_iter()
                    .zip(query)
                    .map(move |(x, q)| i32::from(x.cast_signed()) * (query_value(q) - query_bias as i32))
            });
            let sum: i32 = products.sum();
            assert!(f64::from(sum.abs()) <= max_sum, "the sum is within the layout's maximum");
            if let Some(item) = index.item(position) {
                let score = sum.div_euclid(score_unit as i32);
                all.push((item, ScoredItem { group: group as usize, row: index.row(position).to_vec(), score }));
            }
        }
    }
    all.sort_by_key(|&(item, _)| item);
    all.into_iter().map(|(_, item)| item).collect()
}

#[derive(Clone, Debug)]
struct SearchCase {
    dimensions: usize,
    clusters: usize,
    items: Vec<f32>,
    queries: Vec<f32>,
}

impl SearchCase {
    fn index(&self, layout: Int8Layout) -> QuantizedIndex {
        QuantizedIndex::new(layout, &self.items, self.dimensions, self.cluster()).expect("the values are finite")
    }

    fn cluster(&self) -> impl Fn(usize) -> u32 {
        |item| (item * item % self.clusters) as u32
    }
}

/// Items and queries of all kinds: values of one magnitude or many, around centers or not, nearly or exactly equal,
/// sorted, with one value that dominates, at both ends of single precision's range.
fn search_cases() -> impl Strategy<Value = SearchCase> {
    (
        prop_oneof![9 => 1_usize..80, 1 => 80_usize..257],
        1_usize..400,
        1_usize..15,
        prop_oneof![1_usize..5, Just(70)],
        any::<u64>(),
        0..7,
        0_usize..5,
    )
        .prop_map(|(dimensions, items, queries, clusters, seed, kind, scale)| {
            let key = Key::new(seed, Purpose::World);
            let normal = |key: Key| normal_pair(key)[0];
            let row = |key: Key| (0..dimensions as u64).map(move |d| normal(key.fold_in(d)));
            let scale = [1.0, 1e-3, 1e15, 1e-20, f32::MIN_POSITIVE][scale];
            let mut rows: Vec<f32> = Vec::new();
            for item in 0..items as u64 {
                let (center, own) =
                    (key.fold_in(1).fold_in(item * item % clusters as u64), key.fold_in(2).fold_in(item));
                let (spread, center_scale) = match kind {
                    0 => (1.0, 0.0),
                    1 => (0.1, 1.0),
                    2 => (1e-6, 1.0),
                    3 => (0.0, 1.0),
                    4 => (item as f32 / items as f32, 1.0),
                    5 => (f32::powi(2.0, -((own.bits() % 20) as i32)), 0.0),
                    _ => (if item == 7 { 1e3 } else { 1.0 }, 0.0),
                };
                rows.extend(row(center).zip(row(own)).map(|(c, x)| (c * center_scale + spread * x) * scale));
            }
            let queries = (0..queries as u64).flat_map(|n| {
                // Some queries are items, or zero.
                let item = index(key.fold_in(4).fold_in(n), items as u64) as usize;
                let of_item = &rows[item * dimensions..][..dimensions];
                let query_kind = key.fold_in(5).fold_in(n).bits() % 6;
                let query: Vec<f32> = match query_kind {
                    0 => vec![0.0; dimensions],
                    1 | 2 => of_item.iter().map(|x| x / scale).collect(),
                    _ => row(key.fold_in(3).fold_in(n)).collect(),
                };
                query
            });
            let queries = queries.collect();
            SearchCase { dimensions, clusters, items: rows, queries }
        })
}
