//! Byte products of 32 queries and 32 items at a time: AMX.

use std::arch::x86_64::__m512i;

use pulp::cast;

use super::kernel::{Int8Kernel, Int8Layout, MAX_WORDS};
use super::reference_score::{ROWS_AT_ONCE, reference_scores_avx512};
use crate::bf16_block::{BLOCK_LEN, TILE_LEN};
use crate::intrinsics::{AmxTiles, Vnni};

/// Configured tiles, and the vector instructions for what follows the products.
#[derive(Clone, Copy, Debug)]
pub(super) struct AmxKernel<'a> {
    pub(super) tiles: &'a AmxTiles,
    pub(super) vectors: Vnni,
}

impl Int8Kernel for AmxKernel<'_> {
    type Score = i32;
    type PanelScores = [__m512i; 2];

    const LAYOUT: Int8Layout = Int8Layout {
        vector_items: TILE_LEN,
        word_multiple: TILE_LEN,
        is_interleaved: false,
        max_query: 127.0,
        query_bias: 0.0,
        // The largest sum below which single precision holds every integer.
        max_sum: ((1 << 24) - 1) as f64,
        score_unit: 1.0,
        initial_sum: |_| 0,
        empty_sum: EMPTY_SCORE.cast_unsigned(),
        empty_score: EMPTY_SCORE,
    };
    const MASK_BITS: usize = 1;
    const STORES_SCORES: bool = false;

    #[inline(always)]
    fn from_f64(value: f64) -> i32 {
        // An empty slot is above no threshold.
        (value as i32).max(EMPTY_SCORE)
    }

    #[inline(always)]
    fn score<const Q: usize>(self, queries: &[[u32; MAX_WORDS]; Q], panel: &[u32], scores: &mut [[__m512i; 2]; Q]) {
        let panel = panel.as_chunks::<BLOCK_LEN>().0;
        let (initial, columns) = panel.split_first().expect("a panel begins with its initial sums");
        // Only panels with missing items have sums that do not start at 0; missing items are at a panel's end.
        let initial = (initial[BLOCK_LEN - 1] != 0).then_some(initial);
        for (queries, scores) in queries.as_chunks().0.iter().zip(scores.as_chunks_mut().0) {
            self.tiles.multiply_bytes(queries, columns, initial, scores);
        }
    }

    #[inline(always)]
    fn max_scores(self, a: [__m512i; 2], b: [__m512i; 2]) -> [__m512i; 2] {
        let f = self.vectors.avx512f;
        [f._mm512_max_epi32(a[0], b[0]), f._mm512_max_epi32(a[1], b[1])]
    }

    #[inline(always)]
    fn queries_above<const Q: usize>(self, scores: &[[__m512i; 2]; Q], thresholds: &[i32; Q]) -> u32 {
        const { assert!(Q == BLOCK_LEN) };
        let Vnni { avx512f: f, avx512bw: bw, .. } = self.vectors;
        let mut items_above = [0; BLOCK_LEN];
        // A loop: a closure would be compiled separately, without the vector instructions.
        for (items_above, (&[low, high], &threshold)) in items_above.iter_mut().zip(scores.iter().zip(thresholds)) {
            *items_above = f._mm512_cmpgt_epi32_mask(f._mm512_max_epi32(low, high), f._mm512_set1_epi32(threshold));
        }
        let items_above: __m512i = cast(items_above);
        bw._mm512_test_epi16_mask(items_above, items_above)
    }

    #[inline(always)]
    fn items_above(self, scores: [__m512i; 2], threshold: i32) -> u32 {
        let f = self.vectors.avx512f;
        let ([low, high], threshold) = (scores, f._mm512_set1_epi32(threshold));
        u32::from(f._mm512_cmpgt_epi32_mask(low, threshold))
            | u32::from(f._mm512_cmpgt_epi32_mask(high, threshold)) << 16
    }

    #[inline(always)]
    fn reference_scores(self, action: &[f32], rows: [&[f32]; ROWS_AT_ONCE]) -> [f32; ROWS_AT_ONCE] {
        reference_scores_avx512(self.vectors, action, rows)
    }
}

/// Less than any score, and far enough from `i32::MIN` that sums cannot overflow.
const EMPTY_SCORE: i32 = -(1 << 30);
