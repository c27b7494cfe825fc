//! K-means clusters: k-means++ (Arthur and Vassilvitskii, 2007), then Lloyd's iterations.
//!
//! The libraries leave clusters empty, and the well-kept one brings sixty dependencies; this gives K clusters with
//! items in each, whatever the data, and the same ones for any number of threads.

use anyhow::Result;
use rayon::prelude::*;
use recsim_core::model::rng::{Key, Purpose, uniform};
use recsim_core::world::row;

use super::lists::pool;

/// The cluster of each row of `points` (`[n, D]`), the largest cluster being 0, none of them empty: the best of a few
/// starts by the summed squared distance to the centres.
///
/// # Panics
/// If there are no clusters, or more than points.
pub(super) fn cluster(
    points: &[f32],
    dimensions: usize,
    clusters: usize,
    seed: u64,
    threads: Option<usize>,
) -> Result<Vec<u32>> {
    let points = Points { rows: points, dimensions };
    assert!((1..=points.len()).contains(&clusters), "from 1 cluster to as many as there are points");
    let starts = Key::new(seed, Purpose::World).fold_in(STARTS_TABLE);
    let best = pool(threads)?.install(|| {
        let attempts = (0..STARTS).map(|start| lloyd(points, &spread(points, clusters, starts.fold_in(start))));
        attempts.min_by(|a, b| a.0.total_cmp(&b.0))
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

    fn square_to(self, point: usize, centre: &[f64]) -> f64 {
        self.row(point).iter().zip(centre).map(|(&x, m)| (f64::from(x) - m) * (f64::from(x) - m)).sum()
    }
}

/// K-means++: each further centre is a point drawn in proportion to its squared distance to the nearest centre so far.
fn spread(points: Points<'_>, clusters: usize, key: Key) -> Vec<f64> {
    let mut centres: Vec<f64> = Vec::with_capacity(clusters * points.dimensions);
    let mut nearest = vec![f64::INFINITY; points.len()];
    for cluster in 0..clusters {
        let draw = f64::from(uniform(key.fold_in(cluster as u64)));
        let total: f64 = if cluster == 0 { points.len() as f64 } else { nearest.iter().sum() };
        let mut place = draw * total;
        // Where all points coincide with a centre, the last one serves again.
        let chosen = (0..points.len()).find(|&point| {
            place -= if cluster == 0 { 1.0 } else { nearest[point] };
            place < 0.0
        });
        let centre: Vec<f64> = points.row(chosen.unwrap_or(points.len() - 1)).iter().map(|&x| x.into()).collect();
        nearest.par_iter_mut().enumerate().for_each(|(point, nearest)| {
            *nearest = nearest.min(points.square_to(point, &centre));
        });
        centres.extend(centre);
    }
    centres
}

/// Points go to their nearest centre and centres to their points' mean, in turn, until no point moves. Gives the summed
/// squared distance and each point's cluster.
fn lloyd(points: Points<'_>, centres: &[f64]) -> (f64, Vec<u32>) {
    let mut centres = centres.to_vec();
    let clusters = centres.len() / points.dimensions;
    let mut assigned: Vec<u32> = Vec::new();
    for _ in 0..MOST_ITERATIONS {
        let (mut now, squares): (Vec<u32>, Vec<f64>) =
            (0..points.len()).into_par_iter().map(|point| nearest(points, point, &centres)).unzip();
        fill_empty(&mut now, &squares, clusters);
        centres = means(points, &now, clusters);
        if now == assigned {
            break;
        }
        assigned = now;
    }
    let squares = assigned
        .iter()
        .enumerate()
        .map(|(point, &cluster)| points.square_to(point, &centres[row(cluster as usize, points.dimensions)]));
    (squares.sum(), assigned)
}

/// The nearest centre, the first of equally near ones, and the squared distance to it.
fn nearest(points: Points<'_>, point: usize, centres: &[f64]) -> (u32, f64) {
    let squares = centres.chunks_exact(points.dimensions).map(|centre| points.square_to(point, centre));
    let first_best = |best: (u32, f64), (c, square)| if square < best.1 { (c, square) } else { best };
    (0..).zip(squares).fold((0, f64::INFINITY), first_best)
}

/// Gives each empty cluster the point that lies farthest from its centre among those not alone in their cluster.
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
            let point = point.expect("fewer clusters than points leave a point that is not alone");
            counts[assigned[point] as usize] -= 1;
            counts[empty] = 1;
            assigned[point] = empty as u32;
        }
    }
}

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

/// Numbers the clusters by falling size; of equal ones, the one with the earlier point comes first.
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
const MOST_ITERATIONS: usize = 300;
/// The generated world's tables come before it.
const STARTS_TABLE: u64 = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_heaps_are_told_apart() {
        let points = [0.0, 0.1, 10.0, 0.2, 10.1, 9.9, 0.05];
        assert_eq!(cluster(&points, 1, 2, 0, Some(1)).unwrap(), [0, 0, 1, 0, 1, 1, 0]);
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn no_cluster_is_empty_and_threads_change_nothing(
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
