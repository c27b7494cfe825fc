//! The kernels of `rerank.cu`.

use recsim_core::td3::AgentSpec;

use super::{LearningKernels, u32_bytes};
use crate::CudaError;
use crate::ffi::Device;
use crate::packed::NetworkGroup;

/// One candidate of each user of a tile.
pub(crate) struct CandidateCall<'a, D: Device> {
    pub(crate) module: &'a D::Module,
    pub(crate) spec: &'a AgentSpec,
    /// The first user's row in the batch, and the number of users.
    pub(crate) users: (usize, usize),
    /// 0 is the policy's action, `i` the action toward the user's item number `i - 1`.
    pub(crate) candidate: usize,
    pub(crate) num_candidates: usize,
    /// `[batch, D]`
    pub(crate) action: &'a D::DeviceBuffer,
    /// `[users, K + D + D]`
    pub(crate) input: &'a D::DeviceBuffer,
}

impl<D: Device> LearningKernels<'_, D> {
    /// Lays out the critic's input for one candidate of each user. `state` is `[batch, K + D]`, `candidate_items` is
    /// `[users, num_candidates]`: items of the world with these `rows`.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn gather_candidates(
        &self,
        call: &CandidateCall<'_, D>,
        state: &D::DeviceBuffer,
        candidate_items: &D::DeviceBuffer,
        rows: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let &CandidateCall { module, spec, users: (row, count), candidate, num_candidates, action, input } = call;
        let (state_dim, action_dim) = (spec.state_dim(), spec.action_dim());
        assert!(candidate <= num_candidates, "a candidate that exists");
        let arguments: [&[u8]; 8] = [
            &u32_bytes(count),
            &u32_bytes(candidate),
            &self.elements(state, row * state_dim, count * state_dim),
            &self.elements(action, row * action_dim, count * action_dim),
            &self.elements(candidate_items, 0, count * num_candidates),
            &self.bytes(rows, self.device.buffer_len(rows)),
            &(spec.max_action as f32).to_ne_bytes(),
            &self.elements(input, 0, count * (state_dim + action_dim)),
        ];
        // SAFETY: `rerank.cu`'s arguments; all accesses are within the buffers, as `elements` checks, and candidates
        // are items found among `rows`.
        unsafe { self.device.launch_kernel(module, "gather_candidates", count.div_ceil(256), 256, &arguments) }
    }

    /// Replaces the action of each user for whom the candidate's value exceeds `best` (`[users]`). The value is the
    /// critic's `pre_bias` plus its bias in `weights`.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn select_candidate(
        &self,
        call: &CandidateCall<'_, D>,
        critic: &NetworkGroup<'_>,
        (pre_bias, weights): (&D::DeviceBuffer, &D::DeviceBuffer),
        best: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let &CandidateCall { module, spec, users: (row, count), candidate, action, input, .. } = call;
        let (state_dim, action_dim) = (spec.state_dim(), spec.action_dim());
        let arguments: [&[u8]; 7] = [
            &u32_bytes(count),
            &u32_bytes(candidate),
            &self.elements(pre_bias, 0, count),
            &self.last_bias(critic, weights),
            &self.elements(input, 0, count * (state_dim + action_dim)),
            &self.elements(best, 0, count),
            &self.elements(action, row * action_dim, count * action_dim),
        ];
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(module, "select_candidate", count.div_ceil(256), 256, &arguments) }
    }
}
