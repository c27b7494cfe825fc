//! Critic re-ranking on the device: the critic selects among the policy's action and actions toward items near it.

use recsim_core::td3::AgentSpec;

use crate::ffi::Device;
use crate::ffi::learning::{CandidateCall, LearningKernels};
use crate::ffi::simulation::{LONG_BYTES, SEARCH_TILE, SimulationKernels, WORD_BYTES};
use crate::packed::{NetworkGroup, PackedLayout};
use crate::pass::{InputRows, MlpPass};
use crate::{Batch, CudaError, World, sources};

/// The kernels of re-ranking, and buffers for a tile of users and their candidates.
pub(crate) struct Reranker<D: Device> {
    num_candidates: usize,
    recommend: D::Module,
    rerank: D::Module,
    /// Maximum number of parts into which the search splits the catalogue.
    max_parts: usize,
    /// `[max_parts, tile_rows, num_candidates]`: ranks, scratch of the search
    lists: D::DeviceBuffer,
    /// `[tile_rows, num_candidates]`
    candidate_items: D::DeviceBuffer,
    /// `[tile_rows, K + D + D]`: the critic's input
    input: D::DeviceBuffer,
    /// `[tile_rows]`: the best value so far
    best: D::DeviceBuffer,
    critic: MlpPass<D>,
}

impl<D: Device> Reranker<D> {
    /// Returns `None` for a spec without candidates.
    ///
    /// # Errors
    /// The kernels cannot be compiled, or the device has no memory.
    pub(crate) fn new(device: &D, spec: &AgentSpec, packed: &PackedLayout) -> Result<Option<Self>, CudaError> {
        let num_candidates = spec.candidates();
        if num_candidates == 0 {
            return Ok(None);
        }
        let (state_dim, action_dim, tile_rows) = (spec.state_dim(), spec.action_dim(), device.tile_rows());
        // The search fills slates that consist of the candidates.
        let slate = ["PRETRAINED_LEN", "RL_SLOTS", "SLATE_LEN"].map(|name| (name, num_candidates));
        let constants = [&[("K", state_dim - action_dim), ("D", action_dim)][..], &slate].concat();
        let module = |unit| device.load_module(unit, &sources::unit_source(unit), &constants);
        let max_parts = device.concurrent_blocks().div_ceil(tile_rows.div_ceil(SEARCH_TILE)).max(1);
        let input_len = tile_rows * (state_dim + action_dim);
        Ok(Some(Self {
            num_candidates,
            recommend: module("recommend.cu")?,
            rerank: module("rerank.cu")?,
            max_parts,
            lists: device.alloc_zeros("search lists", max_parts * tile_rows * num_candidates * LONG_BYTES)?,
            candidate_items: device.alloc_zeros("candidates", tile_rows * num_candidates * WORD_BYTES)?,
            input: device.alloc_zeros("candidates", input_len * WORD_BYTES)?,
            best: device.alloc_zeros("candidates' values", tile_rows * WORD_BYTES)?,
            critic: MlpPass::new(device, &NetworkGroup::first_critic(spec, packed), tile_rows, false)?,
        }))
    }

    /// Replaces each action of a batch by the candidate with the highest value of the first critic.
    ///
    /// # Errors
    /// A launch fails.
    pub(crate) fn rerank(
        &self,
        kernels: &LearningKernels<'_, D>,
        (spec, packed, weights): (&AgentSpec, &PackedLayout, &D::DeviceBuffer),
        world: &World<D>,
        batch: &Batch<D>,
    ) -> Result<(), CudaError> {
        let Self { num_candidates, candidate_items, input, best, .. } = self;
        let (count, tile_rows) = (batch.users.len(), kernels.device.tile_rows());
        let critic = NetworkGroup::first_critic(spec, packed);
        let search = SimulationKernels {
            rl_slots: *num_candidates,
            slate_len: *num_candidates,
            ..world.kernels(kernels.device)
        };
        let num_parts = self.max_parts.min(world.shape.items.div_ceil(SEARCH_TILE));
        let critic_input = InputRows { buffer: input, offset: 0, row_stride: spec.state_dim() + spec.action_dim() };
        let (state, action) = (&batch.state, &batch.action);
        for row in (0..count).step_by(tile_rows) {
            let users = (row, tile_rows.min(count - row));
            let items = world.item_matrix();
            search.recommend(&self.recommend, users, num_parts, action, &items, &self.lists, candidate_items)?;
            for candidate in 0..=*num_candidates {
                let call = CandidateCall {
                    module: &self.rerank,
                    spec,
                    users,
                    candidate,
                    num_candidates: *num_candidates,
                    action,
                    input,
                };
                kernels.gather_candidates(&call, state, candidate_items, &world.rows)?;
                self.critic.forward_eval(kernels, &critic, weights, &critic_input)?;
                kernels.select_candidate(&call, &critic, (self.critic.pre_bias(), weights), best)?;
            }
        }
        Ok(())
    }
}
