//! Products of bytes that are added up in 16 bits, with AVX2.

use std::arch::x86_64::__m256i;

use pulp::cast;
use pulp::x86::V3;

use super::bytes::{Bytes, Layout, WORDS};
use super::defined::{TOGETHER, with_avx2};
use super::panel::{Vectors, score};

impl Bytes for V3 {
    type Score = i16;
    type Scores = __m256i;

    const LAYOUT: Layout = in_16_bits(8);
    const BITS: usize = 2;
    const KEEPS: bool = true;

    #[inline(always)]
    fn floor(number: f64) -> i16 {
        number as i16
    }

    #[inline(always)]
    fn score<const Q: usize>(self, queries: &[[u32; WORDS]; Q], panel: &[u32], scores: &mut [__m256i; Q]) {
        score(self, queries, panel, scores);
    }

    #[inline(always)]
    fn greater(self, a: __m256i, b: __m256i) -> __m256i {
        self.avx2._mm256_max_epi16(a, b)
    }

    #[inline(always)]
    fn hits<const Q: usize>(self, scores: &[__m256i; Q], bars: &[i16; Q]) -> u32 {
        let mut any = self.avx._mm256_setzero_si256();
        for (&scores, &bar) in scores.iter().zip(bars) {
            let above = self.avx2._mm256_cmpgt_epi16(scores, self.avx._mm256_set1_epi16(bar));
            any = self.avx2._mm256_or_si256(any, above);
        }
        let mut hits = 0;
        // Most often there are none.
        if self.avx2._mm256_movemask_epi8(any) != 0 {
            for n in 0..Q {
                hits |= u32::from(self.above(scores[n], bars[n]) != 0) << n;
            }
        }
        hits
    }

    #[inline(always)]
    fn above(self, scores: __m256i, bar: i16) -> u32 {
        let above = self.avx2._mm256_cmpgt_epi16(scores, self.avx._mm256_set1_epi16(bar));
        self.avx2._mm256_movemask_epi8(above).cast_unsigned() & 0x5555_5555
    }

    #[inline(always)]
    fn defined(self, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
        with_avx2(self, action, rows)
    }
}

impl Vectors for V3 {
    type Vector = __m256i;
    type Words = [u32; 8];
    type Scores = __m256i;

    #[inline(always)]
    fn load(self, words: &[u32; 8]) -> __m256i {
        cast(*words)
    }

    #[inline(always)]
    fn splat(self, word: u32) -> __m256i {
        self.avx._mm256_set1_epi32(word.cast_signed())
    }

    /// To the two halves of a word two products each. What a half cannot hold wraps, but two products must fit.
    #[inline(always)]
    fn multiply_add(self, unsigned: __m256i, signed: __m256i, sums: __m256i) -> __m256i {
        self.avx2._mm256_add_epi16(sums, self.avx2._mm256_maddubs_epi16(unsigned, signed))
    }

    /// Each word's two halves added up, in half a word again.
    #[inline(always)]
    fn scores(self, sums: [__m256i; 2]) -> __m256i {
        let ones = self.avx._mm256_set1_epi16(1);
        let (first, second) =
            (self.avx2._mm256_madd_epi16(sums[0], ones), self.avx2._mm256_madd_epi16(sums[1], ones));
        self.avx2._mm256_packs_epi32(first, second)
    }
}

/// Sums in the two halves of a word. No sum exceeds them by Cauchy and Schwarz.
pub(super) const fn in_16_bits(items: usize) -> Layout {
    Layout {
        items,
        words: 1,
        braided: true,
        most: 63.0,
        bias: BIAS,
        most_sum: 32_767.0,
        unit: 1.0,
        begin: |whole| {
            let mut added = [0_i16; 2];
            for (n, x) in whole.iter().enumerate() {
                let half = &mut added[n / 2 % 2];
                *half = half.wrapping_sub((BIAS * x) as i16);
            }
            let [low, high] = added.map(|half| u32::from(half.cast_unsigned()));
            low | high << 16
        },
        // The two halves of -2^15.
        nobody: 0xc000_c000,
        no_score: i16::MIN as i32,
    }
}

/// Added to what is between -63 and 63, leaves nothing below 0, and two products with an item's numbers that fit into 16 bits.
const BIAS: f64 = 64.0;
