//! A round by core's formulas, as plainly as possible: a sort, a fill and a step for each user.

use std::ops::Range;

use nalgebra::DVector;
use recsim_core::backend::RoundSnapshot;
use recsim_core::model::EnvironmentSpec;
use recsim_core::model::rng::Key;
use recsim_core::model::slate::{Similarity, fill_from_pretrained, normalize, score};
use recsim_core::model::user::step;
use recsim_core::world::{World, row};

/// The round of `users` with these beliefs, `[users, K]`, and actions, `[users, D]`.
pub(super) fn round(
    world: &World<'_>,
    environment: &EnvironmentSpec,
    users: Range<usize>,
    beliefs: &[f32],
    actions: &[f32],
    round: Key,
) -> RoundSnapshot {
    let (rows, dimensions) = (rows(world, environment), world.shape().dimensions);
    let slates: Vec<u32> = users
        .clone()
        .enumerate()
        .flat_map(|(n, user)| slate(&rows, &actions[row(n, dimensions)], environment, world.pretrained(user)))
        .collect();
    respond(world, environment, users, beliefs, actions, &slates, round)
}

/// The round of users that are shown given slates, `[users, slate_len]`.
pub(super) fn respond(
    world: &World<'_>,
    environment: &EnvironmentSpec,
    users: Range<usize>,
    beliefs: &[f32],
    actions: &[f32],
    slates: &[u32],
    round: Key,
) -> RoundSnapshot {
    let (shape, arrays) = (world.shape(), world.arrays());
    let items = |item: u32| (arrays.item_cluster[item as usize] as usize, arrays.item_distance[item as usize]);
    let target = DVector::from_column_slice(world.target());
    let mut snapshot = RoundSnapshot {
        users: users.clone(),
        action: actions.to_vec(),
        belief_before: beliefs.to_vec(),
        ..RoundSnapshot::default()
    };
    for (n, user) in users.enumerate() {
        let slate = &slates[row(n, environment.slate_len)];
        let mut belief = DVector::from_column_slice(&beliefs[row(n, shape.clusters)]);
        let (mut before, mut counts) = (belief.clone(), belief.clone());
        let mut accepted = vec![false; environment.slate_len];
        let reward = step(
            &environment.user_model,
            &target,
            &items,
            slate,
            &mut round.fold_in(user as u64),
            &mut belief,
            &mut before,
            &mut counts,
            &mut accepted,
        );
        snapshot.slate.extend(slate);
        snapshot.accepted.extend(accepted);
        snapshot.belief.extend(belief.iter());
        snapshot.reward.push(reward);
    }
    snapshot
}

/// The items' rows as they are scored, `[I, D]`.
pub(super) fn rows(world: &World<'_>, environment: &EnvironmentSpec) -> Vec<f32> {
    let mut rows = world.arrays().item_embedding.to_vec();
    if environment.similarity == Similarity::Cosine {
        rows.chunks_exact_mut(world.shape().dimensions).for_each(normalize);
    }
    rows
}

/// The slate for an action, `[slate_len]`.
fn slate(rows: &[f32], action: &[f32], environment: &EnvironmentSpec, pretrained: &[u32]) -> Vec<u32> {
    let mut order = best(rows, action, environment.rl_slots);
    order.resize(environment.slate_len, 0);
    fill_slate(order, environment.rl_slots, pretrained)
}

/// The `count` items with the highest scores for an action, best first, ties to the lower index.
pub(super) fn best(rows: &[f32], action: &[f32], count: usize) -> Vec<u32> {
    let scores: Vec<f32> = rows.chunks_exact(action.len()).map(|row| score(action, row)).collect();
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    let descending = |a: &u32, b: &u32| {
        scores[*b as usize].partial_cmp(&scores[*a as usize]).expect("scores of a valid world are numbers")
    };
    order.sort_by(descending);
    order.truncate(count);
    order
}

/// A slate whose first `num_selected` items are given, with the rest fill_slate from the pre-trained list.
pub(super) fn fill_slate(mut slate: Vec<u32>, num_selected: usize, pretrained: &[u32]) -> Vec<u32> {
    let filled = fill_from_pretrained(&mut slate, num_selected, pretrained);
    assert_eq!(filled, slate.len(), "a list is long enough to fill the slate");
    slate
}
