//! The critic's choice among actions near the policy's.

use rayon::prelude::*;
use recsim_core::td3::explore::action_toward;

use crate::mlp::Room;
use crate::search::TILE;
use crate::{Agent, World};

/// Replaces the actions of users (`[users, D]`) in these states (`[users, K + D]`) by those that the first critic values most.
pub(crate) fn refine(world: &World, agent: &Agent, state: &[f32], action: &mut [f32]) {
    let (width, dimensions) = (agent.spec.state_dim(), agent.spec.action_dim());
    // Before the threads part, so that none waits for another.
    agent.critic().frozen();
    let tiles = state.par_chunks(TILE * width).zip(action.par_chunks_mut(TILE * dimensions));
    tiles.for_each_init(Room::default, |room, (state, action)| refine_tile(world, agent, state, action, room));
}

fn refine_tile(world: &World, agent: &Agent, state: &[f32], action: &mut [f32], room: &mut Room) {
    let (width, dimensions) = (agent.spec.state_dim(), agent.spec.action_dim());
    let (users, candidates) = (action.len() / dimensions, agent.spec.candidates());
    let (critic, max_action) = (agent.critic().frozen(), agent.spec.max_action as f32);
    let mut near = vec![0; users * candidates];
    world.catalogue.best(action, &mut near, candidates, candidates);
    let mut row = vec![0.0; dimensions];
    let mut aim_at = |user: usize, place: usize, action: &mut [f32]| {
        world.catalogue.row(near[user * candidates + place] as usize, &mut row);
        action_toward(&row, max_action, action);
    };
    // Each user's best value so far, and the place of the item that it is for.
    let mut best: Vec<(f32, Option<usize>)> = vec![];
    for turn in 0..=candidates {
        let inputs = room.input(critic, users).chunks_exact_mut(width + dimensions);
        let known = state.chunks_exact(width).zip(action.chunks_exact(dimensions));
        for (user, (input, (state, action))) in inputs.zip(known).enumerate() {
            let (to_state, to_action) = input.split_at_mut(width);
            to_state.copy_from_slice(state);
            match turn.checked_sub(1) {
                None => to_action.copy_from_slice(action),
                Some(place) => aim_at(user, place, to_action),
            }
        }
        let values = room.evaluate(critic, users).iter().copied();
        match turn.checked_sub(1) {
            None => best = values.map(|value| (value, None)).collect(),
            Some(place) => {
                let better = best.iter_mut().zip(values).filter(|(best, value)| *value > best.0);
                better.for_each(|(best, value)| *best = (value, Some(place)));
            }
        }
    }
    for (user, (action, (_, place))) in action.chunks_exact_mut(dimensions).zip(best).enumerate() {
        if let Some(place) = place {
            aim_at(user, place, action);
        }
    }
}
