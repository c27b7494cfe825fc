//! What a user is shown: scores, the best items, and the merge with the pre-trained list (`spec` section 2, *Slate*).

use serde::{Deserialize, Serialize};

/// How similar an item is to an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Similarity {
    /// By angle.
    Cosine,
    /// By inner product.
    Dot,
}

/// The score of an item for an action: the dot product in the one order that decides slates everywhere,
/// `fma(action[D-1], row[D-1], ... fma(action[0], row[0], 0))`.
///
/// For `cosine` the row is normalised beforehand ([`normalize`]) and the action's length, which changes no order, is
/// left in.
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

/// Divides a row by its Euclidean length, computed in `f64`; a zero row stays zero.
pub fn normalize(row: &mut [f32]) {
    let square: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if square > 0.0 {
        let length = libm::sqrt(square);
        for x in row {
            *x = (f64::from(*x) / length) as f32;
        }
    }
}

/// The best items seen so far, best first; of equal scores the lower index stands first, in whatever order the items
/// are pushed. No item is pushed twice.
///
/// The storage is the caller's: its length is how many are kept.
#[derive(Debug)]
pub struct TopK<'a> {
    items: &'a mut [u32],
    scores: &'a mut [f32],
    filled: usize,
}

impl<'a> TopK<'a> {
    /// An empty list over the caller's storage.
    ///
    /// # Panics
    /// If the two differ in length or are empty.
    pub fn new(items: &'a mut [u32], scores: &'a mut [f32]) -> Self {
        assert!(items.len() == scores.len() && !items.is_empty(), "storage of one length, at least 1");
        Self { items, scores, filled: 0 }
    }

    /// The score below which no item can enter; `-inf` while there is room.
    #[inline]
    pub fn threshold(&self) -> f32 {
        if self.filled < self.items.len() { f32::NEG_INFINITY } else { self.scores[self.filled - 1] }
    }

    /// Enters the item if it beats the last one, or there is room.
    #[inline]
    pub fn push(&mut self, item: u32, score: f32) {
        if self.filled < self.items.len() {
            self.filled += 1;
        } else if !self.beaten(self.filled - 1, item, score) {
            return;
        }
        let mut place = self.filled - 1;
        while place > 0 && self.beaten(place - 1, item, score) {
            self.scores[place] = self.scores[place - 1];
            self.items[place] = self.items[place - 1];
            place -= 1;
        }
        self.scores[place] = score;
        self.items[place] = item;
    }

    #[inline]
    fn beaten(&self, place: usize, item: u32, score: f32) -> bool {
        let held = self.scores[place];
        held < score || (held == score && item < self.items[place])
    }

    /// The items, best first.
    pub fn items(&self) -> &[u32] {
        &self.items[..self.filled]
    }
}

/// Fills `slate` behind its first `chosen` places with the user's `list`, in its order, skipping items already there.
///
/// Returns how many places are filled: `slate.len()`, if the list holds that many distinct items without a repeat.
///
/// ```
/// let mut slate = [7, 3, 0, 0, 0];
/// assert_eq!(recsim_core::model::slate::fill_from_pretrained(&mut slate, 2, &[3, 9, 7, 1, 4]), 5);
/// assert_eq!(slate, [7, 3, 9, 1, 4]);
/// ```
#[inline]
pub fn fill_from_pretrained(slate: &mut [u32], chosen: usize, list: &[u32]) -> usize {
    let mut filled = chosen;
    for &item in list {
        if filled == slate.len() {
            break;
        }
        if !slate[..chosen].contains(&item) {
            slate[filled] = item;
            filled += 1;
        }
    }
    filled
}

/// A step that visits every one of `parts` places once before it comes round, by about the golden ratio, so that any few
/// in succession lie far apart: a search that meets a sorted catalogue so finds good items early.
///
/// ```
/// assert_eq!(recsim_core::model::slate::coprime_stride(150), 97);
/// ```
///
/// # Panics
/// If `parts` is 0.
pub fn coprime_stride(parts: usize) -> usize {
    let coprime = |step: &usize| {
        let (mut a, mut b) = (parts, *step);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    (parts * 13 / 21 + 1..).find(coprime).expect("a prime above `parts`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_index_in_whatever_order_items_are_pushed() {
        let scores = [1.0, 2.0, 1.0, 2.0, -0.0, 2.0, 0.0];
        for first in 0..7 {
            let (mut items, mut kept) = ([0; 6], [0.0; 6]);
            let mut best = TopK::new(&mut items, &mut kept);
            for item in (first..7).chain(0..first).rev() {
                best.push(item as u32, scores[item]);
            }
            assert_eq!(best.items(), [1, 3, 5, 0, 2, 4]);
            assert_eq!(best.threshold(), 0.0);
        }
    }

    #[test]
    fn a_zero_action_gives_the_first_items() {
        let (mut items, mut scores) = ([0; 2], [0.0; 2]);
        let mut best = TopK::new(&mut items, &mut scores);
        for item in 0..5 {
            best.push(item, score(&[0.0, -0.0], &[-1.0, item as f32]));
        }
        assert_eq!(best.items(), [0, 1]);
    }

    #[test]
    fn a_zero_row_stays_zero_and_others_get_length_one() {
        let mut rows = [[0.0, 0.0], [3.0e-30, 4.0e-30], [1.0e30, 0.0]];
        rows.iter_mut().for_each(|row| normalize(row));
        assert_eq!(rows, [[0.0, 0.0], [0.6, 0.8], [1.0, 0.0]]);
    }
}
