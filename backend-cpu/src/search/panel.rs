//! The innermost loop of the search in bytes.

use pulp::bytemuck::cast_slice;

use super::bytes::Bytes;

/// The scores of a panel's items.
#[inline(always)]
pub(super) fn score<B: Bytes, const Q: usize>(
    bytes: B,
    words: &[[u32; Q]],
    panel: &[u32],
    scores: &mut [B::Scores; Q],
) {
    let panel: &[[B::Words; 2]] = cast_slice::<u32, B::Words>(panel).as_chunks().0;
    let (begin, steps) = panel.split_first().expect("a panel has sums to begin with");
    let mut sums = [[bytes.load(&begin[0]), bytes.load(&begin[1])]; Q];
    // Two steps at a time, for half the loop's own work.
    let ((words, last_words), (steps, last_steps)) = (words.as_chunks::<2>(), steps.as_chunks::<2>());
    for (words, steps) in words.iter().zip(steps) {
        step(bytes, &mut sums, &words[0], &steps[0]);
        step(bytes, &mut sums, &words[1], &steps[1]);
    }
    for (words, items) in last_words.iter().zip(last_steps) {
        step(bytes, &mut sums, words, items);
    }
    for (scores, sums) in scores.iter_mut().zip(sums) {
        *scores = bytes.scores(sums);
    }
}

/// Adds four dimensions' products.
#[inline(always)]
fn step<B: Bytes, const Q: usize>(
    bytes: B,
    sums: &mut [[B::Vector; 2]; Q],
    words: &[u32; Q],
    items: &[B::Words; 2],
) {
    let items = [bytes.load(&items[0]), bytes.load(&items[1])];
    for (sums, &word) in sums.iter_mut().zip(words) {
        let query = bytes.splat(word);
        for (sum, &item) in sums.iter_mut().zip(&items) {
            *sum = bytes.multiply_add(query, item, *sum);
        }
    }
}
