//! The agent's side on the CPU.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;
use recsim_core::backend::Learn;
use recsim_core::model::rng::Key;
use recsim_core::td3::{AgentSpec, AgentState, UpdateKeys, is_saturated, perturb};

use crate::elementary::tanh;
use crate::mlp::{self, Frozen, ROWS, vectorised};
use crate::noise::Noise;
use crate::refine::refine;
use crate::room::Room;
use crate::{Agent, Batch, Cpu, CpuError, Replay, World};

impl Learn for Cpu {
    fn load_agent(&mut self, spec: &AgentSpec, state: &AgentState) -> Result<Agent, CpuError> {
        Ok(Agent::new(self.processor, spec, state))
    }

    fn act(&mut self, agent: &Agent, batch: &mut Batch, exploration: Option<Key>) -> Result<(), CpuError> {
        let Room { state, action, .. } = self.rooms.enter(batch)?;
        batch.components = action.len() as u64;
        batch.saturated = self.pool.install(|| act(agent, &batch.users, state, action, exploration));
        Ok(())
    }

    fn rerank(&mut self, world: &World, agent: &Agent, batch: &mut Batch) -> Result<(), CpuError> {
        if agent.spec.candidates() == 0 {
            return Ok(());
        }
        let Room { state, action, .. } = self.rooms.enter(batch)?;
        batch.finite(action)?;
        self.pool.install(|| refine(world, agent, state, action));
        Ok(())
    }

    fn update(
        &mut self,
        world: &World,
        replay: &Replay,
        agent: &mut Agent,
        keys: &UpdateKeys,
        with_policy: bool,
    ) -> Result<(), CpuError> {
        self.pool.install(|| {
            agent.update_critics(world, replay, keys)?;
            if with_policy { agent.update_policy(keys) } else { Ok(()) }
        })
    }
}

/// Fills the actions of `users` and counts the saturated components. Nobody's action depends on who else is in his tile.
fn act(agent: &Agent, users: &Range<usize>, state: &[f32], action: &mut [f32], exploration: Option<Key>) -> u64 {
    let (width, dimensions) = (agent.spec.state_dim(), agent.spec.action_dim());
    // Before the threads part, so that none waits for another.
    let actor = Actor { arch: agent.processor.arch, spec: &agent.spec, network: agent.actor().frozen() };
    let tiles = state.par_chunks(ROWS * width).zip(action.par_chunks_mut(ROWS * dimensions)).enumerate();
    let beyond = tiles.map_init(<(mlp::Room, Noise)>::default, |(room, noise), (tile, (state, action))| {
        let noise = exploration.map(|key| (key, &mut *noise));
        actor.act(users.start + tile * ROWS, state, action, room, noise)
    });
    beyond.sum()
}

struct Actor<'a> {
    arch: Arch,
    spec: &'a AgentSpec,
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
        let Self { arch, spec, network } = *self;
        let max_action = spec.max_action as f32;
        let rows = state.len() / spec.state_dim();
        room.input(network, rows).copy_from_slice(state);
        action.copy_from_slice(room.evaluate(network, rows));
        let beyond = vectorised(
            arch,
            #[inline(always)]
            || {
                let mut beyond = 0;
                for action in &mut *action {
                    *action = tanh(*action) * max_action;
                    beyond += u32::from(is_saturated(*action, max_action));
                }
                beyond
            },
        );
        if let Some((key, noise)) = noise {
            let deviation = (spec.td3.exploration_noise * spec.max_action) as f32;
            let disturb = |action, noise: f32| perturb(action, noise * deviation, max_action);
            noise.add(arch, key, first..first + rows, action, disturb);
        }
        u64::from(beyond)
    }
}
