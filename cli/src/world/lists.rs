//! Computes pre-trained lists from embeddings.

use anyhow::Result;
#[cfg(not(feature = "cpu"))]
use rayon::prelude::*;
use recsim_core::world::row;

/// For each of `users` (`[n, D]`), the `len` items of `items` (`[I, D]`) with the highest
/// `recsim_core::model::slate::score`, best first; of equal scores, the lower index first. Returns `[n, len]`.
///
/// # Errors
/// If the threads cannot be started.
#[cfg(feature = "cpu")]
pub(super) fn best_items(
    items: &[f32],
    users: &[f32],
    dimensions: usize,
    len: usize,
    threads: Option<usize>,
) -> Result<Vec<u32>> {
    Ok(recsim_backend_cpu::best_items(items, users, dimensions, len, threads)?)
}

/// The same without the search of the CPU backend: it scores every item for every user.
#[cfg(not(feature = "cpu"))]
pub(super) fn best_items(
    items: &[f32],
    users: &[f32],
    dimensions: usize,
    len: usize,
    threads: Option<usize>,
) -> Result<Vec<u32>> {
    let lists = |users: &[f32]| recsim_core::world::brute_force_lists(items, users, dimensions, len);
    Ok(pool(threads)?.install(|| users.par_chunks(dimensions).flat_map_iter(lists).collect()))
}

/// For each user, the `len` items with the highest score among those that the user has not interacted with. If there
/// are too few of them, the best of the others follow. Returns `[n, len]`.
///
/// `user_items[u]` contains the items that user `u` has interacted with, in ascending order.
///
/// # Errors
/// If the threads cannot be started.
pub(super) fn best_new_items(
    items: &[f32],
    users: &[f32],
    dimensions: usize,
    len: usize,
    user_items: &[Vec<u32>],
    threads: Option<usize>,
) -> Result<Vec<u32>> {
    let count = items.len() / dimensions;
    // A user's best `len + user_items[user].len()` items contain `len` new ones. Users with similar counts are searched
    // together, a bounded number at a time.
    let needed = |user: usize| (len + user_items[user].len()).next_power_of_two().min(count);
    let mut order: Vec<usize> = (0..user_items.len()).collect();
    order.sort_by_key(|&user| needed(user));
    let mut lists = vec![0; user_items.len() * len];
    for alike in order.chunk_by(|&a, &b| needed(a) == needed(b)) {
        let needed = needed(alike[0]);
        for batch in alike.chunks(MAX_BATCH) {
            let queries: Vec<f32> = batch.iter().flat_map(|&user| &users[row(user, dimensions)]).copied().collect();
            let best = best_items(items, &queries, dimensions, needed, threads)?;
            for (&user, best) in batch.iter().zip(best.chunks_exact(needed)) {
                let is_known = |item: &&u32| user_items[user].binary_search(item).is_ok();
                let new = best.iter().filter(|item| !is_known(item));
                let known = best.iter().filter(is_known);
                for (entry, &item) in lists[row(user, len)].iter_mut().zip(new.chain(known)) {
                    *entry = item;
                }
            }
        }
    }
    Ok(lists)
}

/// A pool of `threads` threads, or one per core.
///
/// # Errors
/// If the threads cannot be started.
pub(super) fn pool(threads: Option<usize>) -> Result<rayon::ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build()?)
}

/// Users searched in one call.
const MAX_BATCH: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use recsim_core::model::slate::score;

    use super::*;

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn new_items_precede_known_ones_by_score(
            items in prop::collection::vec((-2_i8..3).prop_map(f32::from), 2 * 30),
            users in prop::collection::vec((-2_i8..3).prop_map(f32::from), 2 * 6),
            user_items in prop::collection::vec(prop::collection::btree_set(0_u32..30, 0..=30), 6),
            len in 1_usize..=30,
        ) {
            let user_items: Vec<Vec<u32>> = user_items.into_iter().map(|items| items.into_iter().collect()).collect();
            let lists = best_new_items(&items, &users, 2, len, &user_items, Some(1)).unwrap();
            for (user, known) in user_items.iter().enumerate() {
                let score = |item: u32| score(&users[row(user, 2)], &items[row(item as usize, 2)]);
                let mut expected: Vec<u32> = (0..30).collect();
                expected.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
                expected.sort_by_key(|item| known.contains(item));
                prop_assert_eq!(&lists[row(user, len)], &expected[..len]);
            }
        }
    }
}
