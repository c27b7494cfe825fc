//! Pre-trained lists.

use anyhow::Result;
#[cfg(not(feature = "cpu"))]
use rayon::prelude::*;
use recsim_core::world::row;

/// For each of `users` (`[n, D]`) the `list` rows of `items` with the best `recsim_core::model::slate::score`, ties to the
/// lower index, best first: `[n, list]`.
#[cfg(feature = "cpu")]
pub(super) fn best_items(
    items: &[f32],
    users: &[f32],
    dimensions: usize,
    list: usize,
    threads: Option<usize>,
) -> Result<Vec<u32>> {
    Ok(recsim_backend_cpu::best_items(items, users, dimensions, list, threads)?)
}

/// The same without the CPU backend's search: every item is scored for every user.
#[cfg(not(feature = "cpu"))]
pub(super) fn best_items(
    items: &[f32],
    users: &[f32],
    dimensions: usize,
    list: usize,
    threads: Option<usize>,
) -> Result<Vec<u32>> {
    let lists = |users: &[f32]| recsim_core::world::brute_force_lists(items, users, dimensions, list);
    Ok(pool(threads)?.install(|| users.par_chunks(dimensions).flat_map_iter(lists).collect()))
}

/// Lists of items the user has not taken up, by score; where too few remain, the best of those taken up follow.
///
/// `taken[u]` holds the items of user `u`, ascending.
pub(super) fn best_new_items(
    items: &[f32],
    users: &[f32],
    dimensions: usize,
    list: usize,
    taken: &[Vec<u32>],
    threads: Option<usize>,
) -> Result<Vec<u32>> {
    let count = items.len() / dimensions;
    // Among a user's best `list + taken` items are `list` new ones. Users with about as many taken are searched
    // together, a bounded number at a time.
    let needed = |user: usize| (list + taken[user].len()).next_power_of_two().min(count);
    let mut order: Vec<usize> = (0..taken.len()).collect();
    order.sort_by_key(|&user| needed(user));
    let mut lists = vec![0; taken.len() * list];
    for alike in order.chunk_by(|&a, &b| needed(a) == needed(b)) {
        let needed = needed(alike[0]);
        for users_now in alike.chunks(SEARCHED_TOGETHER) {
            let queries: Vec<f32> =
                users_now.iter().flat_map(|&user| &users[row(user, dimensions)]).copied().collect();
            let best = best_items(items, &queries, dimensions, needed, threads)?;
            for (&user, best) in users_now.iter().zip(best.chunks_exact(needed)) {
                let is_taken = |item: &&u32| taken[user].binary_search(item).is_ok();
                let new = best.iter().filter(|item| !is_taken(item));
                let known = best.iter().filter(is_taken);
                for (place, &item) in lists[row(user, list)].iter_mut().zip(new.chain(known)) {
                    *place = item;
                }
            }
        }
    }
    Ok(lists)
}

/// A pool of `threads` threads; one for each core if not given.
pub(super) fn pool(threads: Option<usize>) -> Result<rayon::ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build()?)
}

const SEARCHED_TOGETHER: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use recsim_core::model::slate::score;

    use super::*;

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn new_items_come_by_score_and_then_the_known_ones(
            items in prop::collection::vec((-2_i8..3).prop_map(f32::from), 2 * 30),
            users in prop::collection::vec((-2_i8..3).prop_map(f32::from), 2 * 6),
            taken in prop::collection::vec(prop::collection::btree_set(0_u32..30, 0..=30), 6),
            list in 1_usize..=30,
        ) {
            let taken: Vec<Vec<u32>> = taken.into_iter().map(|items| items.into_iter().collect()).collect();
            let lists = best_new_items(&items, &users, 2, list, &taken, Some(1)).unwrap();
            for (user, taken) in taken.iter().enumerate() {
                let score = |item: u32| score(&users[row(user, 2)], &items[row(item as usize, 2)]);
                let mut expected: Vec<u32> = (0..30).collect();
                expected.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
                expected.sort_by_key(|item| taken.contains(item));
                prop_assert_eq!(&lists[row(user, list)], &expected[..list]);
            }
        }
    }
}
