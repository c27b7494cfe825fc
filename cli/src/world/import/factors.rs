//! Implicit-feedback matrix factorisation (Hu, Koren and Volinsky, 2008), by conjugate gradients.

use discorec::RecommenderBuilder;

/// The embeddings of users and of items, `[U, D]` and `[I, D]`, such that a user's inner product with an item is near 1
/// where the user has taken it up, and near 0 for the rest.
///
/// `taken[u]` holds the items of user `u`. Every user and every item must occur.
pub(super) fn factorise(taken: &[Vec<u32>], items: usize, dimensions: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let interactions =
        taken.iter().enumerate().flat_map(|(user, items)| items.iter().map(move |&item| (user as u32, item, 1.0)));
    let factors = u32::try_from(dimensions).expect("dimensions come from a u32");
    let model = RecommenderBuilder::new().factors(factors).iterations(ITERATIONS).seed(seed).fit_implicit(interactions);
    let users = 0..taken.len() as u32;
    let user_embedding = users.flat_map(|user| model.user_factors(&user).expect("every user has an item")).copied();
    let item_embedding =
        (0..items as u32).flat_map(|item| model.item_factors(&item).expect("every item has a user")).copied();
    (user_embedding.collect(), item_embedding.collect())
}

/// The alternations have settled by then.
const ITERATIONS: u32 = 20;
