//! What a user is shown: scores, the best items and the rest of the slate (`docs/spec.md`, section 2.1, Slate).

use serde::{Deserialize, Serialize};

/// Which items count as similar to an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Similarity {
    /// The cosine: items at a small angle to the action. Rows are [normalized](normalize) once, when a world is loaded.
    Cosine,
    /// The inner product: long rows have higher scores. Rows are used as they are.
    Dot,
}

/// The score of an item for an action, both `[D]`: their dot product, in the one order that decides every slate.
///
/// ```text
/// score = s[D],   s[0] = 0,   s[i + 1] = fma(action[i], row[i], s[i])
/// ```
///
/// `fma` rounds once. For [`Similarity::Cosine`] the row has length 1 and the score is the cosine times the action's
/// length, which does not change the order of items. A backend may search with another product if it decides by this
/// one (`docs/spec.md`, section 5.5, Exact search).
///
/// ```
/// assert_eq!(recsim_core::model::slate::score(&[1.0, 2.0], &[3.0, 4.0]), 11.0);
/// ```
#[inline]
pub fn score(action: &[f32], row: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (&a, &x) in action.iter().zip(row) {
        sum = libm::fmaf(a, x, sum);
    }
    sum
}

/// Divides a row by its Euclidean length. A row of zeros stays as it is.
///
/// The length `sqrt(sum_i row[i]^2)` and the quotients are computed in `f64`; each quotient is then rounded to `f32`.
///
/// ```
/// let mut row = [3.0, 4.0];
/// recsim_core::model::slate::normalize(&mut row);
/// assert_eq!(row, [0.6, 0.8]);
/// ```
pub fn normalize(row: &mut [f32]) {
    let square: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if square > 0.0 {
        let length = libm::sqrt(square);
        for x in row {
            *x = (f64::from(*x) / length) as f32;
        }
    }
}

/// The `k` items with the highest scores so far, best first, in storage of length `k` that the caller owns.
///
/// Of equal scores the lower item index comes first; `-0` equals `0`. The result does not depend on the order in which
/// items are pushed. Each item is pushed at most once, and no score is NaN. A push takes `O(k)`.
///
/// ```
/// use recsim_core::model::slate::TopK;
/// let (mut items, mut scores) = ([0; 2], [0.0; 2]);
/// let mut top = TopK::new(&mut items, &mut scores);
/// for (item, score) in [(0, 1.0), (1, 3.0), (2, 3.0), (3, 2.0)] {
///     top.push(item, score);
/// }
/// assert_eq!((top.items(), top.threshold()), (&[1, 2][..], 3.0));
/// ```
#[derive(Debug)]
pub struct TopK<'a> {
    items: &'a mut [u32],
    scores: &'a mut [f32],
    len: usize,
}

impl<'a> TopK<'a> {
    /// An empty list in the caller's storage. The length of both slices is `k`.
    ///
    /// # Panics
    /// If the slices differ in length or are empty.
    pub fn new(items: &'a mut [u32], scores: &'a mut [f32]) -> Self {
        assert!(
            items.len() == scores.len() && !items.is_empty(),
            "`items` and `scores` need one length of at least 1"
        );
        Self { items, scores, len: 0 }
    }

    /// The score below which no item is accepted: the `k`-th best so far, and `-inf` while there are fewer than `k`.
    ///
    /// An item whose score equals the threshold is accepted if its index is lower than that of the `k`-th.
    #[inline]
    pub fn threshold(&self) -> f32 {
        if self.len < self.items.len() { f32::NEG_INFINITY } else { self.scores[self.len - 1] }
    }

    /// Inserts the item if there are fewer than `k` items or it comes before the last one.
    #[inline]
    pub fn push(&mut self, item: u32, score: f32) {
        if self.len < self.items.len() {
            self.len += 1;
        } else if !self.is_behind(self.len - 1, item, score) {
            return;
        }
        let mut rank = self.len - 1;
        while rank > 0 && self.is_behind(rank - 1, item, score) {
            self.scores[rank] = self.scores[rank - 1];
            self.items[rank] = self.items[rank - 1];
            rank -= 1;
        }
        self.scores[rank] = score;
        self.items[rank] = item;
    }

    /// Whether the item at `rank` comes behind the given one.
    #[inline]
    fn is_behind(&self, rank: usize, item: u32, score: f32) -> bool {
        let other = self.scores[rank];
        other < score || (other == score && item < self.items[rank])
    }

    /// The items, best first; at most `k`.
    pub fn items(&self) -> &[u32] {
        &self.items[..self.len]
    }
}

/// Fills the slots of `slate` from `rl_slots` on from a pre-trained list.
///
/// The first `rl_slots` items of the slate are those that the policy chose. Items of `pretrained` follow in list
/// order, without those that the policy chose, until the slate is full. Returns the number of items on the slate:
/// `slate.len()` if `pretrained` has at least that many items and none twice, as in every checked world.
///
/// ```
/// let mut slate = [7, 3, 0, 0, 0];
/// assert_eq!(recsim_core::model::slate::fill_from_pretrained(&mut slate, 2, &[3, 9, 7, 1, 4]), 5);
/// assert_eq!(slate, [7, 3, 9, 1, 4]);
/// ```
#[inline]
pub fn fill_from_pretrained(slate: &mut [u32], rl_slots: usize, pretrained: &[u32]) -> usize {
    let mut len = rl_slots;
    for &item in pretrained {
        if len == slate.len() {
            break;
        }
        if !slate[..rl_slots].contains(&item) {
            slate[len] = item;
            len += 1;
        }
    }
    len
}

/// The smallest stride above `count * 13 / 21`, rounded down, that has no common divisor with `count`.
///
/// The indices `0, stride, 2 * stride, ...` modulo `count` visit each of `0..count` once. The stride is near `count`
/// times the golden ratio's 0.618, so consecutive indices lie apart. A search that visits the blocks of a sorted
/// catalogue in this order finds high scores early and can skip more blocks.
///
/// ```
/// use recsim_core::model::slate::coprime_stride;
/// assert_eq!(coprime_stride(150), 97);
/// let mut visited: Vec<_> = (0..150).map(|n| n * 97 % 150).collect();
/// assert_eq!(visited[..4], [0, 97, 44, 141]);
/// visited.sort();
/// assert!(visited.into_iter().eq(0..150));
/// ```
pub fn coprime_stride(count: usize) -> usize {
    let is_coprime = |stride: &usize| {
        let (mut a, mut b) = (count, *stride);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    (count * 13 / 21 + 1..).find(is_coprime).expect("a prime above `count` has no common divisor with it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_k_breaks_ties_by_index_in_any_push_order() {
        let scores = [1.0, 2.0, 1.0, 2.0, -0.0, 2.0, 0.0];
        for first in 0..7 {
            let (mut items, mut best_scores) = ([0; 6], [0.0; 6]);
            let mut best = TopK::new(&mut items, &mut best_scores);
            for item in (first..7).chain(0..first).rev() {
                best.push(item as u32, scores[item]);
            }
            assert_eq!(best.items(), [1, 3, 5, 0, 2, 4]);
            assert_eq!(best.threshold(), 0.0);
        }
    }

    #[test]
    fn score_of_a_zero_action_selects_the_first_items() {
        let (mut items, mut scores) = ([0; 2], [0.0; 2]);
        let mut best = TopK::new(&mut items, &mut scores);
        for item in 0..5 {
            best.push(item, score(&[0.0, -0.0], &[-1.0, item as f32]));
        }
        assert_eq!(best.items(), [0, 1]);
    }

    #[test]
    fn normalize_gives_length_one_and_leaves_zeros() {
        let mut rows = [[0.0, 0.0], [3.0e-30, 4.0e-30], [1.0e30, 0.0]];
        rows.iter_mut().for_each(|row| normalize(row));
        assert_eq!(rows, [[0.0, 0.0], [0.6, 0.8], [1.0, 0.0]]);
    }
}
