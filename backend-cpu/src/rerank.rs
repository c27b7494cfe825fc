//! Critic re-ranking (Wolpertinger): the critic's choice among actions near the policy's.

use rayon::prelude::*;
use recsim_core::td3::explore::action_toward;

use crate::mlp::InferenceScratch;
use crate::search::TILE;
use crate::{Agent, World};

/// Replaces the actions of users, `[users, D]`, in these states, `[users, K + D]`, by the candidates with the highest
/// value of the first critic. A user's candidates are the policy's own action and the actions toward the items nearest
/// to it.
pub(crate) fn rerank(world: &World, agent: &Agent, state: &[f32], action: &mut [f32]) {
    let (width, dimensions) = (agent.spec.state_dim(), agent.spec.action_dim());
    // Built before the parallel loop, so that no thread waits for another to build it.
    agent.critic().inference_weights();
    let tiles = state.par_chunks(TILE * width).zip(action.par_chunks_mut(TILE * dimensions));
    tiles.for_each_init(InferenceScratch::default, |scratch, (state, action)| {
        rerank_tile(world, agent, state, action, scratch);
    });
}

fn rerank_tile(world: &World, agent: &Agent, state: &[f32], action: &mut [f32], scratch: &mut InferenceScratch) {
    let (width, dimensions) = (agent.spec.state_dim(), agent.spec.action_dim());
    let (users, candidates) = (action.len() / dimensions, agent.spec.candidates());
    let (critic, max_action) = (agent.critic().inference_weights(), agent.spec.max_action as f32);
    let mut nearest = vec![0; users * candidates];
    world.search_index.top_k(action, &mut nearest, candidates, candidates);
    let mut row = vec![0.0; dimensions];
    let mut toward = |user: usize, index: usize, action: &mut [f32]| {
        world.search_index.row(nearest[user * candidates + index] as usize, &mut row);
        action_toward(&row, max_action, action);
    };
    // Each user's highest value so far, and the index of its candidate; `None` is the policy's action. Ties keep the
    // earlier candidate.
    let mut best: Vec<(f32, Option<usize>)> = vec![];
    for candidate in 0..=candidates {
        let inputs = scratch.input(critic, users).chunks_exact_mut(width + dimensions);
        let policy_inputs = state.chunks_exact(width).zip(action.chunks_exact(dimensions));
        for (user, (input, (state, action))) in inputs.zip(policy_inputs).enumerate() {
            let (input_state, input_action) = input.split_at_mut(width);
            input_state.copy_from_slice(state);
            match candidate.checked_sub(1) {
                None => input_action.copy_from_slice(action),
                Some(index) => toward(user, index, input_action),
            }
        }
        let values = scratch.evaluate(critic, users).iter().copied();
        match candidate.checked_sub(1) {
            None => best = values.map(|value| (value, None)).collect(),
            Some(index) => {
                let improved = best.iter_mut().zip(values).filter(|(best, value)| *value > best.0);
                improved.for_each(|(best, value)| *best = (value, Some(index)));
            }
        }
    }
    for (user, (action, (_, index))) in action.chunks_exact_mut(dimensions).zip(best).enumerate() {
        if let Some(index) = index {
            toward(user, index, action);
        }
    }
}
