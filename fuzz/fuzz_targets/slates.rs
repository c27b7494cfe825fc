//! The exact search of the CPU backend, quantised and not, against scoring every item in the reference order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recsim_backend_cpu::best_items;
use recsim_core::world::brute_force_lists;

#[derive(Debug, arbitrary::Arbitrary)]
struct SlatesInput {
    dimensions: u8,
    items: u16,
    queries: u8,
    list_len: u8,
    /// Bits in which repeated values may differ. 0 makes them equal.
    spread: u8,
    /// Bits of the values of the catalogue and the actions.
    values: Vec<u32>,
    scale: i8,
}

fuzz_target!(|input: SlatesInput| {
    let dimensions = usize::from(input.dimensions) + 1;
    // At most 200,000 products. The number of items covers both the quantised search and the plain one.
    let items = (usize::from(input.items) % 1500).min(40_000 / dimensions) + 1;
    let queries = usize::from(input.queries) % 5 + 1;
    let list_len = (usize::from(input.list_len) % 24).min(items - 1) + 1;
    let scale = f32::powi(2.0, i32::from(input.scale));
    let value = |index: usize| {
        // A hash, so that the order of the values is not that of the input.
        let index = index.wrapping_mul(0x9E37_79B9) >> 7;
        let bits = input.values.get(index % input.values.len().max(1)).copied().unwrap_or(0x3f80_0000);
        let bits = bits ^ (index as u32 & u32::from(input.spread));
        f32::from_bits(bits) * scale
    };
    let matrix =
        |first: usize, rows: usize| -> Vec<f32> { (0..rows * dimensions).map(|n| value(first + n)).collect() };
    let (catalogue, actions) = (matrix(0, items), matrix(7, queries));
    let lists = best_items(&catalogue, &actions, dimensions, list_len, Some(1)).expect("a thread can be started");
    // NaN scores have no order, but a list still contains distinct items.
    if catalogue.iter().chain(&actions).all(|x| x.abs() < 1e15) {
        assert_eq!(lists, brute_force_lists(&catalogue, &actions, dimensions, list_len));
    }
    for list in lists.chunks_exact(list_len) {
        let mut distinct = list.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() == list_len && distinct.iter().all(|&item| (item as usize) < items));
    }
});
