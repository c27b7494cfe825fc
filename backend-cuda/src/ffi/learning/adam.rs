//! The kernels of `adam.cu`.

use recsim_core::td3::adam::AdamStep;
use recsim_core::td3::{AgentSpec, UpdateKeys};

use super::{Kernels, REPORT, UPDATE, long, word};
use crate::CudaError;
use crate::ffi::Machine;
use crate::ffi::kernels::{LONG, WORD};
use crate::flat::Group;

impl<M: Machine> Kernels<'_, M> {
    /// Tells the kernels of an update what changes from one to the next. `held` transitions can be sampled.
    pub(crate) fn tell(
        &self,
        keys: &UpdateKeys,
        held: usize,
        step: &AdamStep<f32>,
        update: &M::Memory,
    ) -> Result<(), CudaError> {
        let mut now = Vec::with_capacity(UPDATE);
        for key in [keys.sample, keys.noise, keys.dropout] {
            now.extend(key.bits().to_ne_bytes());
        }
        now.extend(long(held));
        now.extend(step.step_size.to_ne_bytes());
        now.extend(step.sqrt_bias_correction2.to_ne_bytes());
        let arguments: [&[u8]; 2] = [&now, &self.bytes(update, UPDATE)];
        // SAFETY: `adam.cu`'s arguments; every place lies in its table, as the functions here have seen.
        unsafe { self.machine.launch(self.adam, "tell", 1, 32, &arguments) }
    }

    /// The norm of a group's gradient, added to the report, and what it is to be multiplied by.
    pub(crate) fn measure(
        &self,
        spec: &AgentSpec,
        group: &Group<'_>,
        (gradient, report): (&M::Memory, &M::Memory),
        (partial, done): (&M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let count = group.parameters().len();
        let blocks = self.threads(count);
        let arguments: [&[u8]; 7] = [
            &self.range(gradient, group.parameters()),
            &long(count),
            &(spec.td3.max_grad_norm as f32).to_ne_bytes(),
            &self.bytes(partial, blocks * LONG),
            &self.bytes(done, WORD),
            &self.bytes(report, REPORT),
            &word((group.nets == 1).into()),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.adam, "measure", blocks, 256, &arguments) }
    }

    /// Adam's step on a group.
    pub(crate) fn descend(
        &self,
        step: &AdamStep<f32>,
        group: &Group<'_>,
        (update, report): (&M::Memory, &M::Memory),
        [gradient, weights, first, second]: [&M::Memory; 4],
    ) -> Result<(), CudaError> {
        let range = group.parameters();
        let constants = [step.beta1, step.beta2, step.one_minus_beta1, step.one_minus_beta2, step.epsilon];
        let step: Vec<u8> = constants.into_iter().flat_map(f32::to_ne_bytes).collect();
        let arguments: [&[u8]; 8] = [
            &step,
            &self.bytes(update, UPDATE),
            &self.bytes(report, REPORT),
            &long(range.len()),
            &self.range(gradient, range.clone()),
            &self.range(weights, range.clone()),
            &self.range(first, range.clone()),
            &self.range(second, range.clone()),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.adam, "descend", self.threads(range.len()), 256, &arguments) }
    }

    /// The first `count` numbers of `target` follow those of `online`.
    pub(crate) fn follow(
        &self,
        count: usize,
        tau: f64,
        online: &M::Memory,
        target: &M::Memory,
    ) -> Result<(), CudaError> {
        let arguments: [&[u8]; 4] = [
            &long(count),
            &(tau as f32).to_ne_bytes(),
            &self.numbers(online, 0, count),
            &self.numbers(target, 0, count),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.adam, "follow", self.threads(count), 256, &arguments) }
    }
}
