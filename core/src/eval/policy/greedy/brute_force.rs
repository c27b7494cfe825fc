//! The definition of the greedy policy, item by item.

use alloc::vec::Vec;

use nalgebra::Dim;

use super::{ExpectedSlate, Greedy};

/// Selects the items by trying every item of the world for every slot.
pub(super) fn select<D: Dim>(greedy: &Greedy<'_>, mut slate: ExpectedSlate<'_, D>) -> Vec<u32> {
    let arrays = greedy.world.arrays();
    let cluster_of = |item: u32| arrays.item_cluster[item as usize] as usize;
    let mut selected = Vec::new();
    for _ in 0..greedy.items_per_user {
        let (mut best, mut best_item) = (greedy.objective.worst(), None);
        for item in (0..greedy.world.shape().items as u32).filter(|item| !selected.contains(item)) {
            let probability = slate.probability(cluster_of(item), arrays.item_distance[item as usize]);
            let distance = slate.outcome_with(cluster_of(item), probability).distance;
            if greedy.objective.prefers(distance, best) {
                (best, best_item) = (distance, Some(item));
            }
        }
        let item = best_item.expect("a world has at least as many items as a slate");
        slate.add(cluster_of(item), slate.probability(cluster_of(item), arrays.item_distance[item as usize]));
        selected.push(item);
    }
    selected
}
