//! A round as core's formulas have it, with no haste and no cleverness: a sort, a fill and a step for each user.

use std::ops::Range;

use nalgebra::DVector;
use recsim_core::backend::RoundSnapshot;
use recsim_core::model::EnvironmentSpec;
use recsim_core::model::rng::Key;
use recsim_core::model::slate::{Similarity, fill_from_pretrained, normalize, score};
use recsim_core::model::user::step;
use recsim_core::world::{World, row};

/// What a round makes of `users` with these beliefs (`[users, K]`) and actions (`[users, D]`).
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

/// The same with slates (`[users, shown]`) that somebody else chose.
pub(super) fn respond(
    world: &World<'_>,
    environment: &EnvironmentSpec,
    users: Range<usize>,
    beliefs: &[f32],
    actions: &[f32],
    slates: &[u32],
    round: Key,
) -> RoundSnapshot {
    let (shape, parts) = (world.shape(), world.arrays());
    let items = |item: u32| (parts.item_cluster[item as usize] as usize, parts.item_distance[item as usize]);
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

/// Items' rows as they are scored, `[I, D]`.
pub(super) fn rows(world: &World<'_>, environment: &EnvironmentSpec) -> Vec<f32> {
    let mut rows = world.arrays().item_embedding.to_vec();
    if environment.similarity == Similarity::Cosine {
        rows.chunks_exact_mut(world.shape().dimensions).for_each(normalize);
    }
    rows
}

fn slate(rows: &[f32], action: &[f32], environment: &EnvironmentSpec, list: &[u32]) -> Vec<u32> {
    let mut order = best(rows, action, environment.rl_slots);
    order.resize(environment.slate_len, 0);
    filled(order, environment.rl_slots, list)
}

/// The items with the best scores for an action, best first.
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

/// A slate whose first `chosen` places are taken, filled from the list.
pub(super) fn filled(mut slate: Vec<u32>, chosen: usize, list: &[u32]) -> Vec<u32> {
    let filled = fill_from_pretrained(&mut slate, chosen, list);
    assert_eq!(filled, slate.len(), "a list is long enough to fill the slate");
    slate
}
