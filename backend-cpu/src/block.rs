//! Numbers of single precision as sums of three of bfloat16, in the order in which tiles multiply them.
//!
//! bfloat16 has 8 of float32's 24 digits, so three of them hold all. Of the nine products of two numbers' parts the six
//! largest are added up, in single precision; what the other three make is about as much as a product's rounding.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m512i;

use pulp::{Arch, cast};

/// Rows of a tile, and words in a row.
pub(crate) const SIDE: usize = 16;
/// Of what is multiplied, on either side: two tiles.
pub(crate) const TWO: usize = 2 * SIDE;

/// A table of 32 by 32 numbers, each as the sum of three of bfloat16: `[part, half, row, word]`, the greatest part first,
/// every half a tile. A word holds two numbers, the first in its lower half.
///
/// Numbers beyond 3.39e38 become NaN, and so does infinity; what parts have below 1.18e-38 does not count.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block(pub(crate) [[Tile; 2]; PARTS]);

/// Sums of products of blocks: row by row.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Sums(pub(crate) [[f32; TWO]; TWO]);

/// On which side of a product lines stand: a left one's are rows, a right one's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Block {
    pub(crate) const ZERO: Self = Self([[[[0; SIDE]; SIDE]; 2]; PARTS]);

    /// Takes lines for a side of a product: the rows of a table, or its columns if the table is their transpose.
    #[inline(always)]
    pub(crate) fn fill(&mut self, arch: Arch, side: Side, table: &[[f32; TWO]; TWO], transposed: bool) {
        // A line's words are now in a row of a tile, as they must be on the left, or in a column.
        if transposed {
            self.down(table);
        } else {
            self.along(table);
        }
        if transposed == (side == Side::Left) {
            turn(arch, self.0.as_flattened_mut());
        }
    }

    /// Words of two numbers in a row.
    #[inline(always)]
    fn along(&mut self, table: &[[f32; TWO]; TWO]) {
        for (place, row) in table.iter().enumerate() {
            let (mut firsts, mut seconds) = ([0.0; SIDE], [0.0; SIDE]);
            for (n, [first, second]) in row.as_chunks().0.iter().enumerate() {
                (firsts[n], seconds[n]) = (*first, *second);
            }
            self.words(place / SIDE, place % SIDE, firsts, seconds);
        }
    }

    /// Words of two numbers in a column.
    #[inline(always)]
    fn down(&mut self, table: &[[f32; TWO]; TWO]) {
        for (place, [first, second]) in table.as_chunks().0.iter().enumerate() {
            for (half, (firsts, seconds)) in first.as_chunks().0.iter().zip(second.as_chunks().0).enumerate() {
                self.words(half, place, *firsts, *seconds);
            }
        }
    }

    /// Fills a row of a half's three tiles.
    #[inline(always)]
    fn words(&mut self, half: usize, row: usize, firsts: [f32; SIDE], seconds: [f32; SIDE]) {
        let mut words = [[0; SIDE]; PARTS];
        for n in 0..SIDE {
            let (first, second) = (thirds(firsts[n]), thirds(seconds[n]));
            for part in 0..PARTS {
                words[part][n] = first[part].to_bits() >> 16 | second[part].to_bits() & 0xffff_0000;
            }
        }
        for (part, words) in self.0.iter_mut().zip(words) {
            part[half][row] = words;
        }
    }
}

/// The numbers of bfloat16 that make up a number: 8 digits, rounded, and twice 8 of what is left, which has no more than 16.
#[inline(always)]
fn thirds(number: f32) -> [f32; PARTS] {
    let first = upper(number.to_bits().wrapping_add(1 << 15));
    let rest = number - first;
    let second = upper(rest.to_bits());
    [first, second, rest - second]
}

/// The upper half of a number of single precision, which is one of bfloat16.
#[inline(always)]
fn upper(bits: u32) -> f32 {
    f32::from_bits(bits & 0xffff_0000)
}

/// Transposes tiles: four times, what is in a tile's first half comes to lie between what is in its second.
#[inline(always)]
fn turn(arch: Arch, tiles: &mut [Tile]) {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => simd.vectorize(
            #[inline(always)]
            || {
                let f = simd.avx512f;
                for tile in tiles {
                    // All in registers.
                    let mut rows: [__m512i; SIDE] = cast(*tile);
                    for _ in 0..4 {
                        let from = rows;
                        for n in 0..SIDE / 2 {
                            let (first, second) = (from[n], from[SIDE / 2 + n]);
                            rows[2 * n] = f._mm512_permutex2var_epi32(first, cast(between(0)), second);
                            rows[2 * n + 1] = f._mm512_permutex2var_epi32(first, cast(between(SIDE / 2)), second);
                        }
                    }
                    *tile = cast(rows);
                }
            },
        ),
        _ => {
            for tile in tiles {
                for _ in 0..4 {
                    let from = *tile;
                    let (first, second) = from.as_flattened().split_at(SIDE * SIDE / 2);
                    let pairs = tile.as_flattened_mut().as_chunks_mut().0.iter_mut();
                    for ((pair, &first), &second) in pairs.zip(first).zip(second) {
                        *pair = [first, second];
                    }
                }
            }
        }
    }
}

/// From a place on, words of two rows by turns.
const fn between(place: usize) -> [u32; SIDE] {
    let mut words = [0; SIDE];
    let mut n = 0;
    while n < SIDE {
        words[n] = (place + n / 2 + n % 2 * SIDE) as u32;
        n += 1;
    }
    words
}

type Tile = [[u32; SIDE]; SIDE];
const PARTS: usize = 3;

#[cfg(test)]
pub(crate) mod plain {
    //! What tiles do, to the bit, in plain numbers.

    use super::{Block, PARTS, SIDE, Sums, TWO};

    /// The sum of the products of `left`'s blocks with `right`'s.
    pub(crate) fn multiply(left: &[Block], right: &[Block], sums: &mut Sums) {
        sums.0 = [[0.0; TWO]; TWO];
        for (left, right) in left.iter().zip(right) {
            for (a, b) in [(2, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)] {
                for (place, sum) in sums.0.as_flattened_mut().iter_mut().enumerate() {
                    let (row, column) = (place / TWO, place % TWO);
                    let left = &left.0[a][row / SIDE][row % SIDE];
                    let right = &right.0[b][column / SIDE];
                    *sum = flushed(*sum + product(left, right, column % SIDE));
                }
            }
        }
    }

    /// The products of a row and a column of two tiles: even terms and odd ones for themselves.
    fn product(row: &[u32; SIDE], tile: &[[u32; SIDE]; SIDE], column: usize) -> f32 {
        let mut both = [0.0_f32; 2];
        for (word, line) in row.iter().zip(tile) {
            for (half, sum) in both.iter_mut().enumerate() {
                let [a, b] = [*word, line[column]].map(|word| flushed(f32::from_bits(word >> (16 * half) << 16)));
                *sum = flushed(a.mul_add(b, *sum));
            }
        }
        flushed(both[0] + both[1])
    }

    /// Subnormal numbers count as 0.
    fn flushed(number: f32) -> f32 {
        if number.is_subnormal() { 0.0_f32.copysign(number) } else { number }
    }

    const _: () = assert!(PARTS == 3);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn three_of_bfloat16_are_the_number(bits in any::<u32>()) {
            let number = f32::from_bits(bits);
            let parts = thirds(number);
            // Beyond that the rounding overflows; below, the last part is subnormal.
            if number.abs() < f32::from_bits(0x7f7f_8000) && number.abs() > 1e-30 {
                prop_assert_eq!(parts[0] + (parts[1] + parts[2]), number);
                prop_assert!(parts.iter().all(|part| part.to_bits() & 0xffff == 0), "{:?}", parts);
                // The first is a nearest one: what is left is half of its last digit at the most.
                let digit = f32::from_bits(parts[0].to_bits() & 0x7f80_0000) / 128.0;
                prop_assert!((number - parts[0]).abs() <= digit / 2.0 && parts[2].abs() <= parts[1].abs() / 128.0);
            } else if number.is_nan() || number.abs() > 1e-30 {
                prop_assert!(parts.iter().any(|part| part.is_nan()));
            }
        }
    }
}
