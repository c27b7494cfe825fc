//! Products of bytes by tiles, 32 queries with 32 items at a time: AMX.

use std::arch::x86_64::__m512i;

use pulp::cast;

use super::bytes::{Bytes, Layout, WORDS};
use super::defined::{TOGETHER, with_avx512};
use crate::block::{SIDE, TWO};
use crate::instructions::{Set, Vnni};

/// Tiles that are set up, and vectors beside them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amx<'a> {
    pub(super) tiles: &'a Set,
    pub(super) vectors: Vnni,
}

impl Bytes for Amx<'_> {
    type Score = i32;
    type Scores = [__m512i; 2];

    const LAYOUT: Layout = Layout {
        items: SIDE,
        words: SIDE,
        braided: false,
        most: 127.0,
        bias: 0.0,
        // No more than single precision holds.
        most_sum: ((1 << 24) - 1) as f64,
        unit: 1.0,
        begin: |_| 0,
        nobody: NOBODY.cast_unsigned(),
        no_score: NOBODY,
    };
    const BITS: usize = 1;
    const KEEPS: bool = false;

    #[inline(always)]
    fn floor(number: f64) -> i32 {
        // Nobody is above any bar.
        (number as i32).max(NOBODY)
    }

    #[inline(always)]
    fn score<const Q: usize>(self, queries: &[[u32; WORDS]; Q], panel: &[u32], scores: &mut [[__m512i; 2]; Q]) {
        let panel = panel.as_chunks::<TWO>().0;
        let (begin, columns) = panel.split_first().expect("a panel has sums to begin with");
        // Items are missing at a panel's end.
        let begin = (begin[TWO - 1] != 0).then_some(begin);
        for (queries, scores) in queries.as_chunks().0.iter().zip(scores.as_chunks_mut().0) {
            self.tiles.products(queries, columns, begin, scores);
        }
    }

    #[inline(always)]
    fn greater(self, a: [__m512i; 2], b: [__m512i; 2]) -> [__m512i; 2] {
        let f = self.vectors.avx512f;
        [f._mm512_max_epi32(a[0], b[0]), f._mm512_max_epi32(a[1], b[1])]
    }

    #[inline(always)]
    fn hits<const Q: usize>(self, scores: &[[__m512i; 2]; Q], bars: &[i32; Q]) -> u32 {
        const { assert!(Q == TWO) };
        let Vnni { avx512f: f, avx512bw: bw, .. } = self.vectors;
        let mut above = [0; TWO];
        // A loop: a closure would be compiled by itself, and then without the vectors.
        for (above, (&[low, high], &bar)) in above.iter_mut().zip(scores.iter().zip(bars)) {
            *above = f._mm512_cmpgt_epi32_mask(f._mm512_max_epi32(low, high), f._mm512_set1_epi32(bar));
        }
        let above: __m512i = cast(above);
        bw._mm512_test_epi16_mask(above, above)
    }

    #[inline(always)]
    fn above(self, scores: [__m512i; 2], bar: i32) -> u32 {
        let f = self.vectors.avx512f;
        let ([low, high], bar) = (scores, f._mm512_set1_epi32(bar));
        u32::from(f._mm512_cmpgt_epi32_mask(low, bar)) | u32::from(f._mm512_cmpgt_epi32_mask(high, bar)) << 16
    }

    #[inline(always)]
    fn defined(self, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
        with_avx512(self.vectors, action, rows)
    }
}

/// Less than any score, and far enough from the end of what words hold.
const NOBODY: i32 = -(1 << 30);
