//! The agent's side on the CPU.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;
use recsim_core::backend::Learn;
use recsim_core::model::rng::Key;
use recsim_core::td3::{AgentState, Learner, UpdateKeys, perturb, saturated};

use crate::elementary::tanh;
use crate::mlp::{self, Frozen, ROWS, vectorised};
use crate::noise::Noise;
use crate::refine::refine;
use crate::room::Room;
use crate::{Agent, Batch, Cpu, CpuError, Replay, World};

impl Learn for Cpu {
    fn agent(&mut self, learner: &Learner, state: &AgentState) -> Result<Agent, CpuError> {
        Ok(Agent::new(self.processor, learner, state))
    }

    fn act(&mut self, agent: &Agent, batch: &mut Batch, exploration: Option<Key>) -> Result<(), CpuError> {
        let Room { state, action, .. } = self.rooms.enter(batch)?;
        batch.components = action.len() as u64;
        batch.saturated = self.pool.install(|| act(agent, &batch.users, state, action, exploration));
        Ok(())
    }

    fn refine(&mut self, world: &World, agent: &Agent, batch: &mut Batch) -> Result<(), CpuError> {
        if agent.learner.candidates == 0 {
            return Ok(());
        }
        let Room { state, action, .. } = self.rooms.enter(batch)?;
        batch.finite(action)?;
        self.pool.install(|| refine(world, agent, state, action));
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

/// Fills the actions of `users` and counts the saturated components. Nobody's action depends on who else is in his tile.
fn act(agent: &Agent, users: &Range<usize>, state: &[f32], action: &mut [f32], exploration: Option<Key>) -> u64 {
    let (width, dimensions) = (agent.learner.state(), agent.learner.action());
    // Before the threads part, so that none waits for another.
    let actor = Actor { arch: agent.processor.arch, learner: &agent.learner, network: agent.actor().frozen() };
    let tiles = state.par_chunks(ROWS * width).zip(action.par_chunks_mut(ROWS * dimensions)).enumerate();
    let beyond = tiles.map_init(<(mlp::Room, Noise)>::default, |(room, noise), (tile, (state, action))| {
        let noise = exploration.map(|key| (key, &mut *noise));
        actor.act(users.start + tile * ROWS, state, action, room, noise)
    });
    beyond.sum()
}

struct Actor<'a> {
    arch: Arch,
    learner: &'a Learner,
    network: &'a Frozen,
}

impl Actor<'_> {
    /// Acts for a tile of users of whom the first is `first`, and counts as [`act`] does; tables are row-major, as a batch
    /// keeps them.
    fn act(
        &self,
        first: usize,
        state: &[f32],
        action: &mut [f32],
        room: &mut mlp::Room,
        noise: Option<(Key, &mut Noise)>,
    ) -> u64 {
        let Self { arch, learner, network } = *self;
        let max_action = learner.max_action as f32;
        let rows = state.len() / learner.state();
        room.input(network, rows).copy_from_slice(state);
        action.copy_from_slice(room.evaluate(network, rows));
        let beyond = vectorised(
            arch,
            #[inline(always)]
            || {
                let mut beyond = 0;
                for action in &mut *action {
                    *action = tanh(*action) * max_action;
                    beyond += u32::from(saturated(*action, max_action));
                }
                beyond
            },
        );
        if let Some((key, noise)) = noise {
            let deviation = (learner.exploration_noise * learner.max_action) as f32;
            let disturb = |action, noise: f32| perturb(action, noise * deviation, max_action);
            noise.add(arch, key, first..first + rows, action, disturb);
        }
        u64::from(beyond)
    }
}
