//! The items of each cluster, the likeliest first.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Every cluster's items, and where each item stands in its own.
#[derive(Clone, Debug)]
pub(super) struct ClusterOrder {
    pub(super) clusters: Vec<RankedCluster>,
    /// `[I]`
    pub(super) place: Vec<usize>,
}

/// A cluster's items, nearest to the centre first, and so likeliest first, whatever the beliefs; of equal distances the
/// lower index.
#[derive(Clone, Debug, Default)]
pub(super) struct RankedCluster {
    /// Their distances.
    pub(super) distance: Vec<f32>,
    /// `lowest[n][i]` is the lowest index among the `2^n` items from place `i` on.
    lowest: Vec<Vec<u32>>,
}

impl ClusterOrder {
    pub(super) fn new(cluster: &[u32], distance: &[f32], clusters: usize) -> Self {
        let mut items = vec![Vec::new(); clusters];
        (0..).zip(cluster).for_each(|(item, &cluster): (u32, _)| items[cluster as usize].push(item));
        let mut place = vec![0; cluster.len()];
        for items in &mut items {
            // Stable: of equal distances the lower index stays first.
            items.sort_by(|a, b| distance[*a as usize].total_cmp(&distance[*b as usize]));
            items.iter().enumerate().for_each(|(n, &item)| place[item as usize] = n);
        }
        Self { clusters: items.into_iter().map(|items| RankedCluster::new(items, distance)).collect(), place }
    }
}

impl RankedCluster {
    fn new(items: Vec<u32>, distance: &[f32]) -> Self {
        let distance = items.iter().map(|&item| distance[item as usize]).collect();
        let mut lowest = vec![items];
        for half in core::iter::successors(Some(1), |half| Some(2 * half)) {
            let last = &lowest[lowest.len() - 1];
            if last.len() <= half {
                break;
            }
            let next = last.iter().zip(&last[half..]).map(|(&a, &b)| a.min(b)).collect();
            lowest.push(next);
        }
        Self { distance, lowest }
    }

    /// The lowest index among the items at these places, but for those at the places `taken`, which are sorted.
    pub(super) fn lowest(&self, places: Range<usize>, taken: &[usize]) -> Option<u32> {
        let (mut from, mut lowest) = (places.start, None);
        let ends = taken.iter().copied().filter(|place| places.contains(place)).chain([places.end]);
        for end in ends {
            lowest = [lowest, self.lowest_of_all(from..end)].into_iter().flatten().min();
            from = end + 1;
        }
        lowest
    }

    /// By two overlapping stretches of the greatest power of two.
    fn lowest_of_all(&self, places: Range<usize>) -> Option<u32> {
        let power = places.len().checked_ilog2()?;
        let lowest = &self.lowest[power as usize];
        Some(lowest[places.start].min(lowest[places.end - (1 << power)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::{Key, Purpose};

    #[test]
    fn the_lowest_of_a_stretch_is_found_around_what_is_taken() {
        let key = Key::new(0, Purpose::World);
        let distance: Vec<f32> = (0..37).map(|item| (key.fold_in(item).bits() % 9) as f32).collect();
        let order = ClusterOrder::new(&[0; 37], &distance, 1);
        let (cluster, taken) = (&order.clusters[0], [3, 4, 11, 36]);
        let item = |place: usize| order.place.iter().position(|&at| at == place).expect("it stands somewhere");
        for start in 0..=37 {
            for end in start..=37 {
                let due = (start..end).filter(|place| !taken.contains(place)).map(|place| item(place) as u32).min();
                assert_eq!(cluster.lowest(start..end, &taken), due, "{start}..{end}");
            }
        }
    }
}
