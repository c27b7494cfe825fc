//! The search in bytes against plain loops, and its margin against the scores that it must hold.

use proptest::prelude::*;
use pulp::{Arch, NullaryFnOnce};
use recsim_core::rng::{Key, Purpose, index, normal_pair};
use recsim_core::slate::{Best, score};
use recsim_core::world::lists_by_brute_force;

use super::bytes::{Bytes, TOGETHER, word_of};
use super::queries::{Meaning, Queries};
use super::rough::Rough;
use super::scan::Scan;
use crate::InstructionSet;

proptest! {
    #![proptest_config(crate::properties::config(256))]

    #[test]
    fn bytes_find_what_plain_loops_find(tables in tables(), list in 1_usize..30, part in 1_usize..30) {
        let Tables { dimensions, items, queries, .. } = &tables;
        let list = list.min(items.len() / dimensions);
        let plain = lists_by_brute_force(items, queries, *dimensions, list);
        for arch in InstructionSet::available().filter_map(InstructionSet::arch) {
            if let Some((done, places)) = found(arch, &tables, list, usize::MAX, part) {
                prop_assert!(done);
                prop_assert_eq!(&places, &plain, "{:?}", arch);
            }
        }
        prop_assert_eq!(&found_plainly(&tables, list, part), &plain);
    }

    #[test]
    fn no_score_is_farther_off_than_its_margin(tables in tables()) {
        let rough = tables.rough();
        let mut queries = Queries::<1>::new(&rough);
        for action in tables.queries.chunks_exact(tables.dimensions) {
            prop_assert!(queries.set(&rough, 0, action), "the numbers are finite");
            for Item { group, row, in_bytes } in items(&rough, queries.words.as_flattened()) {
                let due = score(action, &row);
                let in_bytes = i16::try_from(in_bytes).expect("sums fit into 16 bits");
                let mut share = [f32::NEG_INFINITY; 8];
                queries.raise(0, group, &[in_bytes; 8], &mut share);
                prop_assert_eq!(share, [queries.at_least(0, group, in_bytes); 8]);
                prop_assert!(share[0] <= due);
                prop_assert!(queries.bar(0, group, due.into()) < in_bytes, "it may reach its own score");
            }
        }
    }
}

/// Each of the margin's two parts is reached, to a ten-thousandth: no smaller one would do.
#[test]
fn the_margin_is_no_larger_than_it_must_be() {
    // Items of whole numbers but for the last two, half a step off; an action of whole numbers.
    let items = [127.0, -127.0, 0.5, -0.5];
    // An action half a step off where items are all in their second number, whole ones.
    let pairs = [[0.0, 127.0], [0.0, -127.0]].concat();
    let cases = [(1, items.to_vec(), vec![63.0], 2), (2, pairs, vec![63.0, 0.499_999], 0)];
    for (dimensions, items, action, item) in cases {
        let rough = Rough::new(8, &items, dimensions, |_| 0).expect("finite numbers");
        let mut queries = Queries::<1>::new(&rough);
        assert!(queries.set(&rough, 0, &action), "finite numbers");
        let in_bytes = self::items(&rough, queries.words.as_flattened())[item].in_bytes;
        let due = f64::from(score(&action, &items[item * dimensions..][..dimensions]));
        // The centre is 0, and what is most by a score of bytes of 0 the margin.
        let [Meaning { most: margin, per_step, .. }] = queries.meanings[0];
        let off = (due - f64::from(in_bytes) / per_step).abs();
        assert!(off <= margin && off > 0.9999 * margin, "{off} of {margin}");
    }
}

#[test]
fn a_catalogue_of_several_segments_is_searched_to_its_end() {
    let key = Key::new(0, Purpose::World);
    let numbers = |key: Key, count: u64| (0..count).flat_map(move |n| normal_pair(key.with(n)));
    let items: Vec<f32> = numbers(key.with(0), 4 * 40_000).collect();
    let queries: Vec<f32> = numbers(key.with(1), 4 * 13).collect();
    // Sorted, too: the best come last, or first.
    let mut rows: Vec<&[f32]> = items.chunks_exact(8).collect();
    rows.sort_by(|a, b| score(&queries[..8], a).total_cmp(&score(&queries[..8], b)));
    for rows in [items.chunks_exact(8).collect(), rows.clone(), rows.into_iter().rev().collect()] {
        let tables = Tables { dimensions: 8, clusters: 2, items: rows.concat(), queries: queries.clone() };
        let plain = lists_by_brute_force(&tables.items, &queries, 8, 10);
        for arch in InstructionSet::available().filter_map(InstructionSet::arch) {
            if let Some(found) = found(arch, &tables, 10, usize::MAX, 1024) {
                assert!(found == (true, plain.clone()), "{arch:?}");
            }
        }
    }
}

#[test]
fn a_search_gives_up_where_too_many_items_must_be_scored() {
    let alike = Tables { dimensions: 4, clusters: 1, items: vec![1.0; 4 * 5000], queries: vec![0.5; 4 * 7] };
    for arch in InstructionSet::available().filter_map(InstructionSet::arch) {
        if let Some((done, _)) = found(arch, &alike, 3, 4999, 1024) {
            assert!(!done);
            assert!(found(arch, &alike, 3, 5000, 1024).is_some_and(|(done, _)| done));
        }
    }
}

#[test]
fn numbers_that_are_not_finite_or_too_large_are_left_to_plain_loops() {
    assert!(Rough::new(8, &[1.0, f32::NAN], 1, |_| 0).is_none());
    let rough = Rough::new(8, &[1e20, -1e20], 1, |_| 0).expect("finite numbers");
    let sets = |action| Queries::<1>::new(&rough).set(&rough, 0, &[action]);
    assert!(sets(1e16));
    assert!(![1e17, f32::INFINITY, f32::NAN].into_iter().any(sets));
}

#[test]
fn scores_worked_out_together_are_those_that_decide() {
    for arch in InstructionSet::available().filter_map(InstructionSet::arch) {
        for dimensions in 1..40 {
            let key = Key::new(dimensions as u64, Purpose::World);
            let numbers =
                |key: Key| -> Vec<f32> { (0..dimensions as u64).map(|d| normal_pair(key.with(d))[0]).collect() };
            let (action, rows) = (numbers(key.with(0)), [1, 2, 3, 4, 5, 6, 7, 8].map(|row| numbers(key.with(row))));
            let together = match arch {
                Arch::V4(bytes) => bytes.defined(&action, rows.each_ref().map(|row| &row[..])),
                Arch::V3(bytes) => bytes.defined(&action, rows.each_ref().map(|row| &row[..])),
                _ => continue,
            };
            assert_eq!(together, rows.each_ref().map(|row| score(&action, row)), "{arch:?}");
        }
    }
}

/// Sums on plain numbers, in the shape of AVX-512: most machines cannot run that.
#[derive(Clone, Copy)]
struct Plain;

impl Bytes for Plain {
    type Vector = [u32; 16];
    type Words = [u32; 16];
    type Scores = [i16; 32];
    const ITEMS: usize = 16;
    const BITS: usize = 1;

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
            let [low, high] = [0, 1].map(|n| half(n).wrapping_add(halves(sums[item])[n]));
            u32::from(low.cast_unsigned()) | u32::from(high.cast_unsigned()) << 16
        })
    }

    fn scores(self, sums: [[u32; 16]; 2]) -> [i16; 32] {
        std::array::from_fn(|place| {
            let [low, high] = halves(sums.as_flattened()[word_of(place, 16)]);
            low.saturating_add(high)
        })
    }

    fn greater(self, a: [i16; 32], b: [i16; 32]) -> [i16; 32] {
        std::array::from_fn(|place| a[place].max(b[place]))
    }

    fn above(self, scores: [i16; 32], bar: i16) -> u32 {
        scores.iter().rev().fold(0, |bits, &score| bits << 1 | u32::from(score > bar))
    }

    fn defined(self, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
        rows.map(|row| score(action, row))
    }
}

fn halves(word: u32) -> [i16; 2] {
    [word as u16, (word >> 16) as u16].map(u16::cast_signed)
}

/// The search on plain numbers.
fn found_plainly(tables: &Tables, list: usize, part: usize) -> Vec<u32> {
    let Tables { dimensions, queries, .. } = tables;
    let (rough, mut places) = (&tables.rough_of(16), vec![u32::MAX; queries.len() / dimensions * list]);
    let mut scores = vec![0.0; places.len()];
    let rows = places.chunks_exact_mut(list).zip(scores.chunks_exact_mut(list));
    let best = &mut rows.map(|(places, scores)| Best::new(places, scores)).collect::<Vec<_>>();
    assert!(Scan::<_, 12> { bytes: Plain, rough, queries, best, list, most: usize::MAX, part }.call());
    places
}

/// Whether the search was done, and what it found; none where the machine multiplies no bytes.
fn found(arch: Arch, tables: &Tables, list: usize, most: usize, part: usize) -> Option<(bool, Vec<u32>)> {
    let Tables { dimensions, queries, .. } = tables;
    let mut places = vec![u32::MAX; queries.len() / dimensions * list];
    let mut scores = vec![0.0; places.len()];
    let rows = places.chunks_exact_mut(list).zip(scores.chunks_exact_mut(list));
    let best = &mut rows.map(|(places, scores)| Best::new(places, scores)).collect::<Vec<_>>();
    let done = match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(bytes) => {
            let rough = &tables.rough_of(16);
            bytes.vectorize(Scan::<_, 12> { bytes, rough, queries, best, list, most, part })
        }
        #[cfg(target_arch = "x86_64")]
        Arch::V3(bytes) => {
            let rough = &tables.rough_of(8);
            bytes.vectorize(Scan::<_, 6> { bytes, rough, queries, best, list, most, part })
        }
        _ => return None,
    };
    Some((done, places))
}

struct Item {
    group: usize,
    row: Vec<f32>,
    in_bytes: i32,
}

/// Every item with its score of bytes, by plain sums.
fn items(rough: &Rough, query: &[u32]) -> Vec<Item> {
    let (groups, panels) = rough.panels();
    let mut all = Vec::new();
    for (panel, (&group, words)) in groups.iter().zip(panels).enumerate() {
        for lane in 0..rough.width() {
            let place = panel * rough.width() + lane;
            let column = words.iter().skip(word_of(lane, rough.width() / 2) + rough.width()).step_by(rough.width());
            let products = column.zip(query).flat_map(|(item, query)| {
                let (item, query) = (item.to_le_bytes(), query.to_le_bytes());
                item.into_iter().zip(query).map(|(x, q)| i32::from(x.cast_signed()) * (i32::from(q) - 64))
            });
            let in_bytes = products.sum();
            if let Some(item) = rough.item(place) {
                all.push((item, Item { group: group as usize, row: rough.row(place).to_vec(), in_bytes }));
            }
        }
    }
    all.sort_by_key(|&(item, _)| item);
    all.into_iter().map(|(_, item)| item).collect()
}

#[derive(Clone, Debug)]
struct Tables {
    dimensions: usize,
    clusters: usize,
    items: Vec<f32>,
    queries: Vec<f32>,
}

impl Tables {
    fn rough(&self) -> Rough {
        self.rough_of(8)
    }

    fn rough_of(&self, items_of_vector: usize) -> Rough {
        let cluster = |item: usize| (item * item % self.clusters) as u32;
        Rough::new(items_of_vector, &self.items, self.dimensions, cluster).expect("the numbers are finite")
    }
}

/// Catalogues and queries of all sorts: numbers of one size or many, around centres or not, nearly or wholly alike, sorted,
/// with a number that dwarfs all others, at both ends of single precision's range.
fn tables() -> impl Strategy<Value = Tables> {
    (1_usize..80, 1_usize..400, 1_usize..15, prop_oneof![1_usize..5, Just(70)], any::<u64>(), 0..7, 0_usize..5)
        .prop_map(|(dimensions, items, queries, clusters, seed, kind, size)| {
            let key = Key::new(seed, Purpose::World);
            let normal = |key: Key| normal_pair(key)[0];
            let row = |key: Key| (0..dimensions as u64).map(move |d| normal(key.with(d)));
            let size = [1.0, 1e-3, 1e15, 1e-20, f32::MIN_POSITIVE][size];
            let mut table: Vec<f32> = Vec::new();
            for item in 0..items as u64 {
                let (centre, own) = (key.with(1).with(item * item % clusters as u64), key.with(2).with(item));
                let (spread, centred) = match kind {
                    0 => (1.0, 0.0),
                    1 => (0.1, 1.0),
                    2 => (1e-6, 1.0),
                    3 => (0.0, 1.0),
                    4 => (item as f32 / items as f32, 1.0),
                    5 => (f32::powi(2.0, -((own.bits() % 20) as i32)), 0.0),
                    _ => (if item == 7 { 1e3 } else { 1.0 }, 0.0),
                };
                table.extend(row(centre).zip(row(own)).map(|(c, x)| (c * centred + spread * x) * size));
            }
            let queries = (0..queries as u64).flat_map(|n| {
                // Now and then an item, or nothing.
                let item = index(key.with(4).with(n), items as u64) as usize;
                let of_item = &table[item * dimensions..][..dimensions];
                let chance = key.with(5).with(n).bits() % 6;
                let query: Vec<f32> = match chance {
                    0 => vec![0.0; dimensions],
                    1 | 2 => of_item.iter().map(|x| x / size).collect(),
                    _ => row(key.with(3).with(n)).collect(),
                };
                query
            });
            let queries = queries.collect();
            Tables { dimensions, clusters, items: table, queries }
        })
}
