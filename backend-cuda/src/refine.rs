//! The critic's choice among actions near the policy's: tile by tile of users, a candidate a turn.

use recsim_core::td3::AgentSpec;

use crate::agent::critics;
use crate::ffi::Machine;
use crate::ffi::kernels::{LONG, Site, TILE, WORD};
use crate::ffi::learning::{Considered, Kernels};
use crate::flat::{Flat, Group};
use crate::pass::{Input, Pass};
use crate::{Batch, CudaError, World, sources};

/// Room for a tile of users and their candidates.
pub(crate) struct Refine<M: Machine> {
    candidates: usize,
    recommend: M::Module,
    refine: M::Module,
    /// Into how many parts a catalogue is divided, at most.
    parts: usize,
    /// `[parts, tile, candidates]`: ranks, while items are searched for
    lists: M::Memory,
    /// `[tile, candidates]`
    near: M::Memory,
    /// `[tile, K + D + D]`: what the critic is asked
    input: M::Memory,
    /// `[tile]`
    best: M::Memory,
    critic: Pass<M>,
}

impl<M: Machine> Refine<M> {
    /// None for a spec that asks for no candidates.
    pub(crate) fn new(machine: &M, spec: &AgentSpec, flat: &Flat) -> Result<Option<Self>, CudaError> {
        let candidates = spec.candidates();
        if candidates == 0 {
            return Ok(None);
        }
        let (state, action, tile) = (spec.state_dim(), spec.action_dim(), machine.tile());
        // A slate of candidates and nothing else.
        let slate = ["LIST", "CHOSEN", "SHOWN"].map(|name| (name, candidates));
        let constants = [&[("K", state - action), ("D", action)][..], &slate].concat();
        let module = |unit| machine.module(unit, &sources::unit(unit), &constants);
        let parts = machine.blocks().div_ceil(tile.div_ceil(TILE)).max(1);
        Ok(Some(Self {
            candidates,
            recommend: module("recommend.cu")?,
            refine: module("refine.cu")?,
            parts,
            lists: machine.zeros("lists", parts * tile * candidates * LONG)?,
            near: machine.zeros("candidates", tile * candidates * WORD)?,
            input: machine.zeros("candidates", tile * (state + action) * WORD)?,
            best: machine.zeros("values", tile * WORD)?,
            critic: Pass::new(machine, &Group { nets: 1, ..critics(spec, flat) }, tile, false)?,
        }))
    }

    /// Replaces a batch's actions by those that the first critic values most.
    pub(crate) fn refine(
        &self,
        kernels: &Kernels<'_, M>,
        (spec, flat, weights): (&AgentSpec, &Flat, &M::Memory),
        world: &World<M>,
        batch: &Batch<M>,
    ) -> Result<(), CudaError> {
        let Self { candidates, near, input, best, .. } = self;
        let (count, tile) = (batch.users.len(), kernels.machine.tile());
        let critic = Group { nets: 1, ..critics(spec, flat) };
        let site = Site { chosen: *candidates, shown: *candidates, ..world.site(kernels.machine) };
        let parts = self.parts.min(world.shape.items.div_ceil(TILE));
        let asked = Input { table: input, first: 0, apart: spec.state_dim() + spec.action_dim() };
        let (state, action) = (&batch.state, &batch.action);
        for row in (0..count).step_by(tile) {
            let users = (row, tile.min(count - row));
            let catalogue = world.catalogue();
            site.recommend(&self.recommend, users, parts, action, &catalogue, &self.lists, near)?;
            for turn in 0..=*candidates {
                let considered =
                    Considered { module: &self.refine, spec, users, turn, candidates: *candidates, action, input };
                kernels.consider(&considered, state, near, &world.rows)?;
                self.critic.evaluate(kernels, &critic, weights, &asked)?;
                kernels.prefer(&considered, &critic, (self.critic.raw(), weights), best)?;
            }
        }
        Ok(())
    }
}
