//! The search in bytes against plain loops, and its margin against the scores that it must hold.

use proptest::prelude::*;
use pulp::NullaryFnOnce;
use pulp::x86::V3;
use recsim_core::model::rng::{Key, Purpose, index, normal_pair};
use recsim_core::model::slate::{TopK, score};
use recsim_core::world::brute_force_lists;
use recsim_core::world::error_bound::reference_error_bound;

use super::amx::Amx;
use super::avx2::in_16_bits;
use super::bytes::{Bytes, Layout, WORDS};
use super::defined::{TOGETHER, with_avx2, with_avx512};
use super::in_bytes::Way;
use super::panel::{self, Vectors};
use super::queries::{Meanings, Queries};
use super::rough::Rough;
use super::scan::Scan;
use crate::InstructionSet;
use crate::instructions::Vnni;

proptest! {
    #![proptest_config(crate::properties::config(256))]

    #[test]
    fn bytes_find_what_plain_loops_find(tables in tables(), list in 1_usize..30, part in 1_usize..30) {
        let Tables { dimensions, items, queries, .. } = &tables;
        let list = list.min(items.len() / dimensions);
        let plain = brute_force_lists(items, queries, *dimensions, list);
        for way in ways() {
            let (done, places) = found(way, &tables, list, usize::MAX, part);
            prop_assert!(done);
            prop_assert_eq!(&places, &plain, "{:?}", way);
        }
        prop_assert_eq!(&found_plainly::<_, 12>(Plain, &tables, list, part), &plain);
        prop_assert_eq!(&found_plainly::<_, 32>(PlainTiles, &tables, list, part), &plain);
    }

    #[test]
    fn no_score_is_farther_off_than_its_margin(tables in tables()) {
        for layout in LAYOUTS {
            let rough = tables.rough(layout);
            let mut queries = Queries::<1>::new(&rough);
            for action in tables.queries.chunks_exact(tables.dimensions) {
                prop_assert!(queries.set(&rough, action), "the numbers are finite");
                no_meaning_is_a_unit_too_narrow(&rough, action, &queries);
                for Item { group, row, in_bytes } in items(&rough, &queries.words.0[0]) {
                    let due = score(action, &row);
                    prop_assert!(in_bytes > layout.no_score, "it is not taken for nobody");
                    let mut share = [f32::NEG_INFINITY; 8];
                    queries.raise(0, group, &[in_bytes; 8], layout.no_score, &mut share);
                    prop_assert_eq!(share, [queries.at_least(0, group, in_bytes); 8]);
                    prop_assert!(share[0] <= due);
                    prop_assert!(queries.bar(0, group, due) < in_bytes.into(), "it may reach its own score");
                }
            }
        }
    }
}

/// What scores of bytes mean holds what is proven of them, worked out anew in double precision: a margin that is a unit of single
/// precision smaller would not, and neither would roundings left out.
fn no_meaning_is_a_unit_too_narrow(rough: &Rough, action: &[f32], queries: &Queries<1>) {
    let Layout { bias, unit, most_sum, .. } = rough.layout;
    let whole: Vec<f64> = queries.words.0[0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .map(|byte| f64::from(byte.wrapping_sub(bias as u8).cast_signed()))
        .take(rough.dimensions)
        .collect();
    let length = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let action: Vec<f64> = action.iter().map(|&x| x.into()).collect();
    let size = length(&mut action.iter().copied());
    for (number, (group, meanings)) in rough.groups().iter().zip(&queries.meanings).enumerate() {
        // Of an action's number; of a score of bytes.
        let step = group.per_step / (meanings.per_step[0] * unit);
        if !step.is_finite() {
            assert!(group.step == 0.0, "items that are their centre, and nothing is rounded");
            continue;
        }
        let score_step = step * group.step * unit;
        let lost = length(&mut action.iter().zip(&whole).map(|(x, whole)| x - step * whole));
        let kept = step * length(&mut whole.iter().copied());
        let margin = lost * group.longest
            + kept * group.lost
            + reference_error_bound(rough.dimensions, size, rough.longest, 0);
        let centre = rough.centres()[group.cluster].as_flattened().iter().zip(&action).map(|(c, x)| c * x);
        let centre = centre.sum::<f64>();
        // Double precision's own roundings here and there.
        let unsure = 1e-13 * (centre.abs() + margin + score_step * most_sum / unit);
        let most = centre + margin + score_step * (1.0 - 1.0 / unit);
        assert!(meanings.most[0] >= most - unsure, "{} of {most}", meanings.most[0]);
        let sums = (most_sum / unit) as i32;
        for score in [-sums, -sums / 3, -1, 0, 1, sums / 7, sums / 2, sums - 1, sums] {
            let least = f64::from(queries.at_least(0, number, score));
            let due = centre - margin + score_step * f64::from(score);
            assert!(least <= due + unsure, "{least} of {due}");
        }
    }
}

/// Each of the margin's parts is reached, to a thousandth: no smaller one would do.
#[test]
fn the_margin_is_no_larger_than_it_must_be() {
    for (layout, most) in [(in_16_bits(8), 63.0), (Amx::LAYOUT, 127.0)] {
        // Items of whole numbers but for the last two, half a step off; an action of whole numbers.
        reaches_its_margin(layout, 1, &[127.0, -127.0, 0.5, -0.5], &[most], 2);
        // An action half a step off where items are all in their second number, whole ones.
        reaches_its_margin(layout, 2, &[0.0, 127.0, 0.0, -127.0], &[most, 0.499_999], 0);
    }
    // Whole numbers all, but a sum that is one short of another unit of scores.
    reaches_its_margin(Vnni::LAYOUT, 2, &[127.0, 14.0, -127.0, -14.0], &[127.0, 1.0], 0);
}

fn reaches_its_margin(layout: Layout, dimensions: usize, items: &[f32], action: &[f32], item: usize) {
    let rough = Rough::new(layout, items, dimensions, |_| 0).expect("finite numbers");
    let mut queries = Queries::<1>::new(&rough);
    assert!(queries.set(&rough, action), "finite numbers");
    let in_bytes = self::items(&rough, &queries.words.0[0])[item].in_bytes;
    let due = f64::from(score(action, &items[item * dimensions..][..dimensions]));
    // The centre is 0, and what is most by a score of bytes of 0 the margin.
    let Meanings { most: [margin], per_step: [per_step], .. } = queries.meanings[0];
    let off = (due - f64::from(in_bytes) / per_step).abs();
    assert!(off <= margin && off > 0.999 * margin, "{off} of {margin}: {layout:?}");
}

/// Rounding may make an action longer than its sums allow, by two percent and more: here it is equal to an item, and all
/// its numbers lie in one of the two halves of words.
#[test]
fn lengths_that_rounding_makes_too_long_are_shortened() {
    let sign = |item: usize, d: usize| {
        let normal = normal_pair(Key::new(3, Purpose::World).fold_in(item as u64).fold_in(d as u64))[0];
        if d / 2 % 2 == 1 { 0.0 } else { 1.0_f32.copysign(normal) }
    };
    let row = |item: usize| (0..256).map(move |d| sign(item / 2, d) * [1.0, -1.0][item % 2]);
    let tables = Tables {
        dimensions: 256,
        clusters: 1,
        items: (0..512).flat_map(row).collect(),
        queries: row(300).collect(),
    };
    finds_the_best(&tables);
}

/// Steps that single precision holds with a few bits only: what is lost of one counts as often as it is taken.
#[test]
fn steps_at_the_end_of_single_precision_lose_no_item() {
    for (part, dimensions) in (1..40).flat_map(|part| [64, 128, 256].map(|dimensions| (part, dimensions))) {
        let step = (f64::from(part) * 0.05 + 0.2) * 2.0_f64.powi(-149);
        let action = (step * 127.0 * 127.0 * 2.0_f64.powi(60)) as f32;
        let items = (0..512).flat_map(|item| {
            let key = Key::new(item, Purpose::World);
            let normal = move |d: usize| normal_pair(key.fold_in(d as u64))[0];
            (0..dimensions).map(move |d| {
                // One that is all of one sign, as the action is.
                let sign = if item == 300 { 1.0 } else { 1.0_f32.copysign(normal(d)) };
                sign * 2.0_f32.powi(-60)
            })
        });
        finds_the_best(&Tables {
            dimensions,
            clusters: 1,
            items: items.collect(),
            queries: vec![action; dimensions],
        });
    }
}

fn finds_the_best(tables: &Tables) {
    let plain = brute_force_lists(&tables.items, &tables.queries, tables.dimensions, 1);
    for way in ways() {
        assert!(found(way, tables, 1, usize::MAX, 1024) == (true, plain.clone()), "{way:?}");
    }
    assert!(found_plainly::<_, 32>(PlainTiles, tables, 1, 1024) == plain);
}

#[test]
fn a_catalogue_of_several_segments_is_searched_to_its_end() {
    let key = Key::new(0, Purpose::World);
    let numbers = |key: Key, count: u64| (0..count).flat_map(move |n| normal_pair(key.fold_in(n)));
    let items: Vec<f32> = numbers(key.fold_in(0), 4 * 40_000).collect();
    let queries: Vec<f32> = numbers(key.fold_in(1), 4 * 13).collect();
    // Sorted, too: the best come last, or first.
    let mut rows: Vec<&[f32]> = items.chunks_exact(8).collect();
    rows.sort_by(|a, b| score(&queries[..8], a).total_cmp(&score(&queries[..8], b)));
    for rows in [items.chunks_exact(8).collect(), rows.clone(), rows.into_iter().rev().collect()] {
        let tables = Tables { dimensions: 8, clusters: 2, items: rows.concat(), queries: queries.clone() };
        let plain = brute_force_lists(&tables.items, &queries, 8, 10);
        for way in ways() {
            assert!(found(way, &tables, 10, usize::MAX, 1024) == (true, plain.clone()), "{way:?}");
        }
    }
}

#[test]
fn a_search_gives_up_where_too_many_items_must_be_scored() {
    let alike = Tables { dimensions: 4, clusters: 1, items: vec![1.0; 4 * 5000], queries: vec![0.5; 4 * 7] };
    for way in ways() {
        assert!(!found(way, &alike, 3, 4999, 1024).0, "{way:?}");
        assert!(found(way, &alike, 3, 5000, 1024).0, "{way:?}");
    }
}

#[test]
fn numbers_that_are_not_finite_or_too_large_are_left_to_plain_loops() {
    assert!(Rough::new(in_16_bits(8), &[1.0, f32::NAN], 1, |_| 0).is_none());
    let rough = Rough::new(in_16_bits(8), &[1e20, -1e20], 1, |_| 0).expect("finite numbers");
    let sets = |action| Queries::<1>::new(&rough).set(&rough, &[action]);
    assert!(sets(1e16));
    assert!(![1e17, f32::INFINITY, f32::NAN].into_iter().any(sets));
}

#[test]
fn scores_worked_out_together_are_those_that_decide() {
    for dimensions in 1..40 {
        let key = Key::new(dimensions as u64, Purpose::World);
        let numbers =
            |key: Key| -> Vec<f32> { (0..dimensions as u64).map(|d| normal_pair(key.fold_in(d))[0]).collect() };
        let action = numbers(key.fold_in(0));
        let rows: [_; TOGETHER] = std::array::from_fn(|row| numbers(key.fold_in(1 + row as u64)));
        let (rows, due) = (rows.each_ref().map(|row| &row[..]), rows.each_ref().map(|row| score(&action, row)));
        if let Some(vectors) = V3::try_new() {
            assert_eq!(vectors.vectorize(|| with_avx2(vectors, &action, rows)), due);
        }
        if let Some(vectors) = Vnni::try_new() {
            assert_eq!(vectors.vectorize(|| with_avx512(vectors, &action, rows)), due);
        }
    }
}

/// Sums in 16 bits on plain numbers, in the shape of larger vectors than machines have for them.
#[derive(Clone, Copy)]
struct Plain;

impl Bytes for Plain {
    type Score = i16;
    type Scores = [i16; 32];
    const LAYOUT: Layout = in_16_bits(16);
    const BITS: usize = 1;
    const KEEPS: bool = true;

    fn floor(number: f64) -> i16 {
        number as i16
    }

    fn score<const Q: usize>(self, queries: &[[u32; WORDS]; Q], panel: &[u32], scores: &mut [[i16; 32]; Q]) {
        panel::score(self, queries, panel, scores);
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

impl Vectors for Plain {
    type Vector = [u32; 16];
    type Words = [u32; 16];
    type Scores = [i16; 32];

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
            let [low, high] = halves(sums.as_flattened()[Self::LAYOUT.word_of(place)]);
            low.saturating_add(high)
        })
    }
}

fn halves(word: u32) -> [i16; 2] {
    [word as u16, (word >> 16) as u16].map(u16::cast_signed)
}

/// Products of tiles on plain numbers: most machines cannot run that.
#[derive(Clone, Copy)]
struct PlainTiles;

impl Bytes for PlainTiles {
    type Score = i32;
    type Scores = [i32; 32];
    const LAYOUT: Layout = Amx::LAYOUT;
    const BITS: usize = 1;
    const KEEPS: bool = false;

    fn floor(number: f64) -> i32 {
        Amx::floor(number)
    }

    fn score<const Q: usize>(self, queries: &[[u32; WORDS]; Q], panel: &[u32], scores: &mut [[i32; 32]; Q]) {
        let (begin, words) = panel.as_chunks::<32>().0.split_first().expect("a panel has sums to begin with");
        for (query, scores) in queries.iter().zip(scores) {
            *scores = std::array::from_fn(|item| {
                let products = words.iter().zip(query).flat_map(|(words, query)| {
                    let [item, query] = [words[item], *query].map(|word| word.to_le_bytes().map(u8::cast_signed));
                    item.into_iter().zip(query).map(|(x, q)| i32::from(x) * i32::from(q))
                });
                begin[item].cast_signed() + products.sum::<i32>()
            });
        }
    }

    fn greater(self, a: [i32; 32], b: [i32; 32]) -> [i32; 32] {
        std::array::from_fn(|place| a[place].max(b[place]))
    }

    fn above(self, scores: [i32; 32], bar: i32) -> u32 {
        scores.iter().rev().fold(0, |bits, &score| bits << 1 | u32::from(score > bar))
    }

    fn defined(self, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
        rows.map(|row| score(action, row))
    }
}

/// The search on plain numbers.
fn found_plainly<B: Bytes, const Q: usize>(bytes: B, tables: &Tables, list: usize, part: usize) -> Vec<u32> {
    let Tables { dimensions, queries, .. } = tables;
    let (rough, mut places) = (&tables.rough(B::LAYOUT), vec![u32::MAX; queries.len() / dimensions * list]);
    let mut scores = vec![0.0; places.len()];
    let rows = places.chunks_exact_mut(list).zip(scores.chunks_exact_mut(list));
    let best = &mut rows.map(|(places, scores)| TopK::new(places, scores)).collect::<Vec<_>>();
    assert!(Scan::<_, Q> { bytes, rough, queries, best, list, most: usize::MAX, part }.call());
    places
}

/// The ways that this machine has.
fn ways() -> Vec<Way> {
    InstructionSet::available().filter_map(Way::of).collect()
}

/// Whether the search was done, and what it found.
fn found(way: Way, tables: &Tables, list: usize, most: usize, part: usize) -> (bool, Vec<u32>) {
    let Tables { dimensions, items, queries, .. } = tables;
    let rough = &way.lay_out(items, *dimensions, tables.cluster()).expect("the numbers are finite");
    let mut places = vec![u32::MAX; queries.len() / dimensions * list];
    let mut scores = vec![0.0; places.len()];
    let rows = places.chunks_exact_mut(list).zip(scores.chunks_exact_mut(list));
    let best = &mut rows.map(|(places, scores)| TopK::new(places, scores)).collect::<Vec<_>>();
    let done = way.find(rough, queries, best, list, most, part);
    (done, places)
}

/// How bytes are laid out on all machines.
const LAYOUTS: [Layout; 3] = [in_16_bits(8), Vnni::LAYOUT, Amx::LAYOUT];

struct Item {
    group: usize,
    row: Vec<f32>,
    in_bytes: i32,
}

/// Every item with its score of bytes, by plain sums.
fn items(rough: &Rough, query: &[u32; WORDS]) -> Vec<Item> {
    let Layout { bias, unit, most_sum, .. } = rough.layout;
    let (groups, panels) = rough.panels();
    let mut all = Vec::new();
    for (panel, (&group, words)) in groups.iter().zip(panels).enumerate() {
        for lane in 0..rough.width() {
            let place = panel * rough.width() + lane;
            let column = words.iter().skip(rough.layout.word_of(lane) + rough.width()).step_by(rough.width());
            let products = column.zip(query).flat_map(|(item, query)| {
                let (item, query) = (item.to_le_bytes(), query.to_le_bytes());
                // With what is added to an action's numbers, bytes have no sign.
                let number = |byte: u8| if bias > 0.0 { i32::from(byte) } else { byte.cast_signed().into() };
                item.into_iter()
                    .zip(query)
                    .map(move |(x, q)| i32::from(x.cast_signed()) * (number(q) - bias as i32))
            });
            let sum: i32 = products.sum();
            assert!(f64::from(sum.abs()) <= most_sum, "sums fit");
            if let Some(item) = rough.item(place) {
                let in_bytes = sum.div_euclid(unit as i32);
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
    fn rough(&self, layout: Layout) -> Rough {
        Rough::new(layout, &self.items, self.dimensions, self.cluster()).expect("the numbers are finite")
    }

    fn cluster(&self) -> impl Fn(usize) -> u32 {
        |item| (item * item % self.clusters) as u32
    }
}

/// Catalogues and queries of all sorts: numbers of one size or many, around centres or not, nearly or wholly alike, sorted,
/// with a number that dwarfs all others, at both ends of single precision's range.
fn tables() -> impl Strategy<Value = Tables> {
    (
        prop_oneof![9 => 1_usize..80, 1 => 80_usize..257],
        1_usize..400,
        1_usize..15,
        prop_oneof![1_usize..5, Just(70)],
        any::<u64>(),
        0..7,
        0_usize..5,
    )
        .prop_map(|(dimensions, items, queries, clusters, seed, kind, size)| {
            let key = Key::new(seed, Purpose::World);
            let normal = |key: Key| normal_pair(key)[0];
            let row = |key: Key| (0..dimensions as u64).map(move |d| normal(key.fold_in(d)));
            let size = [1.0, 1e-3, 1e15, 1e-20, f32::MIN_POSITIVE][size];
            let mut table: Vec<f32> = Vec::new();
            for item in 0..items as u64 {
                let (centre, own) =
                    (key.fold_in(1).fold_in(item * item % clusters as u64), key.fold_in(2).fold_in(item));
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
                let item = index(key.fold_in(4).fold_in(n), items as u64) as usize;
                let of_item = &table[item * dimensions..][..dimensions];
                let chance = key.fold_in(5).fold_in(n).bits() % 6;
                let query: Vec<f32> = match chance {
                    0 => vec![0.0; dimensions],
                    1 | 2 => of_item.iter().map(|x| x / size).collect(),
                    _ => row(key.fold_in(3).fold_in(n)).collect(),
                };
                query
            });
            let queries = queries.collect();
            Tables { dimensions, clusters, items: table, queries }
        })
}
