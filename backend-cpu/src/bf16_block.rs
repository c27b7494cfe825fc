//! Blocks of single-precision values, each as a sum of three bfloat16 values, in the order in which AMX tiles multiply
//! them.
//!
//! bfloat16 has 8 of float32's 24 significant bits, so three of them hold a value exactly. Of the nine products of two
//! values' parts the six largest are added up in single precision; the other three together are about as large as the
//! rounding error of a product.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m512i;

use pulp::Arch;
#[cfg(target_arch = "x86_64")]
use pulp::cast;

/// Rows of a tile, and 32-bit words in a row.
pub(crate) const TILE_LEN: usize = 16;
/// Rows and columns of a block: two tiles.
pub(crate) const BLOCK_LEN: usize = 2 * TILE_LEN;

/// A block of 32 by 32 values, each a sum of three bfloat16 parts: `[part, half, row, word]`, the largest part first.
/// Each half is a tile. A word holds two values, the first in its lower half.
///
/// Magnitudes above 3.39e38, infinity included, become NaN. Parts of magnitude below 1.18e-38 count as zero.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bf16Block(pub(crate) [[Tile; 2]; NUM_PARTS]);

/// A product of blocks, row by row.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct BlockProduct(pub(crate) [[f32; BLOCK_LEN]; BLOCK_LEN]);

/// The side of a product that lines belong to: left lines are rows, right lines are columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Bf16Block {
    pub(crate) const ZERO: Self = Self([[[[0; TILE_LEN]; TILE_LEN]; 2]; NUM_PARTS]);

    /// Packs lines for one side of a product: the rows of an array, or its columns if the array is their transpose.
    #[inline(always)]
    pub(crate) fn pack(
        &mut self,
        arch: Arch,
        side: Side,
        values: &[[f32; BLOCK_LEN]; BLOCK_LEN],
        transposed: bool,
    ) {
        // A line's words are now in a row of a tile, as the left side requires, or in a column.
        if transposed {
            self.pack_columns(values);
        } else {
            self.pack_rows(values);
        }
        if transposed == (side == Side::Left) {
            transpose_tiles(arch, self.0.as_flattened_mut());
        }
    }

    /// Packs two values that are adjacent in a row into a word.
    #[inline(always)]
    fn pack_rows(&mut self, values: &[[f32; BLOCK_LEN]; BLOCK_LEN]) {
        for (index, row) in values.iter().enumerate() {
            let (mut evens, mut odds) = ([0.0; TILE_LEN], [0.0; TILE_LEN]);
            for (n, [first, second]) in row.as_chunks().0.iter().enumerate() {
                (evens[n], odds[n]) = (*first, *second);
            }
            self.set_row(index / TILE_LEN, index % TILE_LEN, evens, odds);
        }
    }

    /// Packs two values that are adjacent in a column into a word.
    #[inline(always)]
    fn pack_columns(&mut self, values: &[[f32; BLOCK_LEN]; BLOCK_LEN]) {
        for (index, [first, second]) in values.as_chunks().0.iter().enumerate() {
            for (half, (evens, odds)) in first.as_chunks().0.iter().zip(second.as_chunks().0).enumerate() {
                self.set_row(half, index, *evens, *odds);
            }
        }
    }

    /// Writes a row of a half's three tiles.
    #[inline(always)]
    fn set_row(&mut self, half: usize, row: usize, evens: [f32; TILE_LEN], odds: [f32; TILE_LEN]) {
        let mut words = [[0; TILE_LEN]; NUM_PARTS];
        for n in 0..TILE_LEN {
            let (first, second) = (split(evens[n]), split(odds[n]));
            for part in 0..NUM_PARTS {
                words[part][n] = first[part].to_bits() >> 16 | second[part].to_bits() & 0xffff_0000;
            }
        }
        for (part, words) in self.0.iter_mut().zip(words) {
            part[half][row] = words;
        }
    }
}

/// Splits a value into three bfloat16 parts: the value rounded to 8 significant bits, and twice 8 bits of the
/// remainder, which has at most 16.
#[inline(always)]
fn split(value: f32) -> [f32; NUM_PARTS] {
    let first = truncate(value.to_bits().wrapping_add(1 << 15));
    let remainder = value - first;
    let second = truncate(remainder.to_bits());
    [first, second, remainder - second]
}

/// The upper half of a single-precision value, which is a bfloat16 value.
#[inline(always)]
fn truncate(bits: u32) -> f32 {
    f32::from_bits(bits & 0xffff_0000)
}

/// Transposes tiles: four times, a tile's first and second half are interleaved word by word.
#[inline(always)]
fn transpose_tiles(arch: Arch, tiles: &mut [Tile]) {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => simd.vectorize(
            #[inline(always)]
            || {
                let f = simd.avx512f;
                for tile in tiles {
                    // All rows stay in registers.
                    let mut rows: [__m512i; TILE_LEN] = cast(*tile);
                    for _ in 0..4 {
                        let from = rows;
                        for n in 0..TILE_LEN / 2 {
                            let (first, second) = (from[n], from[TILE_LEN / 2 + n]);
                            rows[2 * n] = f._mm512_permutex2var_epi32(first, cast(interleaved(0)), second);
                            rows[2 * n + 1] =
                                f._mm512_permutex2var_epi32(first, cast(interleaved(TILE_LEN / 2)), second);
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
                    let (first, second) = from.as_flattened().split_at(TILE_LEN * TILE_LEN / 2);
                    let pairs = tile.as_flattened_mut().as_chunks_mut().0.iter_mut();
                    for ((pair, &first), &second) in pairs.zip(first).zip(second) {
                        *pair = [first, second];
                    }
                }
            }
        }
    }
}

/// Indices that interleave the words of two rows, from `start` on.
#[cfg(target_arch = "x86_64")]
const fn interleaved(start: usize) -> [u32; TILE_LEN] {
    let mut words = [0; TILE_LEN];
    let mut n = 0;
    while n < TILE_LEN {
        words[n] = (start + n / 2 + n % 2 * TILE_LEN) as u32;
        n += 1;
    }
    words
}

type Tile = [[u32; TILE_LEN]; TILE_LEN];
const NUM_PARTS: usize = 3;

#[cfg(test)]
pub(crate) mod emulated {
    //! Scalar emulation of AMX tile products, bit for bit.

    use super::{BLOCK_LEN, Bf16Block, BlockProduct, NUM_PARTS, TILE_LEN};

    /// The sum of the products of `left`'s blocks with `right`'s, pairwise.
    pub(crate) fn multiply(left: &[Bf16Block], right: &[Bf16Block], sums: &mut BlockProduct) {
        sums.0 = [[0.0; BLOCK_LEN]; BLOCK_LEN];
        for (left, right) in left.iter().zip(right) {
            for (a, b) in [(2, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)] {
                for (index, sum) in sums.0.as_flattened_mut().iter_mut().enumerate() {
                    let (row, column) = (index / BLOCK_LEN, index % BLOCK_LEN);
                    let left = &left.0[a][row / TILE_LEN][row % TILE_LEN];
                    let right = &right.0[b][column / TILE_LEN];
                    *sum = flush_subnormal(*sum + product(left, right, column % TILE_LEN));
                }
            }
        }
    }

    /// The product of a row and a column of two tiles. Even and odd terms are summed separately.
    fn product(row: &[u32; TILE_LEN], tile: &[[u32; TILE_LEN]; TILE_LEN], column: usize) -> f32 {
        let mut sums_by_parity = [0.0_f32; 2];
        for (word, line) in row.iter().zip(tile) {
            for (half, sum) in sums_by_parity.iter_mut().enumerate() {
                let [a, b] =
                    [*word, line[column]].map(|word| flush_subnormal(f32::from_bits(word >> (16 * half) << 16)));
                *sum = flush_subnormal(a.mul_add(b, *sum));
            }
        }
        flush_subnormal(sums_by_parity[0] + sums_by_parity[1])
    }

    /// Replaces subnormal values by zero.
    fn flush_subnormal(value: f32) -> f32 {
        if value.is_subnormal() { 0.0_f32.copysign(value) } else { value }
    }

    const _: () = assert!(NUM_PARTS == 3);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn three_bf16_parts_sum_to_the_value(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            let parts = split(value);
            // Above, the rounding overflows; below, the last part is subnormal.
            if value.abs() < f32::from_bits(0x7f7f_8000) && value.abs() > 1e-30 {
                prop_assert_eq!(parts[0] + (parts[1] + parts[2]), value);
                prop_assert!(parts.iter().all(|part| part.to_bits() & 0xffff == 0), "{:?}", parts);
                // The first part is rounded to nearest: the remainder is at most half of its last bit.
                let last_bit = f32::from_bits(parts[0].to_bits() & 0x7f80_0000) / 128.0;
                prop_assert!((value - parts[0]).abs() <= last_bit / 2.0 && parts[2].abs() <= parts[1].abs() / 128.0);
            } else if value.is_nan() || value.abs() > 1e-30 {
                prop_assert!(parts.iter().any(|part| part.is_nan()));
            }
        }
    }
}
