//! The definition.

use alloc::vec::Vec;

use nalgebra::Dim;

use super::{Greedy, Prospect};

pub(super) fn choose<D: Dim>(greedy: &Greedy<'_>, mut prospect: Prospect<'_, D>) -> Vec<u32> {
    let parts = greedy.world.arrays();
    let cluster_of = |item: u32| parts.item_cluster[item as usize] as usize;
    let mut chosen = Vec::new();
    for _ in 0..greedy.width {
        let (mut best, mut best_item) = (greedy.objective.worst(), None);
        for item in (0..greedy.world.shape().items as u32).filter(|item| !chosen.contains(item)) {
            let probability = prospect.probability(cluster_of(item), parts.item_distance[item as usize]);
            let distance = prospect.with(cluster_of(item), probability).distance;
            if greedy.objective.prefers(distance, best) {
                (best, best_item) = (distance, Some(item));
            }
        }
        let item = best_item.expect("there are as many items as a slate holds");
        prospect.add(cluster_of(item), prospect.probability(cluster_of(item), parts.item_distance[item as usize]));
        chosen.push(item);
    }
    chosen
}
