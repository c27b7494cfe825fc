//! Byte products accumulated in 16 bits: AVX2.

use std::arch::x86_64::__m256i;

use pulp::cast;
use pulp::x86::V3;

use super::kernel::{Int8Kernel, Int8Layout, MAX_WORDS};
use super::reference_score::{ROWS_AT_ONCE, reference_scores_avx2};
use super::vector_panel::{Int8Vectors, score_panel};

impl Int8Kernel for V3 {
    type Score = i16;
    type PanelScores = __m256i;

    const LAYOUT: Int8Layout = i16_layout(8);
    const MASK_BITS: usize = 2;
    const STORES_SCORES: bool = true;

    #[inline(always)]
    fn from_f64(value: f64) -> i16 {
        value as i16
    }

    #[inline(always)]
    fn score<const Q: usize>(self, queries: &[[u32; MAX_WORDS]; Q], panel: &[u32], scores: &mut [__m256i; Q]) {
        score_panel(self, queries, panel, scores);
    }

    #[inline(always)]
    fn max_scores(self, a: __m256i, b: __m256i) -> __m256i {
        self.avx2._mm256_max_epi16(a, b)
    }

    #[inline(always)]
    fn queries_above<const Q: usize>(self, scores: &[__m256i; Q], thresholds: &[i16; Q]) -> u32 {
        let mut any = self.avx._mm256_setzero_si256();
        for (&scores, &threshold) in scores.iter().zip(thresholds) {
            let items_above = self.avx2._mm256_cmpgt_epi16(scores, self.avx._mm256_set1_epi16(threshold));
            any = self.avx2._mm256_or_si256(any, items_above);
        }
        let mut queries_above = 0;
        // In most panels there are none.
        if self.avx2._mm256_movemask_epi8(any) != 0 {
            for n in 0..Q {
                queries_above |= u32::from(self.items_above(scores[n], thresholds[n]) != 0) << n;
            }
        }
        queries_above
    }

    #[inline(always)]
    fn items_above(self, scores: __m256i, threshold: i16) -> u32 {
        let items_above = self.avx2._mm256_cmpgt_epi16(scores, self.avx._mm256_set1_epi16(threshold));
        self.avx2._mm256_movemask_epi8(items_above).cast_unsigned() & 0x5555_5555
    }

    #[inline(always)]
    fn reference_scores(self, action: &[f32], rows: [&[f32]; ROWS_AT_ONCE]) -> [f32; ROWS_AT_ONCE] {
        reference_scores_avx2(self, action, rows)
    }
}

impl Int8Vectors for V3 {
    type Vector = __m256i;
    type Words = [u32; 8];
    type PanelScores = __m256i;

    #[inline(always)]
    fn load(self, words: &[u32; 8]) -> __m256i {
        cast(*words)
    }

    #[inline(always)]
    fn splat(self, word: u32) -> __m256i {
        self.avx._mm256_set1_epi32(word.cast_signed())
    }

    /// Adds two products to each 16-bit part of a word. Sums may wrap on the way; two products must fit.
    #[inline(always)]
    fn multiply_add(self, unsigned: __m256i, signed: __m256i, sums: __m256i) -> __m256i {
        self.avx2._mm256_add_epi16(sums, self.avx2._mm256_maddubs_epi16(unsigned, signed))
    }

    /// Adds the two 16-bit parts of each word, into 16 bits again.
    #[inline(always)]
    fn scores(self, sums: [__m256i; 2]) -> __m256i {
        let ones = self.avx._mm256_set1_epi16(1);
        let (first, second) =
            (self.avx2._mm256_madd_epi16(sums[0], ones), self.avx2._mm256_madd_epi16(sums[1], ones));
        self.avx2._mm256_packs_epi32(first, second)
    }
}

/// The layout for sums in the two 16-bit parts of a word. By Cauchy-Schwarz no final sum exceeds them.
pub(super) const fn i16_layout(vector_items: usize) -> Int8Layout {
    Int8Layout {
        vector_items,
        word_multiple: 1,
        is_interleaved: true,
        max_query: 63.0,
        query_bias: QUERY_BIAS,
        max_sum: 32_767.0,
        score_unit: 1.0,
        initial_sum: |codes| {
            let mut sums = [0_i16; 2];
            for (n, x) in codes.iter().enumerate() {
                let half = &mut sums[n / 2 % 2];
                *half = half.wrapping_sub((QUERY_BIAS * x) as i16);
            }
            let [low, high] = sums.map(|half| u32::from(half.cast_unsigned()));
            low | high << 16
        },
        // Two parts whose sum is -2^15.
        empty_sum: 0xc000_c000,
        empty_score: i16::MIN as i32,
    }
}

/// Added to query values in `-63..=63`, it leaves them nonnegative, and two products with an item's values fit into 16
/// bits.
const QUERY_BIAS: f64 = 64.0;
