//! The fast search gives what scoring every item by itself gives, whatever the numbers.

#[path = "../src/properties.rs"]
mod properties;

use proptest::prelude::*;
use recsim_backend_cpu::best_items;
use recsim_core::model::rng::{Key, Purpose, normal_pair};
use recsim_core::world::brute_force_lists;

#[derive(Clone, Debug)]
struct Tables {
    dimensions: usize,
    list: usize,
    items: Vec<f32>,
    queries: Vec<f32>,
}

impl Tables {
    fn assert_equal_to_brute_force(&self, threads: usize) {
        let Self { dimensions, list, items, queries } = self;
        let fast = best_items(items, queries, *dimensions, *list, Some(threads)).expect("lists");
        assert_eq!(fast, brute_force_lists(items, queries, *dimensions, *list));
    }
}

proptest! {
    #![proptest_config(properties::config(256))]

    #[test]
    fn random_rows_are_ranked_exactly(tables in tables(-1.0_f32..1.0), threads in 1_usize..4) {
        tables.assert_equal_to_brute_force(threads);
    }

    #[test]
    fn ties_go_to_the_lower_index(tables in tables(prop::sample::select(&[-1.0_f32, -0.0, 0.0, 1.0][..]))) {
        tables.assert_equal_to_brute_force(2);
    }

    #[test]
    fn tiny_huge_and_denormal_numbers_are_ranked_exactly(
        tables in tables(prop_oneof![
            (-1.0_f32..1.0).prop_map(|x| x * 1.0e15),
            (-1.0_f32..1.0).prop_map(|x| x * 1.0e-22),
            (-1.0_f32..1.0).prop_map(|x| x * f32::MIN_POSITIVE),
            Just(f32::from_bits(1)),
            Just(0.0),
        ]),
    ) {
        tables.assert_equal_to_brute_force(2);
    }

    #[test]
    fn whatever_the_numbers_a_list_holds_different_items(
        tables in tables(prop::sample::select(&[1.0_f32, -2.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN][..])),
    ) {
        let Tables { dimensions, list, items, queries } = tables;
        let mut lists = best_items(&items, &queries, dimensions, list, Some(2)).unwrap();
        for list in lists.chunks_exact_mut(list) {
            list.sort_unstable();
            prop_assert!(list.windows(2).all(|pair| pair[0] < pair[1]) && list[list.len() - 1] < (items.len() / dimensions) as u32);
        }
    }

    #[test]
    fn repeated_rows_are_ranked_by_index(
        row in prop::collection::vec(-1.0_f32..1.0, 1..70),
        copies in 1_usize..100,
        queries in 1_usize..60,
    ) {
        let (items, queries) = (row.repeat(copies), row.repeat(queries));
        let best = best_items(&items, &queries, row.len(), copies, None).unwrap();
        for list in best.chunks_exact(copies) {
            prop_assert!(list.iter().copied().eq(0..copies as u32));
        }
    }
}

#[test]
fn a_zero_query_gives_the_first_items() {
    let items: Vec<f32> = (0..300).map(|x| x as f32 - 150.0).collect();
    assert_eq!(best_items(&items, &[0.0, -0.0, 0.0], 3, 5, None).unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn no_query_gives_no_list() {
    assert_eq!(best_items(&[1.0], &[], 1, 1, None).unwrap(), []);
}

#[test]
fn a_catalogue_of_many_panels_is_ranked_exactly_on_any_number_of_threads() {
    let key = Key::new(0, Purpose::World);
    let normals = |key: Key, count: u64| (0..count).flat_map(|n| normal_pair(key.fold_in(n))).collect();
    let tables = Tables {
        dimensions: 64,
        list: 10,
        items: normals(key.fold_in(0), 3001 * 32),
        queries: normals(key.fold_in(1), 101 * 32),
    };
    for threads in 1..4 {
        tables.assert_equal_to_brute_force(threads);
    }
}

/// Tables of `entry`: more queries than a tile holds, and no size a multiple of anything.
fn tables(entry: impl Strategy<Value = f32> + Clone) -> impl Strategy<Value = Tables> {
    (1_usize..70, 1_usize..120, 1_usize..100).prop_flat_map(move |(dimensions, items, queries)| {
        let table = |rows: usize| prop::collection::vec(entry.clone(), rows * dimensions);
        let made = (Just(dimensions), 1..=items, table(items), table(queries));
        made.prop_map(|(dimensions, list, items, queries)| Tables { dimensions, list, items, queries })
    })
}
