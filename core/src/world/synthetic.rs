//! A world made up from a seed: the same bytes on every machine.

use alloc::vec::Vec;

use super::clusters::{distances, first_best, target};
use super::{OwnedWorld, WorldShape, row};
use crate::model::rng::{Key, Purpose, index, normal_pair, uniform};
use crate::model::slate::{TopK, normalize, score};

/// The sizes and the seed of a generated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntheticWorldConfig {
    /// U, at least 1
    pub users: usize,
    /// I, at least 1
    pub items: usize,
    /// K, from 1 to I
    pub clusters: usize,
    /// D, at least 1
    pub dimensions: usize,
    /// L, from 1 to I
    pub pretrained_len: usize,
    /// Every draw is made from it.
    pub seed: u64,
}

/// Generates a world.
///
/// Item embeddings lie around K centres on the unit sphere, evenly spread in distance; an item's `distance` is the
/// Euclidean distance of its embedding to the mean of its cluster's, scaled by one factor so that the farthest item of
/// all lies at 5. Users lean towards one or two clusters, rarely the largest, and have taken up a few items there: so
/// many that with five clusters the mean beliefs are the seed document's.
///
/// `lists(items [I, D], users [U, D], D, L)` fills the pre-trained lists: for each user the `L` items of best
/// [`score`] for the embedding, ties to the lower index, best first. [`brute_force_lists`] does it plainly; a
/// backend does the same fast.
///
/// # Panics
/// If a size is 0, or K or L exceeds I.
pub fn generate(
    recipe: &SyntheticWorldConfig,
    lists: impl FnOnce(&[f32], &[f32], usize, usize) -> Vec<u32>,
) -> OwnedWorld {
    let &SyntheticWorldConfig { users, items, clusters, dimensions, pretrained_len: list, seed } = recipe;
    assert!(users >= 1 && dimensions >= 1 && (1..=items).contains(&clusters) && (1..=items).contains(&list));
    let key = Key::new(seed, Purpose::World);
    let sizes = cluster_sizes(items, clusters);
    let target = target(&sizes);
    let centres = unit_rows(key.fold_in(CENTRES), clusters, dimensions);
    let item_cluster = shuffled_clusters(key.fold_in(ORDER), &sizes);
    let item_embedding = scatter(key.fold_in(ITEMS), &item_cluster, &sizes, &centres, dimensions);
    let item_distance = distances(&item_embedding, &item_cluster, clusters, dimensions, FARTHEST);
    let (user_belief, user_embedding) = people(key.fold_in(USERS), users, items, &target, &centres, dimensions);
    let user_pretrained = lists(&item_embedding, &user_embedding, dimensions, list);
    let shape = WorldShape { users, items, clusters, dimensions, pretrained_len: list };
    OwnedWorld {
        shape,
        item_embedding,
        item_cluster,
        item_distance,
        user_belief,
        user_embedding,
        user_pretrained,
        target,
    }
}

/// Pre-trained lists by scoring every item for every user.
pub fn brute_force_lists(items: &[f32], users: &[f32], dimensions: usize, list: usize) -> Vec<u32> {
    let mut lists = alloc::vec![0; users.len() / dimensions * list];
    let mut scores = alloc::vec![0.0; list];
    for (user, places) in users.chunks_exact(dimensions).zip(lists.chunks_exact_mut(list)) {
        let mut best = TopK::new(places, &mut scores);
        for (item, embedding) in items.chunks_exact(dimensions).enumerate() {
            best.push(item as u32, score(user, embedding));
        }
    }
    lists
}

/// How many of `items` each of `clusters` holds: the seed document's proportions for five, and for other numbers a
/// first cluster with 70 % and the rest shared evenly. Every cluster holds at least one; the remainders of the rounded
/// shares go to those that lack most.
///
/// ```
/// assert_eq!(recsim_core::world::cluster_sizes(19_130, 5), [13_383, 1_355, 1_413, 1_381, 1_598]);
/// assert_eq!(recsim_core::world::cluster_sizes(7, 3), [5, 1, 1]);
/// ```
///
/// # Panics
/// If `clusters` is 0 or exceeds `items`.
pub fn cluster_sizes(items: usize, clusters: usize) -> Vec<usize> {
    assert!((1..=items).contains(&clusters), "from 1 cluster to as many as there are items");
    let weight = |cluster: usize| match (clusters, cluster) {
        (5, _) => REFERENCE_SIZES[cluster],
        (1, _) => 1.0,
        (_, 0) => 0.7,
        _ => 0.3 / (clusters - 1) as f64,
    };
    let total: f64 = (0..clusters).map(weight).sum();
    let quotas: Vec<f64> = (0..clusters).map(|cluster| items as f64 * weight(cluster) / total).collect();
    let mut sizes: Vec<usize> = quotas.iter().map(|&quota| (quota as usize).max(1)).collect();
    let lacks = |sizes: &[usize], cluster: usize| quotas[cluster] - sizes[cluster] as f64;
    for _ in sizes.iter().sum()..items {
        let neediest = first_best(clusters, |a, b| lacks(&sizes, a) > lacks(&sizes, b));
        sizes[neediest] += 1;
    }
    for _ in items..sizes.iter().sum() {
        let largest = first_best(clusters, |a, b| sizes[a] > sizes[b]);
        sizes[largest] -= 1;
    }
    sizes
}

/// Random directions, each of length 1.
fn unit_rows(key: Key, rows: usize, dimensions: usize) -> Vec<f32> {
    let mut table = alloc::vec![0.0; rows * dimensions];
    for (n, direction) in table.chunks_exact_mut(dimensions).enumerate() {
        normals(key.fold_in(n as u64), direction);
        normalize(direction);
    }
    table
}

fn normals(key: Key, row: &mut [f32]) {
    for (pair, places) in row.chunks_mut(2).enumerate() {
        places.copy_from_slice(&normal_pair(key.fold_in(pair as u64))[..places.len()]);
    }
}

/// Every item's cluster, in an order that says nothing (Fisher and Yates' shuffle).
fn shuffled_clusters(key: Key, sizes: &[usize]) -> Vec<u32> {
    let mut clusters: Vec<u32> =
        sizes.iter().enumerate().flat_map(|(c, &size)| core::iter::repeat_n(c as u32, size)).collect();
    for last in (1..clusters.len()).rev() {
        clusters.swap(last, index(key.fold_in(last as u64), last as u64 + 1) as usize);
    }
    clusters
}

/// Items around their centres. They come in pairs on opposite sides of the centre, at distances spread evenly up to
/// [`SPREAD`], so that the centre is the mean; an odd one out lies at the centre.
fn scatter(key: Key, cluster: &[u32], sizes: &[usize], centres: &[f32], dimensions: usize) -> Vec<f32> {
    let mut table = alloc::vec![0.0; cluster.len() * dimensions];
    let mut seen = alloc::vec![0_usize; sizes.len()];
    for (item, &c) in table.chunks_exact_mut(dimensions).zip(cluster) {
        let c = c as usize;
        let (pair, side) = (seen[c] / 2, if seen[c].is_multiple_of(2) { 1.0 } else { -1.0 });
        let pairs = sizes[c] / 2;
        seen[c] += 1;
        let radius = if pair < pairs { side * SPREAD * (pair + 1) as f32 / pairs as f32 } else { 0.0 };
        normals(key.fold_in(c as u64).fold_in(pair as u64), item);
        normalize(item);
        for (x, &m) in item.iter_mut().zip(&centres[row(c, dimensions)]) {
            *x = m + radius * *x;
        }
    }
    table
}

/// Every user's beliefs and embedding.
fn people(
    key: Key,
    users: usize,
    items: usize,
    target: &[f32],
    centres: &[f32],
    dimensions: usize,
) -> (Vec<f32>, Vec<f32>) {
    let clusters = target.len();
    let mut beliefs = alloc::vec![0.0_f32; users * clusters];
    let mut embeddings = alloc::vec![0.0_f32; users * dimensions];
    let tables = beliefs.chunks_exact_mut(clusters).zip(embeddings.chunks_exact_mut(dimensions));
    for (user, (beliefs, embedding)) in tables.enumerate() {
        let key = key.fold_in(user as u64);
        normals(key.fold_in(0), embedding);
        embedding.iter_mut().for_each(|x| *x *= TASTE_NOISE);
        let leanings = 1 + index(key.fold_in(1), 2);
        for leaning in 0..leanings {
            let key = key.fold_in(2 + leaning);
            let cluster = leaned_to(uniform(key.fold_in(0)), clusters);
            let taken = MEAN_TAKEN * -libm::log(1.0 - f64::from(uniform(key.fold_in(1))));
            let count = libm::rint(taken.min(MOST_TAKEN) * items as f64);
            let share = (count / items as f64) as f32;
            beliefs[cluster] = (beliefs[cluster] + share).min(target[cluster]).min(MOST_TAKEN as f32);
            for (x, &m) in embedding.iter_mut().zip(&centres[row(cluster, dimensions)]) {
                *x += m;
            }
        }
    }
    (beliefs, embeddings)
}

/// The cluster at `draw` in `[0, 1)`, clusters lying side by side by the weight of leaning to them: for five, the means
/// of the seed document's beliefs; else the first, which is the largest, has a tenth of the others'.
fn leaned_to(draw: f32, clusters: usize) -> usize {
    let weight = |cluster: usize| match (clusters, cluster) {
        (5, _) => REFERENCE_MEANS[cluster],
        (_, 0) => 0.1,
        _ => 1.0,
    };
    let mut left = f64::from(draw) * (0..clusters).map(weight).sum::<f64>();
    for cluster in 0..clusters - 1 {
        left -= weight(cluster);
        if left < 0.0 {
            return cluster;
        }
    }
    clusters - 1
}

const CENTRES: u64 = 0;
const ORDER: u64 = 1;
const ITEMS: u64 = 2;
const USERS: u64 = 3;

/// The seed document's catalogue.
const REFERENCE_SIZES: [f64; 5] = [13_383.0, 1_355.0, 1_413.0, 1_381.0, 1_598.0];
/// The means of its users' beliefs.
const REFERENCE_MEANS: [f64; 5] = [2.2e-5, 2.1e-4, 1.7e-4, 1.9e-4, 1.8e-4];
/// The farthest item's distance in the world's unit.
const FARTHEST: f64 = 5.0;
/// The farthest item's distance in the embedding's unit, the centres having length 1.
const SPREAD: f32 = 1.0;
/// Standard deviation of a user embedding's components around the centres leaned to.
const TASTE_NOISE: f32 = 0.1;
/// Mean and most of the catalogue's share that a user has taken up in a cluster leaned to. There are 1.5 of these on
/// average, so the mean is the sum of [`REFERENCE_MEANS`] over 1.5.
const MEAN_TAKEN: f64 = 7.72e-4 / 1.5;
const MOST_TAKEN: f64 = 8e-3;

#[cfg(test)]
mod tests;
