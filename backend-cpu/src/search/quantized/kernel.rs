//! The interface of the kernels that score items by products of bytes, and the layout of their inputs.

use pulp::bytemuck::Pod;

use super::reference_score::ROWS_AT_ONCE;

/// Scores queries against panels of items, of two vectors of items each.
pub(super) trait Int8Kernel: Copy {
    type Score: Pod + Into<i32>;
    /// The scores of a panel's items.
    type PanelScores: Pod;

    const LAYOUT: Int8Layout;
    /// Bits of a mask that belong to one item.
    const MASK_BITS: usize;
    /// Whether the scores of the first part are stored for the second pass over it. Otherwise they are computed again,
    /// where that is faster.
    const STORES_SCORES: bool;

    /// Converts an integer to a score, saturating, but not below the score of an empty slot.
    fn from_f64(value: f64) -> Self::Score;

    /// Computes the scores of a panel's items for queries, `[Q, MAX_WORDS]`; words beyond the dimensions are 0.
    fn score<const Q: usize>(
        self,
        queries: &[[u32; MAX_WORDS]; Q],
        panel: &[u32],
        scores: &mut [Self::PanelScores; Q],
    );

    /// The elementwise maximum of two vectors of scores.
    fn max_scores(self, a: Self::PanelScores, b: Self::PanelScores) -> Self::PanelScores;

    /// A mask of the queries that have a score above the threshold at their index.
    #[inline(always)]
    fn queries_above<const Q: usize>(self, scores: &[Self::PanelScores; Q], thresholds: &[Self::Score; Q]) -> u32 {
        let mut mask = 0;
        // A loop: a closure would be compiled separately, without the vector instructions.
        for n in 0..Q {
            mask |= u32::from(self.items_above(scores[n], thresholds[n]) != 0) << n;
        }
        mask
    }

    /// A mask of the scores above `threshold`: the lowest of each item's bits. Other bits are 0.
    fn items_above(self, scores: Self::PanelScores, threshold: Self::Score) -> u32;

    /// The [`score`](recsim_core::model::slate::score)s of rows in the defined order, computed together so that no sum
    /// waits for another row's.
    fn reference_scores(self, action: &[f32], rows: [&[f32]; ROWS_AT_ONCE]) -> [f32; ROWS_AT_ONCE];
}

/// How items and queries are laid out as bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Int8Layout {
    /// Items in a vector; a panel has two vectors.
    pub(super) vector_items: usize,
    /// The number of words in a row is a multiple of this.
    pub(super) word_multiple: usize,
    /// Whether a panel's scores alternate between its two vectors: four items of the first, four of the second, and so
    /// on.
    pub(super) is_interleaved: bool,
    /// The largest magnitude of a quantized query value.
    pub(super) max_query: f64,
    /// What is added to quantized query values, to make them unsigned.
    pub(super) query_bias: f64,
    /// The largest magnitude of a sum of products. The norms of quantized items are at most about its square root.
    pub(super) max_sum: f64,
    /// A score is a sum of products divided by this, rounded down.
    pub(super) score_unit: f64,
    /// The initial value of an item's sums, given its quantized values: it cancels the query bias.
    pub(super) initial_sum: fn(&[f64]) -> u32,
    /// The initial value of sums where a panel has no item.
    pub(super) empty_sum: u32,
    /// The score where a panel has no item: less than any other.
    pub(super) empty_score: i32,
}

impl Int8Layout {
    /// Items in a panel.
    pub(super) fn panel_items(&self) -> usize {
        2 * self.vector_items
    }

    /// The number of 32-bit words in a row.
    pub(super) fn row_words(&self, dimensions: usize) -> usize {
        dimensions.div_ceil(4).next_multiple_of(self.word_multiple)
    }

    /// The index in a panel's words of the item whose score has this index.
    pub(super) fn word_index(&self, score_index: usize) -> usize {
        if self.is_interleaved {
            score_index / 4 % 2 * self.vector_items + score_index / 8 * 4 + score_index % 4
        } else {
            score_index
        }
    }
}

/// The maximum number of words in a row.
pub(super) const MAX_WORDS: usize = 64;
