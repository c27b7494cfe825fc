//! K-means clusters: k-means++ (Arthur and Vassilvitskii, 2007), then Lloyd's iterations.
//!
//! Every cluster has at least one item, for any data, and the result does not depend on the number of threads. The
//! available libraries do not guarantee the former.

use anyhow::Result;
use rayon::prelude::*;
use recsim_core::model::rng::{Key, Purpose, uniform};
use recsim_core::world::row;

use super::lists::pool;

/// The cluster of each row of `points` (`[n, D]`): the best of [`STARTS`] runs by the summed squared distance to the
/// centres. No cluster is empty. Clusters are numbered by decreasing size.
///
/// # Errors
/// If the threads cannot be started.
///
/// # Panics
/// If `clusters` is 0 or exceeds the number of points.
pub(super) fn cluster(
    points: &[f32],
    dimensions: usize,
    clusters: usize,
    seed: u64,
    threads: Option<usize>,
) -> Result<Vec<u32>> {
    let points = Points { rows: points, dimensions };
    assert!((1..=points.len()).contains(&clusters), "there are from 1 cluster to one per point");
    let starts = Key::new(seed, Purpose::World).fold_in(STARTS_COORDINATE);
    let best = pool(threads)?.install(|| {
        let runs =
            (0..STARTS).map(|start| lloyd(points, &initial_centres(points, clusters, starts.fold_in(start))));
        runs.min_by(|a, b| a.0.total_cmp(&b.0))
    });
    let (_, assigned) = best.expect("there is at least one start");
    Ok(largest_first(assigned, clusters))
}

#[derive(Clone, Copy)]
struct Points<'a> {
    rows: &'a [f32],
    dimensions: usize,
}

impl<'a> Points<'a> {
    fn len(self) -> usize {
        self.rows.len() / self.dimensions
    }

    fn row(self, point: usize) -> &'a [f32] {
        &self.rows[row(point, self.dimensions)]
    }

    fn squared_distance(self, point: usize, centre: &[f64]) -> f64 {
        self.row(point).iter().zip(centre).map(|(&x, m)| (f64::from(x) - m) * (f64::from(x) - m)).sum()
    }
}

/// K-means++: the first centre is a uniform draw of the points. Each further centre is a point drawn with a probability
/// proportional to its squared distance to the nearest centre so far. Returns `[clusters, D]`.
fn initial_centres(points: Points<'_>, clusters: usize, key: Key) -> Vec<f64> {
    let mut centres: Vec<f64> = Vec::with_capacity(clusters * points.dimensions);
    let mut nearest = vec![f64::INFINITY; points.len()];
    for cluster in 0..clusters {
        let draw = f64::from(uniform(key.fold_in(cluster as u64)));
        let total: f64 = if cluster == 0 { points.len() as f64 } else { nearest.iter().sum() };
        let mut remaining = draw * total;
        // If every point coincides with a centre, the last point is used.
        let chosen = (0..points.len()).find(|&point| {
            remaining -= if cluster == 0 { 1.0 } else { nearest[point] };
            remaining < 0.0
        });
        let centre: Vec<f64> = points.row(chosen.unwrap_or(points.len() - 1)).iter().map(|&x| x.into()).collect();
        nearest.par_iter_mut().enumerate().for_each(|(point, nearest)| {
            *nearest = nearest.min(points.squared_distance(point, &centre));
        });
        centres.extend(centre);
    }
    centres
}

/// Lloyd's algorithm: assigns points to their nearest centre, then moves each centre to the mean of its points, until
/// no assignment changes. Returns the summed squared distance and the cluster of each point.
fn lloyd(points: Points<'_>, centres: &[f64]) -> (f64, Vec<u32>) {
    let mut centres = centres.to_vec();
    let clusters = centres.len() / points.dimensions;
    let mut assigned: Vec<u32> = Vec::new();
    for _ in 0..MAX_ITERATIONS {
        let (mut next, squares): (Vec<u32>, Vec<f64>) =
            (0..points.len()).into_par_iter().map(|point| nearest(points, point, &centres)).unzip();
        fill_empty(&mut next, &squares, clusters);
        centres = means(points, &next, clusters);
        if next == assigned {
            break;
        }
        assigned = next;
    }
    let squares = assigned.iter().enumerate().map(|(point, &cluster)| {
        points.squared_distance(point, &centres[row(cluster as usize, points.dimensions)])
    });
    (squares.sum(), assigned)
}

/// The nearest centre and the squared distance to it. Of equally near centres, the first.
fn nearest(points: Points<'_>, point: usize, centres: &[f64]) -> (u32, f64) {
    let squares = centres.chunks_exact(points.dimensions).map(|centre| points.squared_distance(point, centre));
    let first_best = |best: (u32, f64), (c, square)| if square < best.1 { (c, square) } else { best };
    (0..).zip(squares).fold((0, f64::INFINITY), first_best)
}

/// Moves to each empty cluster the point that is farthest from its centre, among points that are not alone in their
/// cluster.
fn fill_empty(assigned: &mut [u32], squares: &[f64], clusters: usize) {
    let mut counts = vec![0_usize; clusters];
    assigned.iter().for_each(|&cluster| counts[cluster as usize] += 1);
    if counts.iter().all(|&count| count > 0) {
        return;
    }
    let mut farthest: Vec<usize> = (0..assigned.len()).collect();
    farthest.sort_by(|&a, &b| squares[b].total_cmp(&squares[a]));
    let mut farthest = farthest.into_iter();
    for empty in 0..clusters {
        if counts[empty] == 0 {
            let point = farthest.find(|&point| counts[assigned[point] as usize] > 1);
            let point = point.expect("there are at most as many clusters as points, so some point is not alone");
            counts[assigned[point] as usize] -= 1;
            counts[empty] = 1;
            assigned[point] = empty as u32;
        }
    }
}

/// The mean of the points of each cluster, `[clusters, D]`.
fn means(points: Points<'_>, assigned: &[u32], clusters: usize) -> Vec<f64> {
    let mut sums = vec![0.0; clusters * points.dimensions];
    let mut counts = vec![0.0_f64; clusters];
    for (point, &cluster) in assigned.iter().enumerate() {
        let cluster = cluster as usize;
        counts[cluster] += 1.0;
        let sums = &mut sums[row(cluster, points.dimensions)];
        sums.iter_mut().zip(points.row(point)).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    for (sums, count) in sums.chunks_exact_mut(points.dimensions).zip(counts) {
        sums.iter_mut().for_each(|sum| *sum /= count);
    }
    sums
}

/// Numbers the clusters by decreasing size. Of equal ones, the one with the earlier point comes first.
fn largest_first(assigned: Vec<u32>, clusters: usize) -> Vec<u32> {
    let mut counts = vec![0_usize; clusters];
    let mut first = vec![assigned.len(); clusters];
    for (point, &cluster) in assigned.iter().enumerate() {
        counts[cluster as usize] += 1;
        first[cluster as usize] = first[cluster as usize].min(point);
    }
    let mut order: Vec<usize> = (0..clusters).collect();
    order.sort_by_key(|&cluster| (std::cmp::Reverse(counts[cluster]), first[cluster]));
    let mut number = vec![0_u32; clusters];
    (0..).zip(order).for_each(|(n, cluster)| number[cluster] = n);
    assigned.into_iter().map(|cluster| number[cluster as usize]).collect()
}

const STARTS: u64 = 8;
const MAX_ITERATIONS: usize = 300;
/// The coordinate of the starts below `Purpose::World`. Synthetic worlds use smaller ones.
const STARTS_COORDINATE: u64 = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn separates_two_groups() {
        let points = [0.0, 0.1, 10.0, 0.2, 10.1, 9.9, 0.05];
        assert_eq!(cluster(&points, 1, 2, 0, Some(1)).unwrap(), [0, 0, 1, 0, 1, 1, 0]);
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn fills_all_clusters_for_any_number_of_threads(
            points in prop::collection::vec((0_u8..4).prop_map(f32::from), 2..40), clusters in 1_usize..20, seed: u64,
        ) {
            let points = &points[..points.len() / 2 * 2];
            let clusters = clusters.min(points.len() / 2);
            let assigned = cluster(points, 2, clusters, seed, Some(1)).unwrap();
            prop_assert!((0..clusters as u32).all(|c| assigned.contains(&c)), "{:?}", assigned);
            prop_assert_eq!(assigned, cluster(points, 2, clusters, seed, Some(3)).unwrap());
        }
    }
}
