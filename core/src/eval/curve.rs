//! Metrics of how the users' distance to the target falls.
//!
//! A curve is `[R]`: the mean over users of `sum_c |target_c - b_c|` after each round, from the first round on.

/// The area under a curve, `sum_n curve[n]` for the rounds n = 1 to R; at least 0. Less is better: users came near the
/// target sooner. It ranks the policies.
///
/// ```
/// assert_eq!(recsim_core::eval::curve::area(&[0.75, 0.5, 0.25]), 1.5);
/// ```
pub fn area(curve: &[f64]) -> f64 {
    curve.iter().sum()
}

/// The first round n, from 1, with `curve[n] <= 0.1 initial_distance`, in `1..=R`; `None` if there is none. Less is
/// better.
///
/// ```
/// use recsim_core::eval::curve::first_round_below_tenth;
/// assert_eq!(first_round_below_tenth(&[0.5, 0.1, 0.2, 0.0], 1.0), Some(2));
/// assert_eq!(first_round_below_tenth(&[0.5, 0.3], 1.0), None);
/// ```
pub fn first_round_below_tenth(curve: &[f64], initial_distance: f64) -> Option<usize> {
    curve.iter().position(|&distance| distance <= 0.1 * initial_distance).map(|index| index + 1)
}

/// An [`area`] on the scale where the `random` policy is 0 and the `greedy` policy is 1. More is better; values below 0
/// and above 1 are possible.
///
/// ```text
/// normalized_area = (random - area) / (random - greedy)
/// ```
///
/// Returns `None` if `greedy` is not better than `random` by more than rounding, `random - greedy <= 1e-9 random`: then
/// there is no scale. It corresponds to the human-normalized scores of the Atari benchmark.
///
/// ```
/// use recsim_core::eval::curve::normalized_area;
/// assert_eq!(normalized_area(6.0, 10.0, 2.0), Some(0.5));
/// assert_eq!(normalized_area(6.0, 2.0, 2.0), None);
/// assert_eq!(normalized_area(6.0, 2.0, 10.0), None);
/// ```
pub fn normalized_area(area: f64, random: f64, greedy: f64) -> Option<f64> {
    (random - greedy > ROUNDING * random).then(|| (random - area) / (random - greedy))
}

/// The relative difference that sums of the same values in different orders may have.
const ROUNDING: f64 = 1e-9;
