//! Synthetic worlds: the same bytes from the same seed on every machine (`docs/spec.md`, section 1.2, Synthetic
//! worlds).

use alloc::vec::Vec;

use super::clusters::{distances, first_best, target};
use super::{OwnedWorld, WorldShape, row};
use crate::model::rng::{Key, Purpose, index, normal_pair, uniform};
use crate::model::slate::{TopK, normalize, score};

/// The sizes and the seed of a synthetic world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntheticWorldConfig {
    /// U, the number of users; at least 1.
    pub users: usize,
    /// I, the number of items; at least 1.
    pub items: usize,
    /// K, the number of clusters; from 1 to I.
    pub clusters: usize,
    /// D, the dimensions of an embedding; at least 1.
    pub dimensions: usize,
    /// L, the length of a pre-trained list; from 1 to I.
    pub pretrained_len: usize,
    /// The seed of every draw.
    pub seed: u64,
}

/// Generates a world.
///
/// | array | distribution |
/// |---|---|
/// | cluster centres | random directions, of length 1 |
/// | item embeddings | a centre plus a random direction, at distances spread evenly in `(0, 1]` |
/// | item distances | to the mean of the cluster's embeddings, scaled so that the largest is 5 |
/// | user beliefs | an exponential share of the catalogue in one or two clusters, at most 0.008; 0 elsewhere |
/// | user embeddings | the sum of those clusters' centres, plus noise with a standard deviation of 0.1 |
///
/// With five clusters, the cluster sizes and the users' mean beliefs are those of the original experiment. With another
/// number, the first cluster holds 70 % of the items and few users lean to it.
///
/// `pretrained_lists(items, users, dimensions, pretrained_len)` computes the pre-trained lists, `[U, L]`, from the
/// embeddings of items, `[I, D]`, and users, `[U, D]`. Each list must hold the L items with the highest
/// [`score`] for the user's embedding, best first; of equal scores the lower index comes first. [`brute_force_lists`]
/// does so; a backend may do it faster.
///
/// ```
/// use recsim_core::world::{SyntheticWorldConfig, brute_force_lists, generate};
/// let config =
///     SyntheticWorldConfig { users: 3, items: 50, clusters: 5, dimensions: 8, pretrained_len: 40, seed: 1 };
/// let world = generate(&config, brute_force_lists);
/// assert_eq!(world.user_pretrained.len(), 3 * 40);
/// assert!(world.item_distance.contains(&5.0));
/// ```
///
/// # Panics
/// If a size is 0, or `clusters` or `pretrained_len` exceeds `items`.
pub fn generate(
    config: &SyntheticWorldConfig,
    pretrained_lists: impl FnOnce(&[f32], &[f32], usize, usize) -> Vec<u32>,
) -> OwnedWorld {
    let &SyntheticWorldConfig { users, items, clusters, dimensions, pretrained_len, seed } = config;
    let is_possible =
        users >= 1 && dimensions >= 1 && (1..=items).contains(&clusters) && (1..=items).contains(&pretrained_len);
    assert!(is_possible, "every size must be at least 1, and `clusters` and `pretrained_len` at most `items`");
    let key = Key::new(seed, Purpose::World);
    let sizes = cluster_sizes(items, clusters);
    let target = target(&sizes);
    let centres = unit_rows(key.fold_in(CENTRES), clusters, dimensions);
    let item_cluster = shuffled_clusters(key.fold_in(ORDER), &sizes);
    let item_embedding = item_embeddings(key.fold_in(ITEMS), &item_cluster, &sizes, &centres, dimensions);
    let item_distance = distances(&item_embedding, &item_cluster, clusters, dimensions, MAX_DISTANCE);
    let (user_belief, user_embedding) =
        beliefs_and_embeddings(key.fold_in(USERS), users, items, &target, &centres, dimensions);
    let user_pretrained = pretrained_lists(&item_embedding, &user_embedding, dimensions, pretrained_len);
    let shape = WorldShape { users, items, clusters, dimensions, pretrained_len };
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

/// Pre-trained lists, `[U, L]`, by scoring every item for every user: `O(U I D)`. See [`generate`] for the arguments.
///
/// ```
/// let (items, users) = ([1.0, -1.0, 3.0], [2.0, -2.0]);
/// assert_eq!(recsim_core::world::brute_force_lists(&items, &users, 1, 2), [2, 0, 1, 0]);
/// ```
pub fn brute_force_lists(items: &[f32], users: &[f32], dimensions: usize, pretrained_len: usize) -> Vec<u32> {
    let mut lists = alloc::vec![0; users.len() / dimensions * pretrained_len];
    let mut scores = alloc::vec![0.0; pretrained_len];
    for (user, list) in users.chunks_exact(dimensions).zip(lists.chunks_exact_mut(pretrained_len)) {
        let mut best = TopK::new(list, &mut scores);
        for (item, embedding) in items.chunks_exact(dimensions).enumerate() {
            best.push(item as u32, score(user, embedding));
        }
    }
    lists
}

/// The number of items in each cluster, `[K]`: at least 1 each, `items` in all.
///
/// With five clusters the proportions are those of the original experiment, with another number 70 % for the first
/// cluster and equal shares for the others. A size is the quota rounded down. The items that remain go one by one to
/// the cluster that is furthest below its quota; if there are too many, the largest cluster gives one up. The first
/// of equals is chosen.
///
/// ```
/// assert_eq!(recsim_core::world::cluster_sizes(19_130, 5), [13_383, 1_355, 1_413, 1_381, 1_598]);
/// assert_eq!(recsim_core::world::cluster_sizes(7, 3), [5, 1, 1]);
/// ```
///
/// # Panics
/// If `clusters` is 0 or exceeds `items`.
pub fn cluster_sizes(items: usize, clusters: usize) -> Vec<usize> {
    assert!((1..=items).contains(&clusters), "`clusters` must be from 1 to `items`");
    let weight = |cluster: usize| match (clusters, cluster) {
        (5, _) => REFERENCE_SIZES[cluster],
        (1, _) => 1.0,
        (_, 0) => 0.7,
        _ => 0.3 / (clusters - 1) as f64,
    };
    let total: f64 = (0..clusters).map(weight).sum();
    let quotas: Vec<f64> = (0..clusters).map(|cluster| items as f64 * weight(cluster) / total).collect();
    let mut sizes: Vec<usize> = quotas.iter().map(|&quota| (quota as usize).max(1)).collect();
    let shortfall = |sizes: &[usize], cluster: usize| quotas[cluster] - sizes[cluster] as f64;
    for _ in sizes.iter().sum()..items {
        let cluster = first_best(clusters, |a, b| shortfall(&sizes, a) > shortfall(&sizes, b));
        sizes[cluster] += 1;
    }
    for _ in items..sizes.iter().sum() {
        let largest = first_best(clusters, |a, b| sizes[a] > sizes[b]);
        sizes[largest] -= 1;
    }
    sizes
}

/// Random directions, `[rows, D]`, each of length 1.
fn unit_rows(key: Key, rows: usize, dimensions: usize) -> Vec<f32> {
    let mut matrix = alloc::vec![0.0; rows * dimensions];
    for (n, direction) in matrix.chunks_exact_mut(dimensions).enumerate() {
        normals(key.fold_in(n as u64), direction);
        normalize(direction);
    }
    matrix
}

/// Fills `row` with standard normal values: elements `2j` and `2j + 1` are `normal_pair(key.fold_in(j))`.
fn normals(key: Key, row: &mut [f32]) {
    for (pair, elements) in row.chunks_mut(2).enumerate() {
        elements.copy_from_slice(&normal_pair(key.fold_in(pair as u64))[..elements.len()]);
    }
}

/// The cluster of each item, `[I]`, in random order (the Fisher-Yates shuffle).
fn shuffled_clusters(key: Key, sizes: &[usize]) -> Vec<u32> {
    let mut clusters: Vec<u32> =
        sizes.iter().enumerate().flat_map(|(c, &size)| core::iter::repeat_n(c as u32, size)).collect();
    for last in (1..clusters.len()).rev() {
        clusters.swap(last, index(key.fold_in(last as u64), last as u64 + 1) as usize);
    }
    clusters
}

/// The items' embeddings, `[I, D]`.
///
/// The items of a cluster come in pairs on opposite sides of the centre, so that the centre is their mean. The
/// distances of the pairs are spread evenly up to [`SPREAD`]. The last item of an odd number lies at the centre.
fn item_embeddings(key: Key, cluster: &[u32], sizes: &[usize], centres: &[f32], dimensions: usize) -> Vec<f32> {
    let mut embeddings = alloc::vec![0.0; cluster.len() * dimensions];
    let mut counts = alloc::vec![0_usize; sizes.len()];
    for (item, &c) in embeddings.chunks_exact_mut(dimensions).zip(cluster) {
        let c = c as usize;
        let (pair, sign) = (counts[c] / 2, if counts[c].is_multiple_of(2) { 1.0 } else { -1.0 });
        let pairs = sizes[c] / 2;
        counts[c] += 1;
        let radius = if pair < pairs { sign * SPREAD * (pair + 1) as f32 / pairs as f32 } else { 0.0 };
        normals(key.fold_in(c as u64).fold_in(pair as u64), item);
        normalize(item);
        for (x, &m) in item.iter_mut().zip(&centres[row(c, dimensions)]) {
            *x = m + radius * *x;
        }
    }
    embeddings
}

/// The users' beliefs, `[U, K]`, and embeddings, `[U, D]`.
fn beliefs_and_embeddings(
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
    let rows = beliefs.chunks_exact_mut(clusters).zip(embeddings.chunks_exact_mut(dimensions));
    for (user, (beliefs, embedding)) in rows.enumerate() {
        let key = key.fold_in(user as u64);
        normals(key.fold_in(0), embedding);
        embedding.iter_mut().for_each(|x| *x *= EMBEDDING_NOISE);
        let leanings = 1 + index(key.fold_in(1), 2);
        for leaning in 0..leanings {
            let key = key.fold_in(2 + leaning);
            let cluster = leaning_cluster(uniform(key.fold_in(0)), clusters);
            let exponential = MEAN_SHARE * -libm::log(1.0 - f64::from(uniform(key.fold_in(1))));
            let count = libm::rint(exponential.min(MAX_SHARE) * items as f64);
            let share = (count / items as f64) as f32;
            beliefs[cluster] = (beliefs[cluster] + share).min(target[cluster]).min(MAX_SHARE as f32);
            for (x, &m) in embedding.iter_mut().zip(&centres[row(cluster, dimensions)]) {
                *x += m;
            }
        }
    }
    (beliefs, embeddings)
}

/// The cluster that a user leans to, for a uniform `draw` in `[0, 1)`.
///
/// With five clusters the weights are the means of the original experiment's beliefs. Otherwise the first cluster,
/// which is the largest, has a tenth of the weight of each other one.
fn leaning_cluster(draw: f32, clusters: usize) -> usize {
    let weight = |cluster: usize| match (clusters, cluster) {
        (5, _) => REFERENCE_MEANS[cluster],
        (_, 0) => 0.1,
        _ => 1.0,
    };
    let mut remaining = f64::from(draw) * (0..clusters).map(weight).sum::<f64>();
    for cluster in 0..clusters - 1 {
        remaining -= weight(cluster);
        if remaining < 0.0 {
            return cluster;
        }
    }
    clusters - 1
}

/// The first coordinate of the draws of each array.
const CENTRES: u64 = 0;
const ORDER: u64 = 1;
const ITEMS: u64 = 2;
const USERS: u64 = 3;

/// The cluster sizes of the original experiment's catalogue.
const REFERENCE_SIZES: [f64; 5] = [13_383.0, 1_355.0, 1_413.0, 1_381.0, 1_598.0];
/// The mean beliefs of the original experiment's users.
const REFERENCE_MEANS: [f64; 5] = [2.2e-5, 2.1e-4, 1.7e-4, 1.9e-4, 1.8e-4];
/// The largest item distance, in the unit of `item_distance`.
const MAX_DISTANCE: f64 = 5.0;
/// The largest radius of an item around its centre, in the unit of the embeddings. Centres have length 1.
const SPREAD: f32 = 1.0;
/// The standard deviation of the components of a user's embedding around the sum of its clusters' centres.
const EMBEDDING_NOISE: f32 = 0.1;
/// The mean of the exponential share of the catalogue that a user has taken up in a cluster. A user leans to 1.5
/// clusters on average, so it is the sum of [`REFERENCE_MEANS`] over 1.5.
const MEAN_SHARE: f64 = 7.72e-4 / 1.5;
/// The largest such share.
const MAX_SHARE: f64 = 8e-3;

#[cfg(test)]
mod tests;
