//! The kernels of `refine.cu`.

use recsim_core::td3::AgentSpec;

use super::{Kernels, word};
use crate::CudaError;
use crate::ffi::Machine;
use crate::flat::Group;

/// What is considered at a turn.
pub(crate) struct Considered<'a, M: Machine> {
    pub(crate) module: &'a M::Module,
    pub(crate) spec: &'a AgentSpec,
    /// The first user's row in the batch, and how many there are.
    pub(crate) users: (usize, usize),
    pub(crate) turn: usize,
    pub(crate) candidates: usize,
    /// `[batch, D]`
    pub(crate) action: &'a M::Memory,
    /// `[users, K + D + D]`
    pub(crate) input: &'a M::Memory,
}

impl<M: Machine> Kernels<'_, M> {
    /// Lays out what the critic is asked: of users in these states (`[batch, K + D]`) with these candidates (`[users,
    /// candidates]`), items of a world whose rows are `rows`.
    pub(crate) fn consider(
        &self,
        considered: &Considered<'_, M>,
        state: &M::Memory,
        near: &M::Memory,
        rows: &M::Memory,
    ) -> Result<(), CudaError> {
        let &Considered { module, spec, users: (row, count), turn, candidates, action, input } = considered;
        let (width, dimensions) = (spec.state_dim(), spec.action_dim());
        assert!(turn <= candidates, "a candidate that there is");
        let arguments: [&[u8]; 8] = [
            &word(count),
            &word(turn),
            &self.numbers(state, row * width, count * width),
            &self.numbers(action, row * dimensions, count * dimensions),
            &self.numbers(near, 0, count * candidates),
            &self.bytes(rows, self.machine.length(rows)),
            &(spec.max_action as f32).to_ne_bytes(),
            &self.numbers(input, 0, count * (width + dimensions)),
        ];
        // SAFETY: `refine.cu`'s arguments; every place lies in its table, as `numbers` has seen, and candidates are items
        // that were found among `rows`.
        unsafe { self.machine.launch(module, "consider", count.div_ceil(256), 256, &arguments) }
    }

    /// Takes over what was considered, where its value, the critic's `raw` output with the bias among `weights`, is greater
    /// than the `best` so far (`[users]`).
    pub(crate) fn prefer(
        &self,
        considered: &Considered<'_, M>,
        critic: &Group<'_>,
        (raw, weights): (&M::Memory, &M::Memory),
        best: &M::Memory,
    ) -> Result<(), CudaError> {
        let &Considered { module, spec, users: (row, count), turn, action, input, .. } = considered;
        let (width, dimensions) = (spec.state_dim(), spec.action_dim());
        let arguments: [&[u8]; 7] = [
            &word(count),
            &word(turn),
            &self.numbers(raw, 0, count),
            &self.bias(critic, weights),
            &self.numbers(input, 0, count * (width + dimensions)),
            &self.numbers(best, 0, count),
            &self.numbers(action, row * dimensions, count * dimensions),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(module, "prefer", count.div_ceil(256), 256, &arguments) }
    }
}
