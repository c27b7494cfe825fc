//! Every kernel against plain loops; `tests/search.rs` has the properties of the whole.

use proptest::prelude::*;
use pulp::{Arch, Simd, WithSimd};
use recsim_core::model::rng::{Key, Purpose, index, normal_pair};
use recsim_core::model::slate::TopK;
use recsim_core::world::brute_force_lists;

use super::kernel::{Search, search};
use super::{Catalogue, TILE};
use crate::InstructionSet;

proptest! {
    #![proptest_config(crate::properties::config(256))]

    #[test]
    fn every_instruction_set_and_block_shape_ranks_as_plain_loops_do(
        dimensions in 1_usize..40,
        items in 1_usize..200,
        queries in 0_usize..20,
        list in 1_usize..200,
        seed: u64,
    ) {
        let (items, queries) = equal_but_for_rounding(dimensions, items, queries, seed);
        let list = list.min(items.len() / dimensions);
        let plain = brute_force_lists(&items, &queries, dimensions, list);
        for isa in InstructionSet::available() {
            let arch = isa.arch().expect("it is available");
            let catalogue = Catalogue::new(isa, &items, dimensions, |_| 0);
            let mut places = vec![u32::MAX; plain.len()];
            catalogue.best(&queries, &mut places, list, list);
            prop_assert_eq!(&places, &plain, "{:?}", arch);
            for vectors in [2, 3] {
                let lists = arch.dispatch(Shaped { arch, items: &items, queries: &queries, dimensions, list, vectors });
                prop_assert_eq!(&lists, &plain, "{:?} with {} vectors", arch, vectors);
            }
        }
    }
}

#[test]
fn the_tables_tell_another_order_of_operations() {
    let (items, queries) = equal_but_for_rounding(8, 50, 1, 0);
    let rank = |score: fn(&[f32], &[f32]) -> f32| {
        let (mut places, mut scores) = ([0; 50], [0.0; 50]);
        let mut best = TopK::new(&mut places, &mut scores);
        items.chunks_exact(8).enumerate().for_each(|(item, row)| best.push(item as u32, score(&queries, row)));
        places
    };
    let defined = rank(recsim_core::model::slate::score);
    assert_ne!(rank(|a, b| a.iter().zip(b).map(|(a, b)| a * b).sum()), defined, "each product rounded by itself");
    assert_ne!(
        rank(|a, b| a.iter().zip(b).rev().fold(0.0, |sum, (&a, &b)| a.mul_add(b, sum))),
        defined,
        "backwards"
    );
}

#[test]
fn a_tile_is_whole_blocks() {
    assert!(TILE.is_multiple_of(6) && TILE.is_multiple_of(8) && TILE.is_multiple_of(12) && TILE.is_multiple_of(32));
}

/// A block shape that the machine's registers may not ask for.
struct Shaped<'a> {
    arch: Arch,
    items: &'a [f32],
    queries: &'a [f32],
    dimensions: usize,
    list: usize,
    vectors: usize,
}

impl WithSimd for Shaped<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<u32> {
        let Self { arch, items, queries, dimensions, list, vectors } = self;
        let catalogue = &Catalogue::with_width(arch, items, dimensions, vectors * S::F32_LANES);
        let mut places = vec![u32::MAX; queries.len() / dimensions * list];
        let mut scores = vec![0.0; places.len()];
        let rows = places.chunks_exact_mut(list).zip(scores.chunks_exact_mut(list));
        let mut best: Vec<_> = rows.map(|(places, scores)| TopK::new(places, scores)).collect();
        let all = Search { catalogue, queries, best: &mut best };
        match vectors {
            3 => search::<S, 8, 3>(simd, all),
            _ => search::<S, 6, 2>(simd, all),
        }
        places
    }
}

/// Items and queries: the items are one row in different orders, a query is one number repeated, so that only the
/// rounding of the sums tells the items apart.
fn equal_but_for_rounding(dimensions: usize, items: usize, queries: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let key = Key::new(seed, Purpose::World);
    let normal = |key: Key| normal_pair(key)[0];
    let mut row: Vec<f32> = (0..dimensions as u64).map(|d| normal(key.fold_in(0).fold_in(d))).collect();
    let mut table = Vec::new();
    for item in 0..items as u64 {
        for last in (1..dimensions).rev() {
            row.swap(last, index(key.fold_in(1).fold_in(item).fold_in(last as u64), last as u64 + 1) as usize);
        }
        table.extend(&row);
    }
    let query = |n| vec![normal(key.fold_in(2).fold_in(n)); dimensions];
    (table, (0..queries as u64).flat_map(query).collect())
}
