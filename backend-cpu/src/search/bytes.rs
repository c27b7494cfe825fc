//! Ways to score items by products of bytes, of machines that have some.

use pulp::bytemuck::Pod;

use super::defined::TOGETHER;

/// Scores of queries for panels of items, two vectors of them each.
pub(super) trait Bytes: Copy {
    type Score: Pod + Into<i32>;
    /// Those of a panel's items.
    type Scores: Pod;

    const LAYOUT: Layout;
    /// Bits an item has in a mask.
    const BITS: usize;
    /// Whether scores are kept for a second look: it costs more to work them out again.
    const KEEPS: bool;

    /// A whole number as a score: the nearest that there is, and none less than that of nobody.
    fn floor(number: f64) -> Self::Score;

    /// The scores of a panel's items for queries (`[Q, D/4]` words, the rest 0).
    fn score<const Q: usize>(self, queries: &[[u32; WORDS]; Q], panel: &[u32], scores: &mut [Self::Scores; Q]);

    /// The greater of two scores.
    fn greater(self, a: Self::Scores, b: Self::Scores) -> Self::Scores;

    /// A mask of the queries any of whose scores is above the bar in its place.
    #[inline(always)]
    fn hits<const Q: usize>(self, scores: &[Self::Scores; Q], bars: &[Self::Score; Q]) -> u32 {
        let mut hits = 0;
        // A loop: a closure would be compiled by itself, and then without the vectors.
        for n in 0..Q {
            hits |= u32::from(self.above(scores[n], bars[n]) != 0) << n;
        }
        hits
    }

    /// A mask of the scores above `bar`: the lowest bit of those that an item has.
    fn above(self, scores: Self::Scores, bar: Self::Score) -> u32;

    /// The [`score`](recsim_core::model::slate::score)s of rows, side by side: none waits for another's sum.
    fn defined(self, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER];
}

/// How items and actions become bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Items in a vector; a panel is two.
    pub(super) items: usize,
    /// Words of a row are a multiple of this.
    pub(super) words: usize,
    /// Whether a panel's scores are those of four items of the one vector, four of the other, the next four of the one...
    pub(super) braided: bool,
    /// The most steps of an action, and what is added to its numbers.
    pub(super) most: f64,
    pub(super) bias: f64,
    /// The most that a sum may be. Items' whole numbers are about as long as its root, or less.
    pub(super) most_sum: f64,
    /// A score is a sum of products by this, rounded down.
    pub(super) unit: f64,
    /// What a sum begins with, by an item's whole numbers: it takes away again what was added to an action's.
    pub(super) begin: fn(&[f64]) -> u32,
    /// What it begins with where there is no item, and what the score is then: less than any other.
    pub(super) nobody: u32,
    pub(super) no_score: i32,
}

impl Layout {
    pub(super) fn width(&self) -> usize {
        2 * self.items
    }

    /// Words of a row.
    pub(super) fn words(&self, dimensions: usize) -> usize {
        dimensions.div_ceil(4).next_multiple_of(self.words)
    }

    /// Where an item lies in a panel, by its score's place among theirs.
    pub(super) fn word_of(&self, place: usize) -> usize {
        if self.braided { place / 4 % 2 * self.items + place / 8 * 4 + place % 4 } else { place }
    }
}

/// The most words of a row.
pub(super) const WORDS: usize = 64;
