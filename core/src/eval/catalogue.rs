//! Metrics of what was shown of the catalogue. `shown_counts` is `[I]`: how often each item was shown.

use alloc::vec::Vec;

/// Item coverage: items shown at least once / I, in `[0, 1]`.
///
/// ```
/// assert_eq!(recsim_core::eval::catalogue::coverage(&[5, 0, 1, 0]), 0.5);
/// ```
pub fn coverage(shown_counts: &[u64]) -> f64 {
    shown_counts.iter().filter(|&&count| count > 0).count() as f64 / shown_counts.len() as f64
}

/// The Gini coefficient of how often items were shown, in `[0, 1 - 1/I]`: 0 if all items were shown equally often, and
/// larger the fewer items were shown. 0 if nothing was shown.
///
/// ```text
/// gini = sum_i (2 i - I - 1) x_i / (I sum_i x_i)   with the sorted counts x_1 <= ... <= x_I
/// ```
///
/// ```
/// use recsim_core::eval::catalogue::gini;
/// assert_eq!(gini(&[3, 3, 3]), 0.0);
/// assert_eq!(gini(&[0, 8, 0, 0]), 0.75);
/// ```
pub fn gini(shown_counts: &[u64]) -> f64 {
    let mut sorted: Vec<u64> = shown_counts.to_vec();
    sorted.sort_unstable();
    let (num_items, total) = (sorted.len() as f64, sorted.iter().sum::<u64>() as f64);
    if total == 0.0 {
        return 0.0;
    }
    let ranked =
        (1..).zip(&sorted).map(|(rank, &count): (u32, _)| (2.0 * f64::from(rank) - num_items - 1.0) * count as f64);
    ranked.sum::<f64>() / (num_items * total)
}
