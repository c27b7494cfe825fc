//! Products of bytes that are added up in words, with AVX-512.

use std::arch::x86_64::__m512i;

use pulp::cast;

use super::bytes::{Bytes, Layout, WORDS};
use super::defined::{TOGETHER, with_avx512};
use super::panel::{Vectors, score};
use crate::instructions::Vnni;

impl Bytes for Vnni {
    type Score = i16;
    type Scores = __m512i;

    const LAYOUT: Layout = Layout {
        items: 16,
        words: 1,
        braided: true,
        most: 127.0,
        bias: BIAS,
        // What is below 0 is rounded away from it: no score is that of nobody.
        most_sum: (i16::MAX as i32 * (1 << DROPPED)) as f64,
        unit: (1 << DROPPED) as f64,
        begin: |whole| (-BIAS * whole.iter().sum::<f64>()) as i32 as u32,
        nobody: 1 << 31,
        no_score: i16::MIN as i32,
    };
    const BITS: usize = 1;
    const KEEPS: bool = true;

    #[inline(always)]
    fn floor(number: f64) -> i16 {
        number as i16
    }

    #[inline(always)]
    fn score<const Q: usize>(self, queries: &[[u32; WORDS]; Q], panel: &[u32], scores: &mut [__m512i; Q]) {
        score(self, queries, panel, scores);
    }

    #[inline(always)]
    fn greater(self, a: __m512i, b: __m512i) -> __m512i {
        self.avx512bw._mm512_max_epi16(a, b)
    }

    #[inline(always)]
    fn above(self, scores: __m512i, bar: i16) -> u32 {
        self.avx512bw._mm512_cmpgt_epi16_mask(scores, self.avx512f._mm512_set1_epi16(bar))
    }

    #[inline(always)]
    fn defined(self, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
        with_avx512(self, action, rows)
    }
}

impl Vectors for Vnni {
    type Vector = __m512i;
    type Words = [u32; 16];
    type Scores = __m512i;

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

    /// The sums without their last bits.
    #[inline(always)]
    fn scores(self, sums: [__m512i; 2]) -> __m512i {
        let [first, second] = sums;
        let (first, second) =
            (self.avx512f._mm512_srai_epi32::<DROPPED>(first), self.avx512f._mm512_srai_epi32::<DROPPED>(second));
        self.avx512bw._mm512_packs_epi32(first, second)
    }
}

/// Added to what is between -127 and 127, leaves nothing below 0.
const BIAS: f64 = 128.0;
/// Bits that a sum has beyond 16.
const DROPPED: u32 = 4;
