//! The fast search gives the same lists as scoring every item separately, for all values.

#[path = "../src/properties.rs"]
mod properties;

use proptest::prelude::*;
use recsim_backend_cpu::best_items;
use recsim_core::model::rng::{Key, Purpose, normal_pair};
use recsim_core::world::brute_force_lists;

#[derive(Clone, Debug)]
struct RankingCase {
    dimensions: usize,
    list_len: usize,
    items: Vec<f32>,
    queries: Vec<f32>,
}

impl RankingCase {
    fn assert_equal_to_brute_force(&self, threads: usize) {
        let Self { dimensions, list_len, items, queries } = self;
        let fast = best_items(items, queries, *dimensions, *list_len, Some(threads)).expect("lists");
        assert_eq!(fast, brute_force_lists(items, queries, *dimensions, *list_len));
    }
}

proptest! {
    #![proptest_config(properties::config(256))]

    #[test]
    fn random_items_are_ranked_exactly(case in cases(-1.0_f32..1.0), threads in 1_usize..4) {
        case.assert_equal_to_brute_force(threads);
    }

    #[test]
    fn ties_go_to_the_lower_index(case in cases(prop::sample::select(&[-1.0_f32, -0.0, 0.0, 1.0][..]))) {
        case.assert_equal_to_brute_force(2);
    }

    #[test]
    fn tiny_huge_and_subnormal_values_are_ranked_exactly(
        case in cases(prop_oneof![
            (-1.0_f32..1.0).prop_map(|x| x * 1.0e15),
            (-1.0_f32..1.0).prop_map(|x| x * 1.0e-22),
            (-1.0_f32..1.0).prop_map(|x| x * f32::MIN_POSITIVE),
            Just(f32::from_bits(1)),
            Just(0.0),
        ]),
    ) {
        case.assert_equal_to_brute_force(2);
    }

    #[test]
    fn list_items_are_distinct_for_non_finite_values(
        case in cases(prop::sample::select(&[1.0_f32, -2.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN][..])),
    ) {
        let RankingCase { dimensions, list_len, items, queries } = case;
        let mut lists = best_items(&items, &queries, dimensions, list_len, Some(2)).unwrap();
        for list in lists.chunks_exact_mut(list_len) {
            list.sort_unstable();
            prop_assert!(list.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(list[list.len() - 1] < (items.len() / dimensions) as u32);
        }
    }

    #[test]
    fn equal_items_are_ranked_by_index(
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
fn zero_query_gives_the_first_items() {
    let items: Vec<f32> = (0..300).map(|x| x as f32 - 150.0).collect();
    assert_eq!(best_items(&items, &[0.0, -0.0, 0.0], 3, 5, None).unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn no_queries_give_no_lists() {
    assert_eq!(best_items(&[1.0], &[], 1, 1, None).unwrap(), []);
}

#[test]
fn index_of_many_panels_is_ranked_exactly_on_any_number_of_threads() {
    let key = Key::new(0, Purpose::World);
    let normals = |key: Key, count: u64| (0..count).flat_map(|n| normal_pair(key.fold_in(n))).collect();
    let case = RankingCase {
        dimensions: 64,
        list_len: 10,
        items: normals(key.fold_in(0), 3001 * 32),
        queries: normals(key.fold_in(1), 101 * 32),
    };
    for threads in 1..4 {
        case.assert_equal_to_brute_force(threads);
    }
}

/// Items and queries with values of `entry`: more queries than a tile holds, and sizes that are not multiples of block
/// sizes.
fn cases(entry: impl Strategy<Value = f32> + Clone) -> impl Strategy<Value = RankingCase> {
    (1_usize..70, 1_usize..120, 1_usize..100).prop_flat_map(move |(dimensions, items, queries)| {
        let values = |rows: usize| prop::collection::vec(entry.clone(), rows * dimensions);
        let case = (Just(dimensions), 1..=items, values(items), values(queries));
        case.prop_map(|(dimensions, list_len, items, queries)| RankingCase { dimensions, list_len, items, queries })
    })
}
