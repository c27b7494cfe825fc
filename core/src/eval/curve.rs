//! Measures of how the distance to the target falls. A curve has the mean summed distance after each round, from the first
//! round's on.

/// The area under a curve: the sum over rounds 1 to R. Who is near sooner has less.
///
/// ```
/// assert_eq!(recsim_core::eval::curve::area(&[0.75, 0.5, 0.25]), 1.5);
/// ```
pub fn area(curve: &[f64]) -> f64 {
    curve.iter().sum()
}

/// The first round, from 1, with at most a tenth of the distance at the `start`; none if there never is.
///
/// ```
/// use recsim_core::eval::curve::first_round_below_tenth;
/// assert_eq!(first_round_below_tenth(&[0.5, 0.1, 0.2, 0.0], 1.0), Some(2));
/// assert_eq!(first_round_below_tenth(&[0.5, 0.3], 1.0), None);
/// ```
pub fn first_round_below_tenth(curve: &[f64], start: f64) -> Option<usize> {
    curve.iter().position(|&distance| distance <= 0.1 * start).map(|place| place + 1)
}

/// An area on a scale, `(random - area) / (random - greedy)`: 0 is `random`'s, 1 is `greedy`'s, and more is better. None
/// where `greedy` is no better than `random`, by more than rounding: there is no such scale.
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

/// What sums of the same numbers in other orders may differ by, as a share.
const ROUNDING: f64 = 1e-9;
