//! The innermost loop of a search in bytes by vectors.

use pulp::bytemuck::{Pod, cast_slice};

use super::bytes::WORDS;

/// Vectors of bytes, four for each item: of four dimensions.
pub(super) trait Vectors: Copy {
    type Vector: Copy;
    /// A vector's words, one an item.
    type Words: Pod;
    /// Scores of two vectors of items.
    type Scores: Pod;

    fn load(self, words: &Self::Words) -> Self::Vector;

    /// The same four bytes for every item.
    fn splat(self, word: u32) -> Self::Vector;

    /// Adds to each of `sums`' words the products of unsigned by signed bytes.
    fn multiply_add(self, unsigned: Self::Vector, signed: Self::Vector, sums: Self::Vector) -> Self::Vector;

    /// What sums are as scores: of four items of the one vector, four of the other, the next four of the one, and so on.
    fn scores(self, sums: [Self::Vector; 2]) -> Self::Scores;
}

/// The scores of a panel's items.
#[inline(always)]
pub(super) fn score<V: Vectors, const Q: usize>(
    vectors: V,
    queries: &[[u32; WORDS]; Q],
    panel: &[u32],
    scores: &mut [V::Scores; Q],
) {
    let panel: &[[V::Words; 2]] = cast_slice::<u32, V::Words>(panel).as_chunks().0;
    let (begin, steps) = panel.split_first().expect("a panel has sums to begin with");
    let mut sums = [[vectors.load(&begin[0]), vectors.load(&begin[1])]; Q];
    // No more than a query has: so the compiler knows that they are there. Two at a time, for half the loop's own work.
    let (pairs, last) = steps[..steps.len().min(WORDS)].as_chunks::<2>();
    for (n, [first, second]) in pairs.iter().enumerate().take(WORDS / 2) {
        step(vectors, &mut sums, queries, 2 * n, first);
        step(vectors, &mut sums, queries, 2 * n + 1, second);
    }
    for items in last {
        step(vectors, &mut sums, queries, steps.len().min(WORDS) - 1, items);
    }
    for (scores, sums) in scores.iter_mut().zip(sums) {
        *scores = vectors.scores(sums);
    }
}

/// Adds four dimensions' products.
#[inline(always)]
fn step<V: Vectors, const Q: usize>(
    vectors: V,
    sums: &mut [[V::Vector; 2]; Q],
    queries: &[[u32; WORDS]; Q],
    word: usize,
    items: &[V::Words; 2],
) {
    let items = [vectors.load(&items[0]), vectors.load(&items[1])];
    for (sums, words) in sums.iter_mut().zip(queries) {
        let query = vectors.splat(words[word]);
        for (sum, &item) in sums.iter_mut().zip(&items) {
            *sum = vectors.multiply_add(query, item, *sum);
        }
    }
}
