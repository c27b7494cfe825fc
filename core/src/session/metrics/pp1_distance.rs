//! A metric of the belief file.

/// `pp1_distance`: how far a user's beliefs are from the target when both are drawn as radar charts. In `[0, sum target
/// / K]` for beliefs in `[0, target]`.
///
/// Belief c is a point on the c-th of K equally spaced axes (a pentagon for K = 5), `b_c` from the origin. The value is
/// the distance between the centroid of the user's K points and the centroid of the target's:
///
/// ```text
/// pp1_distance = sqrt(X^2 + Y^2) / K
/// X = sum_c (b_c - target_c) cos(2 pi c / K),   Y = sum_c (b_c - target_c) sin(2 pi c / K)
/// ```
///
/// Both slices are `[K]`. Differences on opposite axes cancel, so 0 does not mean that the target is reached.
///
/// ```
/// use recsim_core::session::metrics::pp1_distance;
/// assert_eq!(pp1_distance(&[0.2, 0.3], &[0.2, 0.3]), 0.0);
/// // Opposite axes: the centroids are (0.4 - 0.2) / 2 and (0.6 - 0.4) / 2.
/// assert!(pp1_distance(&[0.4, 0.2], &[0.6, 0.4]) < 1e-7);
/// assert!((pp1_distance(&[0.4, 0.0], &[0.6, 0.4]) - 0.1).abs() < 1e-7);
/// ```
pub fn pp1_distance(beliefs: &[f32], target: &[f32]) -> f64 {
    let clusters = beliefs.len() as f64;
    let (mut x, mut y) = (0.0, 0.0);
    for (axis, (&belief, &target)) in beliefs.iter().zip(target).enumerate() {
        let angle = core::f64::consts::TAU * axis as f64 / clusters;
        let difference = f64::from(belief) - f64::from(target);
        x += difference * libm::cos(angle);
        y += difference * libm::sin(angle);
    }
    libm::sqrt(x * x + y * y) / clusters
}
