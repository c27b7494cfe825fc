//! A user's beliefs as a point in the plane.

/// The `pp1_distance` of the belief file: belief `i` is put on the `i`-th of K equally spaced axes (a pentagon for
/// K = 5); the distance between the centroid of the user's K points and the centroid of the target's.
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
    for (axis, (&belief, &most)) in beliefs.iter().zip(target).enumerate() {
        let angle = core::f64::consts::TAU * axis as f64 / clusters;
        let short = f64::from(belief) - f64::from(most);
        x += short * libm::cos(angle);
        y += short * libm::sin(angle);
    }
    libm::sqrt(x * x + y * y) / clusters
}
