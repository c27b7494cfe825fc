//! The agent's side on the CPU.

use std::array;
use std::ops::Range;

use rayon::prelude::*;
use recsim_core::backend::Learn;
use recsim_core::rng::Key;
use recsim_core::td3::{AgentState, Learner, UpdateKeys, perturb, saturated};

use crate::elementary::{normal_pairs, tanh};
use crate::mlp::{self, ROWS, vectorised};
use crate::room::Room;
use crate::{Agent, Batch, Cpu, CpuError, Replay, World};

impl Learn for Cpu {
    fn agent(&mut self, learner: &Learner, state: &AgentState) -> Result<Agent, CpuError> {
        Ok(Agent::new(self.arch, learner, state))
    }

    fn act(&mut self, agent: &Agent, batch: &mut Batch, exploration: Option<Key>) -> Result<(), CpuError> {
        let Room { state, action, .. } = self.rooms.enter(batch)?;
        batch.components = action.len() as u64;
        batch.saturated = self.pool.install(|| act(agent, &batch.users, state, action, exploration));
        Ok(())
    }

    fn improve_critics(
        &mut self,
        world: &World,
        replay: &Replay,
        agent: &mut Agent,
        keys: &UpdateKeys,
    ) -> Result<(), CpuError> {
        self.pool.install(|| agent.improve_critics(world, replay, keys))
    }

    fn improve_policy(&mut self, agent: &mut Agent, keys: &UpdateKeys) -> Result<(), CpuError> {
        self.pool.install(|| agent.improve_policy(keys))
    }
}

/// Fills the actions of `users` and counts the saturated components.
///
/// Matrix libraries choose their instructions by shape and place, and with them the last bit. So users go through the
/// network in tiles of [`ROWS`] that begin at multiples of [`ROWS`] *in the world*: a user has one place in one tile,
/// whoever else is in the batch, and absent neighbours leave zeros or old numbers in theirs.
fn act(agent: &Agent, users: &Range<usize>, state: &[f32], action: &mut [f32], exploration: Option<Key>) -> u64 {
    let (width, dimensions) = (agent.learner.state(), agent.learner.action());
    let head = (users.start.next_multiple_of(ROWS) - users.start).min(users.len());
    let (first_state, state) = state.split_at(head * width);
    let (first_action, action) = action.split_at_mut(head * dimensions);
    let tiles = state.par_chunks(ROWS * width).zip(action.par_chunks_mut(ROWS * dimensions)).enumerate();
    let tiles = tiles.map(|(tile, (state, action))| (users.start + head + tile * ROWS, state, action));
    rayon::iter::once((users.start, first_state, first_action))
        .chain(tiles)
        .map_init(
            || mlp::Room::new(agent.arch),
            |room, (first, state, action)| act_on_tile(agent, first, state, action, exploration, room),
        )
        .sum()
}

/// `first` is the tile's first user; tables are row-major, as a batch keeps them.
fn act_on_tile(
    agent: &Agent,
    first: usize,
    state: &[f32],
    action: &mut [f32],
    exploration: Option<Key>,
    room: &mut mlp::Room,
) -> u64 {
    if action.is_empty() {
        return 0;
    }
    let (learner, actor) = (&agent.learner, agent.actor());
    let (max_action, deviation) =
        (learner.max_action as f32, (learner.exploration_noise * learner.max_action) as f32);
    let place = first % ROWS;
    let input = room.input(&actor.layout, ROWS);
    for (n, state) in state.chunks_exact(learner.state()).enumerate() {
        for (input, &feature) in input[place + n..].iter_mut().step_by(ROWS).zip(state) {
            *input = feature;
        }
    }
    let output = room.evaluate(&actor.layout, &actor.weights, ROWS);
    let width = learner.action();
    let users = action.len() / width;
    let keys: [Option<Key>; ROWS] = array::from_fn(|n| exploration.map(|key| key.with((first + n) as u64)));
    let (mut bits, mut noise, mut component) = ([0; ROWS], [[0.0; ROWS]; 2], [0.0; ROWS]);
    let mut beyond = 0;
    for column in 0..width {
        if column % 2 == 0 && exploration.is_some() {
            for (bits, key) in bits.iter_mut().zip(keys.iter().flatten()) {
                *bits = key.with((column / 2) as u64).bits();
            }
            vectorised(
                agent.arch,
                #[inline(always)]
                || normal_pairs(&bits, noise.each_mut().map(|row| &mut row[..])),
            );
        }
        let (raw, noise) = (&output[column * ROWS + place..][..users], &noise[column % 2]);
        beyond += vectorised(
            agent.arch,
            #[inline(always)]
            || {
                let mut beyond = 0;
                for ((component, &raw), &noise) in component.iter_mut().zip(raw).zip(noise) {
                    *component = tanh(raw) * max_action;
                    beyond += u32::from(saturated(*component, max_action));
                    if exploration.is_some() {
                        *component = perturb(*component, noise * deviation, max_action);
                    }
                }
                beyond
            },
        );
        for (row, &component) in action.chunks_exact_mut(width).zip(&component) {
            row[column] = component;
        }
    }
    u64::from(beyond)
}
