//! Every kernel against plain loops; `tests/search.rs` has the properties of the whole search.

use proptest::prelude::*;
use pulp::{Arch, Simd, WithSimd};
use recsim_core::model::rng::{Key, Purpose, index, normal_pair};
use recsim_core::model::slate::TopK;
use recsim_core::world::brute_force_lists;

use super::fp32::{Fp32Search, search_blocks};
use super::{SearchIndex, TILE};
use crate::InstructionSet;

proptest! {
    #![proptest_config(crate::properties::config(256))]

    #[test]
    fn fp32_search_equals_plain_loops_on_every_instruction_set_and_block_shape(
        dimensions in 1_usize..40,
        items in 1_usize..200,
        queries in 0_usize..20,
        list in 1_usize..200,
        seed: u64,
    ) {
        let (items, queries) = equal_but_for_rounding(dimensions, items, queries, seed);
        let list = list.min(items.len() / dimensions);
        let expected = brute_force_lists(&items, &queries, dimensions, list);
        for instruction_set in InstructionSet::available() {
            let arch = instruction_set.arch().expect("the instruction set is available");
            let index = SearchIndex::new(instruction_set, &items, dimensions, |_| 0);
            let mut lists = vec![u32::MAX; expected.len()];
            index.top_k(&queries, &mut lists, list, list);
            prop_assert_eq!(&lists, &expected, "{:?}", arch);
            for vectors in [2, 3] {
                let search = ShapedSearch { arch, items: &items, queries: &queries, dimensions, list, vectors };
                let lists = arch.dispatch(search);
                prop_assert_eq!(&lists, &expected, "{:?} with {} vectors", arch, vectors);
            }
        }
    }
}

#[test]
fn test_items_distinguish_orders_of_operations() {
    let (items, queries) = equal_but_for_rounding(8, 50, 1, 0);
    let rank = |score: fn(&[f32], &[f32]) -> f32| {
        let (mut ranked, mut scores) = ([0; 50], [0.0; 50]);
        let mut best = TopK::new(&mut ranked, &mut scores);
        items.chunks_exact(8).enumerate().for_each(|(item, row)| best.push(item as u32, score(&queries, row)));
        ranked
    };
    let reference = rank(recsim_core::model::slate::score);
    assert_ne!(
        rank(|a, b| a.iter().zip(b).map(|(a, b)| a * b).sum()),
        reference,
        "each product rounded separately"
    );
    assert_ne!(
        rank(|a, b| a.iter().zip(b).rev().fold(0.0, |sum, (&a, &b)| a.mul_add(b, sum))),
        reference,
        "dimensions in reverse order"
    );
}

#[test]
fn tile_is_a_multiple_of_every_block_height() {
    assert!(TILE.is_multiple_of(6) && TILE.is_multiple_of(8) && TILE.is_multiple_of(12) && TILE.is_multiple_of(32));
}

/// A block shape that this machine's registers may not ask for.
struct ShapedSearch<'a> {
    arch: Arch,
    items: &'a [f32],
    queries: &'a [f32],
    dimensions: usize,
    list: usize,
    vectors: usize,
}

impl WithSimd for ShapedSearch<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<u32> {
        let Self { arch, items, queries, dimensions, list, vectors } = self;
        let index = &SearchIndex::with_width(arch, items, dimensions, vectors * S::F32_LANES);
        let mut lists = vec![u32::MAX; queries.len() / dimensions * list];
        let mut scores = vec![0.0; lists.len()];
        let rows = lists.chunks_exact_mut(list).zip(scores.chunks_exact_mut(list));
        let mut best: Vec<_> = rows.map(|(lists, scores)| TopK::new(lists, scores)).collect();
        let search = Fp32Search { index, queries, best: &mut best };
        match vectors {
            3 => search_blocks::<S, 8, 3>(simd, search),
            _ => search_blocks::<S, 6, 2>(simd, search),
        }
        lists
    }
}

/// Items and queries whose scores are equal but for rounding: the items are permutations of one row, and a query is one
/// value repeated.
fn equal_but_for_rounding(dimensions: usize, items: usize, queries: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let key = Key::new(seed, Purpose::World);
    let normal = |key: Key| normal_pair(key)[0];
    let mut row: Vec<f32> = (0..dimensions as u64).map(|d| normal(key.fold_in(0).fold_in(d))).collect();
    let mut permutations = Vec::new();
    for item in 0..items as u64 {
        for last in (1..dimensions).rev() {
            row.swap(last, index(key.fold_in(1).fold_in(item).fold_in(last as u64), last as u64 + 1) as usize);
        }
        permutations.extend(&row);
    }
    let query = |n| vec![normal(key.fold_in(2).fold_in(n)); dimensions];
    (permutations, (0..queries as u64).flat_map(query).collect())
}
