//! What outliers do not move: the interquartile mean, and how often one policy beats another (Agarwal et al., 2021).

use alloc::vec::Vec;

/// Numbers in order, each with a place in a table of weights.
#[derive(Clone, Debug)]
pub struct RankedValues(Vec<(f64, u32)>);

impl RankedValues {
    /// Sorts numbers; equal ones stay in their order.
    pub fn new(numbers: impl Iterator<Item = (f64, u32)>) -> Self {
        let mut numbers: Vec<(f64, u32)> = numbers.collect();
        numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self(numbers)
    }

    /// The interquartile mean: of the weight, a quarter is left out at either end, and a number there counts as far as it
    /// lies between. None if nothing has a weight.
    ///
    /// ```
    /// use recsim_core::eval::RankedValues;
    /// let ranked = RankedValues::new([9.0, 1.0, 2.0, 4.0].into_iter().zip(0..));
    /// assert_eq!(ranked.interquartile_mean(&[1, 1, 1, 1]), Some(3.0));
    /// assert_eq!(ranked.interquartile_mean(&[0, 2, 0, 0]), Some(1.0));
    /// ```
    pub fn interquartile_mean(&self, weights: &[u32]) -> Option<f64> {
        let all: u64 = self.0.iter().map(|(_, place)| u64::from(weights[*place as usize])).sum();
        // In quarters, so that all are whole numbers.
        let (low, high) = (all, 3 * all);
        let (mut passed, mut sum) = (0, 0.0);
        for &(number, place) in &self.0 {
            let next = passed + 4 * u64::from(weights[place as usize]);
            sum += number * next.min(high).saturating_sub(passed.max(low)) as f64;
            passed = next;
            if passed >= high {
                break;
            }
        }
        (all > 0).then(|| sum / (2 * all) as f64)
    }
}

/// What one user's episodes under two policies, of these areas, count for the probability that the first is the better one:
/// 1 if its area is smaller, one half if they are equal, else 0.
///
/// ```
/// use recsim_core::eval::probability_of_improvement;
/// assert_eq!([probability_of_improvement(1.0, 2.0), probability_of_improvement(2.0, 2.0), probability_of_improvement(3.0, 2.0)], [1.0, 0.5, 0.0]);
/// ```
pub fn probability_of_improvement(first: f64, second: f64) -> f64 {
    match first.total_cmp(&second) {
        core::cmp::Ordering::Less => 1.0,
        core::cmp::Ordering::Equal => 0.5,
        core::cmp::Ordering::Greater => 0.0,
    }
}
