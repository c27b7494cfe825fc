//! Byte products accumulated in 32-bit words: AVX-512 with VNNI.

use std::arch::x86_64::__m512i;

use pulp::cast;

use super::kernel::{Int8Kernel, Int8Layout, MAX_WORDS};
use super::reference_score::{ROWS_AT_ONCE, reference_scores_avx512};
use super::vector_panel::{Int8Vectors, score_panel};
use crate::intrinsics::Vnni;

impl Int8Kernel for Vnni {
    type Score = i16;
    type PanelScores = __m512i;

    const LAYOUT: Int8Layout = Int8Layout {
        vector_items: 16,
        word_multiple: 1,
        is_interleaved: true,
        max_query: 127.0,
        query_bias: QUERY_BIAS,
        // Sums are at least `-max_sum`, so rounded down they stay above the score of an empty slot.
        max_sum: (i16::MAX as i32 * (1 << DROPPED_BITS)) as f64,
        score_unit: (1 << DROPPED_BITS) as f64,
        initial_sum: |codes| (-QUERY_BIAS * codes.iter().sum::<f64>()) as i32 as u32,
        empty_sum: 1 << 31,
        empty_score: i16::MIN as i32,
    };
    const MASK_BITS: usize = 1;
    const STORES_SCORES: bool = true;

    #[inline(always)]
    fn from_f64(value: f64) -> i16 {
        value as i16
    }

    #[inline(always)]
    fn score<const Q: usize>(self, queries: &[[u32; MAX_WORDS]; Q], panel: &[u32], scores: &mut [__m512i; Q]) {
        score_panel(self, queries, panel, scores);
    }

    #[inline(always)]
    fn max_scores(self, a: __m512i, b: __m512i) -> __m512i {
        self.avx512bw._mm512_max_epi16(a, b)
    }

    #[inline(always)]
    fn items_above(self, scores: __m512i, threshold: i16) -> u32 {
        self.avx512bw._mm512_cmpgt_epi16_mask(scores, self.avx512f._mm512_set1_epi16(threshold))
    }

    #[inline(always)]
    fn reference_scores(self, action: &[f32], rows: [&[f32]; ROWS_AT_ONCE]) -> [f32; ROWS_AT_ONCE] {
        reference_scores_avx512(self, action, rows)
    }
}

impl Int8Vectors for Vnni {
    type Vector = __m512i;
    type Words = [u32; 16];
    type PanelScores = __m512i;

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
        Vnni::multiply_add(self, unsigned, signed, sums)
    }

    /// The sums without their lowest bits, rounded down.
    #[inline(always)]
    fn scores(self, sums: [__m512i; 2]) -> __m512i {
        let [first, second] = sums;
        let (first, second) = (
            self.avx512f._mm512_srai_epi32::<DROPPED_BITS>(first),
            self.avx512f._mm512_srai_epi32::<DROPPED_BITS>(second),
        );
        self.avx512bw._mm512_packs_epi32(first, second)
    }
}

/// Added to query values in `-127..=127`, it leaves them nonnegative.
const QUERY_BIAS: f64 = 128.0;
/// Bits that a sum has beyond 16.
const DROPPED_BITS: u32 = 4;
