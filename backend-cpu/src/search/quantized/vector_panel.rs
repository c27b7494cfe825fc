//! The innermost loop of a quantized search on vectors.

use pulp::bytemuck::{Pod, cast_slice};

use super::kernel::MAX_WORDS;

/// Vectors of bytes that hold four dimensions of each item.
pub(super) trait Int8Vectors: Copy {
    type Vector: Copy;
    /// A vector's words, one for each item.
    type Words: Pod;
    /// The scores of two vectors of items.
    type PanelScores: Pod;

    fn load(self, words: &Self::Words) -> Self::Vector;

    /// A vector with the same four bytes for every item.
    fn splat(self, word: u32) -> Self::Vector;

    /// Adds to each word of `sums` the products of unsigned and signed bytes.
    fn multiply_add(self, unsigned: Self::Vector, signed: Self::Vector, sums: Self::Vector) -> Self::Vector;

    /// Converts the sums of two vectors of items to scores: four items of the first vector, four of the second, and so
    /// on.
    fn scores(self, sums: [Self::Vector; 2]) -> Self::PanelScores;
}

/// Computes the scores of a panel's items.
#[inline(always)]
pub(super) fn score_panel<V: Int8Vectors, const Q: usize>(
    vectors: V,
    queries: &[[u32; MAX_WORDS]; Q],
    panel: &[u32],
    scores: &mut [V::PanelScores; Q],
) {
    let panel: &[[V::Words; 2]] = cast_slice::<u32, V::Words>(panel).as_chunks().0;
    let (initial, steps) = panel.split_first().expect("a panel begins with its initial sums");
    let mut sums = [[vectors.load(&initial[0]), vectors.load(&initial[1])]; Q];
    // At most `MAX_WORDS` steps, so that the compiler needs no bounds checks on queries. Two steps an iteration halve
    // the loop's overhead.
    let (pairs, last) = steps[..steps.len().min(MAX_WORDS)].as_chunks::<2>();
    for (n, [first, second]) in pairs.iter().enumerate().take(MAX_WORDS / 2) {
        add_products(vectors, &mut sums, queries, 2 * n, first);
        add_products(vectors, &mut sums, queries, 2 * n + 1, second);
    }
    for items in last {
        add_products(vectors, &mut sums, queries, steps.len().min(MAX_WORDS) - 1, items);
    }
    for (scores, sums) in scores.iter_mut().zip(sums) {
        *scores = vectors.scores(sums);
    }
}

/// Adds the products of four dimensions.
#[inline(always)]
fn add_products<V: Int8Vectors, const Q: usize>(
    vectors: V,
    sums: &mut [[V::Vector; 2]; Q],
    queries: &[[u32; MAX_WORDS]; Q],
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
