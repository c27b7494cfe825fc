//! Metrics that outliers hardly change: the interquartile mean and the probability of improvement (Agarwal and others,
//! 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice").

use alloc::vec::Vec;

/// Values in ascending order, each with the index of its weight in an array of weights. Sorting once makes each
/// resample cheap.
#[derive(Clone, Debug)]
pub struct RankedValues(Vec<(f64, u32)>);

impl RankedValues {
    /// Sorts pairs of a value and the index of its weight by value. Equal values keep their order.
    pub fn new(values: impl Iterator<Item = (f64, u32)>) -> Self {
        let mut values: Vec<(f64, u32)> = values.collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self(values)
    }

    /// The interquartile mean (IQM): the weighted mean without the lowest and the highest quarter of the total weight.
    /// A value at a border counts with the part of its weight between the quarters. Returns `None` if the weights sum
    /// to 0.
    ///
    /// ```
    /// use recsim_core::eval::RankedValues;
    /// let ranked = RankedValues::new([9.0, 1.0, 2.0, 4.0].into_iter().zip(0..));
    /// assert_eq!(ranked.interquartile_mean(&[1, 1, 1, 1]), Some(3.0));
    /// assert_eq!(ranked.interquartile_mean(&[0, 2, 0, 0]), Some(1.0));
    /// ```
    ///
    /// # Panics
    /// If `weights` is shorter than an index requires.
    pub fn interquartile_mean(&self, weights: &[u32]) -> Option<f64> {
        let total: u64 = self.0.iter().map(|(_, index)| u64::from(weights[*index as usize])).sum();
        // In units of a quarter of a weight, so that every border is a whole number.
        let (low, high) = (total, 3 * total);
        let (mut passed, mut sum) = (0, 0.0);
        for &(value, index) in &self.0 {
            let next = passed + 4 * u64::from(weights[index as usize]);
            sum += value * next.min(high).saturating_sub(passed.max(low)) as f64;
            passed = next;
            if passed >= high {
                break;
            }
        }
        (total > 0).then(|| sum / (2 * total) as f64)
    }
}

/// What one user contributes to the probability of improvement: 1 if the first policy's area is smaller, 0.5 if both
/// are equal, else 0. The mean over users and seeds estimates the probability that the first policy is better for a
/// user.
///
/// ```
/// use recsim_core::eval::probability_of_improvement;
/// assert_eq!(probability_of_improvement(1.0, 2.0), 1.0);
/// assert_eq!(probability_of_improvement(2.0, 2.0), 0.5);
/// assert_eq!(probability_of_improvement(3.0, 2.0), 0.0);
/// ```
pub fn probability_of_improvement(first_area: f64, second_area: f64) -> f64 {
    match first_area.total_cmp(&second_area) {
        core::cmp::Ordering::Less => 1.0,
        core::cmp::Ordering::Equal => 0.5,
        core::cmp::Ordering::Greater => 0.0,
    }
}
