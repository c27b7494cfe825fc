//! What follows from which item is in which cluster: the target and the items' distances. Every builder of worlds asks.

use alloc::vec::Vec;

use super::row;

/// Each cluster's share of the catalogue, [shrunk](shrink_to_unit_sum).
pub fn target(sizes: &[usize]) -> Vec<f32> {
    let items: usize = sizes.iter().sum();
    let mut target: Vec<f32> = sizes.iter().map(|&size| (size as f64 / items as f64) as f32).collect();
    shrink_to_unit_sum(&mut target);
    target
}

/// Lowers the target's largest share by ulps until the `f32` sum in index order is at most 1: for shares that sum to 1
/// but for their rounding.
pub fn shrink_to_unit_sum(target: &mut [f32]) {
    while target.iter().fold(0.0_f32, |sum, share| sum + share) > 1.0 {
        let largest = first_best(target.len(), |a, b| target[a] > target[b]);
        target[largest] = target[largest].next_down();
    }
}

/// Each item's Euclidean distance to the mean of its cluster's embeddings, computed in `f64` and scaled by one factor
/// so that the farthest item of all lies at `farthest`; all 0 if none is away from its centre. A cluster without items
/// has no centre and matters to none.
pub fn distances(
    embedding: &[f32],
    cluster: &[u32],
    clusters: usize,
    dimensions: usize,
    farthest: f64,
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
    let away = embedding.chunks_exact(dimensions).zip(cluster).map(|(item, &c)| {
        let squares = item.iter().zip(&centres[row(c as usize, dimensions)]).map(|(&x, m)| {
            let off = f64::from(x) - m;
            off * off
        });
        libm::sqrt(squares.sum())
    });
    let away: Vec<f64> = away.collect();
    let most = away.iter().copied().fold(0.0, f64::max);
    let factor = if most > 0.0 { farthest / most } else { 0.0 };
    away.iter().map(|far| (far * factor).min(farthest) as f32).collect()
}

/// The first of `0..count` that no other is better than.
pub(super) fn first_best(count: usize, better: impl Fn(usize, usize) -> bool) -> usize {
    (1..count).fold(0, |best, other| if better(other, best) { other } else { best })
}
