//! The exact search of the CPU backend, in bytes and without, against scoring every item in the defined order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recsim_backend_cpu::best_items;
use recsim_core::world::brute_force_lists;

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    dimensions: u8,
    items: u16,
    queries: u8,
    list: u8,
    /// How far apart the numbers of a table are: repeated, or each a little other than the last of its kind.
    spread: u8,
    /// Bits of numbers that both tables are made of.
    numbers: Vec<u32>,
    scale: i8,
}

fuzz_target!(|input: Input| {
    let dimensions = usize::from(input.dimensions) + 1;
    // At most 200,000 products; as many items as short lists are searched for in bytes, and fewer.
    let items = (usize::from(input.items) % 1500).min(40_000 / dimensions) + 1;
    let queries = usize::from(input.queries) % 5 + 1;
    let list = (usize::from(input.list) % 24).min(items - 1) + 1;
    let scale = f32::powi(2.0, i32::from(input.scale));
    let number = |place: usize| {
        // Any order that is not the tables' own.
        let place = place.wrapping_mul(0x9E37_79B9) >> 7;
        let bits = input.numbers.get(place % input.numbers.len().max(1)).copied().unwrap_or(0x3f80_0000);
        let bits = bits ^ (place as u32 & u32::from(input.spread));
        f32::from_bits(bits) * scale
    };
    let table =
        |first: usize, rows: usize| -> Vec<f32> { (0..rows * dimensions).map(|n| number(first + n)).collect() };
    let (catalogue, actions) = (table(0, items), table(7, queries));
    let found = best_items(&catalogue, &actions, dimensions, list, Some(1)).expect("a thread can be had");
    // Scores that are no numbers have no order, but a list still holds different items.
    if catalogue.iter().chain(&actions).all(|x| x.abs() < 1e15) {
        assert_eq!(found, brute_force_lists(&catalogue, &actions, dimensions, list));
    }
    for list in found.chunks_exact(list) {
        let mut items_found = list.to_vec();
        items_found.sort_unstable();
        items_found.dedup();
        assert!(items_found.len() == list.len() && items_found.iter().all(|&item| (item as usize) < items));
    }
});
