//! The arrays that follow from the items' clusters: the target and the distances (`docs/spec.md`, sections 1.1,
//! Arrays, and 1.2, Synthetic worlds). Every builder of worlds uses them.

use alloc::vec::Vec;

use super::row;

/// The target of a catalogue whose cluster `c` has `sizes[c]` items: `[K]`, each cluster's share of the items.
///
/// Each quotient is computed in `f64` and rounded to `f32`. Then the shares are [lowered](shrink_to_unit_sum) until
/// they sum to at most 1. The sizes must not all be 0.
///
/// ```
/// assert_eq!(recsim_core::world::target(&[2, 1, 1]), [0.5, 0.25, 0.25]);
/// ```
pub fn target(sizes: &[usize]) -> Vec<f32> {
    let items: usize = sizes.iter().sum();
    let mut target: Vec<f32> = sizes.iter().map(|&size| (size as f64 / items as f64) as f32).collect();
    shrink_to_unit_sum(&mut target);
    target
}

/// Lowers the largest share of `target` (`[K]`) ulp by ulp until the `f32` sum in index order is at most 1. Of equal
/// shares the first is lowered.
///
/// It is meant for shares that would sum to 1 without rounding. It takes time in proportion to the excess.
///
/// ```
/// let mut target = [0.5, 0.5_f32.next_up()];
/// recsim_core::world::shrink_to_unit_sum(&mut target);
/// assert!(target[0] + target[1] <= 1.0);
/// ```
pub fn shrink_to_unit_sum(target: &mut [f32]) {
    while target.iter().fold(0.0_f32, |sum, share| sum + share) > 1.0 {
        let largest = first_best(target.len(), |a, b| target[a] > target[b]);
        target[largest] = target[largest].next_down();
    }
}

/// Each item's Euclidean distance to its cluster's centre, `[I]`, in `[0, max_distance]`.
///
/// `embedding` is `[I, D]`, `cluster` is `[I]` with values in `0..clusters`. A centre is the mean of its cluster's
/// embeddings. All distances are scaled by one factor so that the largest is `max_distance`; if every item lies at its
/// centre they are all 0. The computation is `f64`; the result is rounded to `f32`. A cluster may be empty.
///
/// ```
/// use recsim_core::world::distances;
/// // Two clusters on a line: 0 and 2 around 1, and 5 alone.
/// assert_eq!(distances(&[0.0, 2.0, 5.0], &[0, 0, 1], 2, 1, 5.0), [5.0, 5.0, 0.0]);
/// ```
pub fn distances(
    embedding: &[f32],
    cluster: &[u32],
    clusters: usize,
    dimensions: usize,
    max_distance: f64,
) -> Vec<f32> {
    let mut centres = alloc::vec![0.0_f64; clusters * dimensions];
    let mut counts = alloc::vec![0.0_f64; clusters];
    for (item, &c) in embedding.chunks_exact(dimensions).zip(cluster) {
        counts[c as usize] += 1.0;
        for (sum, &x) in centres[row(c as usize, dimensions)].iter_mut().zip(item) {
            *sum += f64::from(x);
        }
    }
    for (centre, count) in centres.chunks_exact_mut(dimensions).zip(&counts) {
        centre.iter_mut().for_each(|sum| *sum /= count);
    }
    let distances = embedding.chunks_exact(dimensions).zip(cluster).map(|(item, &c)| {
        let squares = item.iter().zip(&centres[row(c as usize, dimensions)]).map(|(&x, m)| {
            let difference = f64::from(x) - m;
            difference * difference
        });
        libm::sqrt(squares.sum())
    });
    let distances: Vec<f64> = distances.collect();
    let largest = distances.iter().copied().fold(0.0, f64::max);
    let factor = if largest > 0.0 { max_distance / largest } else { 0.0 };
    distances.iter().map(|distance| (distance * factor).min(max_distance) as f32).collect()
}

/// The first index in `0..count` that no other index is better than. `count` is at least 1.
pub(super) fn first_best(count: usize, is_better: impl Fn(usize, usize) -> bool) -> usize {
    (1..count).fold(0, |best, other| if is_better(other, best) { other } else { best })
}
