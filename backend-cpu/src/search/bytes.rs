//! Products of bytes, on machines that have them.

use std::arch::x86_64::{__m256, __m256i, __m512i};

use pulp::bytemuck::Pod;
use pulp::cast;
use pulp::x86::{V3, V4};

/// Vectors of bytes, four for each item: of four dimensions.
pub(super) trait Bytes: Copy {
    type Vector: Copy;
    /// A vector's words, one an item.
    type Words: Pod;
    /// Scores of two vectors of items.
    type Scores: Pod;

    /// Items in a vector.
    const ITEMS: usize;
    /// Bits an item has in a mask.
    const BITS: usize;

    fn load(self, words: &Self::Words) -> Self::Vector;

    /// The same four bytes for every item.
    fn splat(self, word: u32) -> Self::Vector;

    /// Adds to the two halves of each of `sums`' words the products of two unsigned by two signed bytes each. What a half
    /// cannot hold wraps, but two products must fit.
    fn multiply_add(self, unsigned: Self::Vector, signed: Self::Vector, sums: Self::Vector) -> Self::Vector;

    /// Each word's two halves added up, in half a word again: of four items of the one vector, four of the other, the next
    /// four of the one, and so on.
    fn scores(self, sums: [Self::Vector; 2]) -> Self::Scores;

    /// The greater of two scores.
    fn greater(self, a: Self::Scores, b: Self::Scores) -> Self::Scores;

    /// Whether any of the scores is above the bar in its place.
    #[inline(always)]
    fn any_above<const Q: usize>(self, scores: &[Self::Scores; Q], bars: &[i16; Q]) -> bool {
        let mut any = 0;
        for (&scores, &bar) in scores.iter().zip(bars) {
            any |= self.above(scores, bar);
        }
        any != 0
    }

    /// A mask of the scores above `bar`: the lowest bit of those that an item has.
    fn above(self, scores: Self::Scores, bar: i16) -> u32;

    /// The [`score`](recsim_core::slate::score)s of rows, side by side: none waits for another's sum.
    fn defined(self, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER];
}

/// Rows whose defined scores are worked out together.
pub(super) const TOGETHER: usize = 8;

/// The defined scores of eight rows, each of which has a lane: eight dimensions of them at a time are turned about.
#[inline(always)]
fn defined(simd: V3, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
    let mut sums = simd.avx._mm256_setzero_ps();
    let (parts, rest) = action.as_chunks::<8>();
    let rows_parts = rows.map(|row| row.as_chunks::<8>().0);
    for (n, part) in parts.iter().enumerate() {
        let rows: [[f32; 8]; TOGETHER] = rows_parts.map(|parts| parts[n]);
        for (&x, column) in part.iter().zip(transposed(simd, rows)) {
            sums = simd.fma._mm256_fmadd_ps(simd.avx._mm256_set1_ps(x), column, sums);
        }
    }
    let mut sums: [f32; TOGETHER] = cast(sums);
    for (d, &x) in (8 * parts.len()..).zip(rest) {
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = x.mul_add(row[d], *sum);
        }
    }
    sums
}

/// The columns of eight rows.
#[inline(always)]
fn transposed(simd: V3, rows: [[f32; 8]; 8]) -> [__m256; 8] {
    let V3 { avx, .. } = simd;
    let [a, b, c, d, e, f, g, h] = rows.map(cast::<[f32; 8], __m256>);
    let pairs = |a, b, c, d| {
        let (low, high) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpackhi_ps(a, b));
        let (low_2, high_2) = (avx._mm256_unpacklo_ps(c, d), avx._mm256_unpackhi_ps(c, d));
        [
            avx._mm256_shuffle_ps::<0x44>(low, low_2),
            avx._mm256_shuffle_ps::<0xee>(low, low_2),
            avx._mm256_shuffle_ps::<0x44>(high, high_2),
            avx._mm256_shuffle_ps::<0xee>(high, high_2),
        ]
    };
    // In each half of a vector, four rows of a column: of columns 0 to 3 in the first halves, 4 to 7 in the second.
    let ([a, b, c, d], [e, f, g, h]) = (pairs(a, b, c, d), pairs(e, f, g, h));
    let (first, second) =
        (|a, b| avx._mm256_permute2f128_ps::<0x20>(a, b), |a, b| avx._mm256_permute2f128_ps::<0x31>(a, b));
    [first(a, e), first(b, f), first(c, g), first(d, h), second(a, e), second(b, f), second(c, g), second(d, h)]
}

/// Where an item lies in a panel of two vectors, by its score's place among theirs.
pub(super) fn word_of(place: usize, items_of_vector: usize) -> usize {
    place / 4 % 2 * items_of_vector + place / 8 * 4 + place % 4
}

impl Bytes for V3 {
    type Vector = __m256i;
    type Words = [u32; 8];
    type Scores = [i16; 16];
    const ITEMS: usize = 8;
    const BITS: usize = 2;

    #[inline(always)]
    fn load(self, words: &[u32; 8]) -> __m256i {
        cast(*words)
    }

    #[inline(always)]
    fn splat(self, word: u32) -> __m256i {
        self.avx._mm256_set1_epi32(word.cast_signed())
    }

    #[inline(always)]
    fn multiply_add(self, unsigned: __m256i, signed: __m256i, sums: __m256i) -> __m256i {
        self.avx2._mm256_add_epi16(sums, self.avx2._mm256_maddubs_epi16(unsigned, signed))
    }

    #[inline(always)]
    fn scores(self, sums: [__m256i; 2]) -> [i16; 16] {
        let ones = self.avx._mm256_set1_epi16(1);
        let (first, second) =
            (self.avx2._mm256_madd_epi16(sums[0], ones), self.avx2._mm256_madd_epi16(sums[1], ones));
        cast(self.avx2._mm256_packs_epi32(first, second))
    }

    #[inline(always)]
    fn greater(self, a: [i16; 16], b: [i16; 16]) -> [i16; 16] {
        cast(self.avx2._mm256_max_epi16(cast(a), cast(b)))
    }

    #[inline(always)]
    fn any_above<const Q: usize>(self, scores: &[[i16; 16]; Q], bars: &[i16; Q]) -> bool {
        let mut any = self.avx._mm256_setzero_si256();
        for (&scores, &bar) in scores.iter().zip(bars) {
            let above = self.avx2._mm256_cmpgt_epi16(cast(scores), self.avx._mm256_set1_epi16(bar));
            any = self.avx2._mm256_or_si256(any, above);
        }
        self.avx2._mm256_movemask_epi8(any) != 0
    }

    #[inline(always)]
    fn above(self, scores: [i16; 16], bar: i16) -> u32 {
        let above = self.avx2._mm256_cmpgt_epi16(cast(scores), self.avx._mm256_set1_epi16(bar));
        self.avx2._mm256_movemask_epi8(above).cast_unsigned() & 0x5555_5555
    }

    #[inline(always)]
    fn defined(self, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
        defined(self, action, rows)
    }
}

impl Bytes for V4 {
    type Vector = __m512i;
    type Words = [u32; 16];
    type Scores = [i16; 32];
    const ITEMS: usize = 16;
    const BITS: usize = 1;

    #[inline(always)]
    fn load(self, words: &[u32; 16]) -> __m512i {
        cast(*words)
    }

    #[inline(always)]
    fn splat(self, word: u32) -> __m512i {
        self.avx512f._mm512_set1_epi32(word.cast_signed())
    }

    #[inline(always)]
    fn multiply_add(self, unsigned: __m512i, signed: __m512i, sums: __m512i) -> __m512i {
        self.avx512bw._mm512_add_epi16(sums, self.avx512bw._mm512_maddubs_epi16(unsigned, signed))
    }

    #[inline(always)]
    fn scores(self, sums: [__m512i; 2]) -> [i16; 32] {
        let ones = self.avx512f._mm512_set1_epi16(1);
        let (first, second) =
            (self.avx512bw._mm512_madd_epi16(sums[0], ones), self.avx512bw._mm512_madd_epi16(sums[1], ones));
        cast(self.avx512bw._mm512_packs_epi32(first, second))
    }

    #[inline(always)]
    fn greater(self, a: [i16; 32], b: [i16; 32]) -> [i16; 32] {
        cast(self.avx512bw._mm512_max_epi16(cast(a), cast(b)))
    }

    #[inline(always)]
    fn above(self, scores: [i16; 32], bar: i16) -> u32 {
        self.avx512bw._mm512_cmpgt_epi16_mask(cast(scores), self.avx512f._mm512_set1_epi16(bar))
    }

    #[inline(always)]
    fn defined(self, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
        defined(*self, action, rows)
    }
}
