//! The learning side on the CPU: act, re-rank, update.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;
use recsim_core::backend::Learn;
use recsim_core::model::rng::Key;
use recsim_core::td3::{AgentSpec, AgentState, UpdateKeys, is_saturated, perturb};

use crate::elementary::tanh;
use crate::mlp::{ACT_TILE, InferenceScratch, InferenceWeights, vectorized};
use crate::noise::Noise;
use crate::rerank::rerank;
use crate::scratch::RoundScratch;
use crate::{Agent, Batch, Cpu, CpuError, Replay, World};

impl Learn for Cpu {
    fn load_agent(&mut self, spec: &AgentSpec, state: &AgentState) -> Result<Agent, CpuError> {
        Ok(Agent::new(self.processor, spec, state))
    }

    fn act(&mut self, agent: &Agent, batch: &mut Batch, exploration: Option<Key>) -> Result<(), CpuError> {
        let RoundScratch { state, action, .. } = self.scratch.acquire(batch)?;
        batch.components = action.len() as u64;
        batch.saturated = self.pool.install(|| act(agent, &batch.users, state, action, exploration));
        Ok(())
    }

    fn rerank(&mut self, world: &World, agent: &Agent, batch: &mut Batch) -> Result<(), CpuError> {
        if agent.spec.candidates() == 0 {
            return Ok(());
        }
        let RoundScratch { state, action, .. } = self.scratch.acquire(batch)?;
        batch.check_finite(action)?;
        self.pool.install(|| rerank(world, agent, state, action));
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
        self.pool.install(|| agent.update(world, replay, keys, with_policy))
    }
}

/// Computes the actions of `users` and returns the number of saturated components. A user's action does not depend on
/// the other users in its tile.
fn act(agent: &Agent, users: &Range<usize>, state: &[f32], action: &mut [f32], exploration: Option<Key>) -> u64 {
    let (width, dimensions) = (agent.spec.state_dim(), agent.spec.action_dim());
    // Built before the parallel loop, so that no thread waits for another to build it.
    let actor =
        TileActor { arch: agent.processor.arch, spec: &agent.spec, network: agent.actor().inference_weights() };
    let tiles = state.par_chunks(ACT_TILE * width).zip(action.par_chunks_mut(ACT_TILE * dimensions)).enumerate();
    let saturated =
        tiles.map_init(<(InferenceScratch, Noise)>::default, |(scratch, noise), (tile, (state, action))| {
            let noise = exploration.map(|key| (key, &mut *noise));
            actor.act(users.start + tile * ACT_TILE, state, action, scratch, noise)
        });
    saturated.sum()
}

struct TileActor<'a> {
    arch: Arch,
    spec: &'a AgentSpec,
    network: &'a InferenceWeights,
}

impl TileActor<'_> {
    /// Acts for a tile of users, of whom the first is `first_user`; arrays are row-major, `[users, K + D]` and `[users,
    /// D]`. Returns the number of saturated components.
    fn act(
        &self,
        first_user: usize,
        state: &[f32],
        action: &mut [f32],
        scratch: &mut InferenceScratch,
        noise: Option<(Key, &mut Noise)>,
    ) -> u64 {
        let Self { arch, spec, network } = *self;
        let max_action = spec.max_action as f32;
        let rows = state.len() / spec.state_dim();
        scratch.input(network, rows).copy_from_slice(state);
        action.copy_from_slice(scratch.evaluate(network, rows));
        let saturated = vectorized(
            arch,
            #[inline(always)]
            || {
                let mut saturated = 0;
                for action in &mut *action {
                    *action = tanh(*action) * max_action;
                    saturated += u32::from(is_saturated(*action, max_action));
                }
                saturated
            },
        );
        if let Some((key, noise)) = noise {
            let std_dev = (spec.td3.exploration_noise * spec.max_action) as f32;
            let add_noise = |action, noise: f32| perturb(action, noise * std_dev, max_action);
            noise.add(arch, key, first_user..first_user + rows, action, add_noise);
        }
        u64::from(saturated)
    }
}
