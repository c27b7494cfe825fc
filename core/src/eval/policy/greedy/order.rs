//! The items of each cluster, in descending order of their acceptance probability.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// The ranked items of every cluster, and the rank of each item in its cluster.
#[derive(Clone, Debug)]
pub(super) struct ClusterOrder {
    /// `[K]`
    pub(super) clusters: Vec<RankedCluster>,
    /// `[I]`: an item's rank in its cluster, from 0.
    pub(super) rank: Vec<usize>,
}

/// A cluster's items by ascending distance to the centre, and by index where distances are equal. The acceptance
/// probability falls with the distance whatever the beliefs are, so rank 0 is the most likely item.
#[derive(Clone, Debug, Default)]
pub(super) struct RankedCluster {
    /// The items' distances, by rank.
    pub(super) distance: Vec<f32>,
    /// A sparse table for range minima: `min_item[n][i]` is the lowest item index among the `2^n` ranks from `i` on.
    min_item: Vec<Vec<u32>>,
}

impl ClusterOrder {
    /// Ranks all items; `cluster` and `distance` are `[I]`.
    pub(super) fn new(cluster: &[u32], distance: &[f32], num_clusters: usize) -> Self {
        let mut items = vec![Vec::new(); num_clusters];
        (0..).zip(cluster).for_each(|(item, &cluster): (u32, _)| items[cluster as usize].push(item));
        let mut rank = vec![0; cluster.len()];
        for items in &mut items {
            // The sort is stable: of equal distances the lower index stays first.
            items.sort_by(|a, b| distance[*a as usize].total_cmp(&distance[*b as usize]));
            items.iter().enumerate().for_each(|(n, &item)| rank[item as usize] = n);
        }
        Self { clusters: items.into_iter().map(|items| RankedCluster::new(items, distance)).collect(), rank }
    }
}

impl RankedCluster {
    fn new(items: Vec<u32>, distance: &[f32]) -> Self {
        let distance = items.iter().map(|&item| distance[item as usize]).collect();
        let mut min_item = vec![items];
        for half in core::iter::successors(Some(1), |half| Some(2 * half)) {
            let last = &min_item[min_item.len() - 1];
            if last.len() <= half {
                break;
            }
            let next = last.iter().zip(&last[half..]).map(|(&a, &b)| a.min(b)).collect();
            min_item.push(next);
        }
        Self { distance, min_item }
    }

    /// The lowest item index among these ranks, without the ranks in `selected`, which are sorted. `None` if no rank
    /// remains.
    pub(super) fn min_item(&self, ranks: Range<usize>, selected: &[usize]) -> Option<u32> {
        let (mut start, mut min) = (ranks.start, None);
        let ends = selected.iter().copied().filter(|rank| ranks.contains(rank)).chain([ranks.end]);
        for end in ends {
            min = [min, self.range_min(start..end)].into_iter().flatten().min();
            start = end + 1;
        }
        min
    }

    /// The lowest item index among these ranks: the minimum over two overlapping ranges of the largest power of two.
    fn range_min(&self, ranks: Range<usize>) -> Option<u32> {
        let power = ranks.len().checked_ilog2()?;
        let min_item = &self.min_item[power as usize];
        Some(min_item[ranks.start].min(min_item[ranks.end - (1 << power)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::{Key, Purpose};

    #[test]
    fn min_item_skips_selected_ranks() {
        let key = Key::new(0, Purpose::World);
        let distance: Vec<f32> = (0..37).map(|item| (key.fold_in(item).bits() % 9) as f32).collect();
        let order = ClusterOrder::new(&[0; 37], &distance, 1);
        let (cluster, selected) = (&order.clusters[0], [3, 4, 11, 36]);
        let item =
            |rank: usize| order.rank.iter().position(|&other| other == rank).expect("ranks are a permutation");
        for start in 0..=37 {
            for end in start..=37 {
                let expected =
                    (start..end).filter(|rank| !selected.contains(rank)).map(|rank| item(rank) as u32).min();
                assert_eq!(cluster.min_item(start..end, &selected), expected, "{start}..{end}");
            }
        }
    }
}
