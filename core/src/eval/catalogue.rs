//! Measures of what was shown of the catalogue, from how often each item was.

use alloc::vec::Vec;

/// Item coverage: the share of the catalogue that was shown to anybody, in `[0, 1]`.
///
/// ```
/// assert_eq!(recsim_core::eval::catalogue::coverage(&[5, 0, 1, 0]), 0.5);
/// ```
pub fn coverage(shown: &[u64]) -> f64 {
    shown.iter().filter(|&&times| times > 0).count() as f64 / shown.len() as f64
}

/// The Gini coefficient of how often items were shown: 0 if all were alike, and towards 1 the fewer there are that are
/// shown. Of the sorted numbers `x_1 <= ... <= x_n` it is `sum_i (2i - n - 1) x_i / (n sum_i x_i)`; 0 if nothing was shown.
///
/// ```
/// use recsim_core::eval::catalogue::gini;
/// assert_eq!(gini(&[3, 3, 3]), 0.0);
/// assert_eq!(gini(&[0, 8, 0, 0]), 0.75);
/// ```
pub fn gini(shown: &[u64]) -> f64 {
    let mut sorted: Vec<u64> = shown.to_vec();
    sorted.sort_unstable();
    let (items, all) = (sorted.len() as f64, sorted.iter().sum::<u64>() as f64);
    if all == 0.0 {
        return 0.0;
    }
    let ranked =
        (1..).zip(&sorted).map(|(rank, &times): (u32, _)| (2.0 * f64::from(rank) - items - 1.0) * times as f64);
    ranked.sum::<f64>() / (items * all)
}
