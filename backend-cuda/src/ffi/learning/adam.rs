//! The kernels of `adam.cu`.

use recsim_core::td3::adam::AdamStep;
use recsim_core::td3::{AgentSpec, UpdateKeys};

use super::{LearningKernels, UPDATE_PARAMS_BYTES, UPDATE_REPORT_BYTES, u32_bytes, u64_bytes};
use crate::CudaError;
use crate::ffi::Device;
use crate::ffi::simulation::{LONG_BYTES, WORD_BYTES};
use crate::packed::NetworkGroup;

impl<D: Device> LearningKernels<'_, D> {
    /// Sets the values that change from update to update; `replay_len` transitions can be sampled.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn set_update_params(
        &self,
        keys: &UpdateKeys,
        replay_len: usize,
        step: &AdamStep<f32>,
        update_params: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let mut values = Vec::with_capacity(UPDATE_PARAMS_BYTES);
        for key in [keys.sample, keys.noise, keys.dropout] {
            values.extend(key.bits().to_ne_bytes());
        }
        values.extend(u64_bytes(replay_len));
        values.extend(step.step_size.to_ne_bytes());
        values.extend(step.sqrt_bias_correction2.to_ne_bytes());
        let arguments: [&[u8]; 2] = [&values, &self.bytes(update_params, UPDATE_PARAMS_BYTES)];
        // SAFETY: `adam.cu`'s arguments; all accesses are within the buffers, as the functions used here check.
        unsafe { self.device.launch_kernel(self.adam, "set_update_params", 1, 32, &arguments) }
    }

    /// Adds the norm of a group's gradient to the report, and sets the clip coefficient.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn grad_norm(
        &self,
        spec: &AgentSpec,
        group: &NetworkGroup<'_>,
        (grad, report): (&D::DeviceBuffer, &D::DeviceBuffer),
        (partial, blocks_done): (&D::DeviceBuffer, &D::DeviceBuffer),
    ) -> Result<(), CudaError> {
        let count = group.parameters().len();
        let blocks = self.blocks_for_elements(count);
        let arguments: [&[u8]; 7] = [
            &self.range(grad, group.parameters()),
            &u64_bytes(count),
            &(spec.td3.max_grad_norm as f32).to_ne_bytes(),
            &self.bytes(partial, blocks * LONG_BYTES),
            &self.bytes(blocks_done, WORD_BYTES),
            &self.bytes(report, UPDATE_REPORT_BYTES),
            &u32_bytes((group.num_nets == 1).into()),
        ];
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.adam, "grad_norm", blocks, 256, &arguments) }
    }

    /// Adam's step on a group. The buffers are gradient, weights, first and second moments, packed.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn adam_step(
        &self,
        step: &AdamStep<f32>,
        group: &NetworkGroup<'_>,
        (update_params, report): (&D::DeviceBuffer, &D::DeviceBuffer),
        [grad, weights, first_moments, second_moments]: [&D::DeviceBuffer; 4],
    ) -> Result<(), CudaError> {
        let range = group.parameters();
        let constants = [step.beta1, step.beta2, step.one_minus_beta1, step.one_minus_beta2, step.epsilon];
        let step: Vec<u8> = constants.into_iter().flat_map(f32::to_ne_bytes).collect();
        let arguments: [&[u8]; 8] = [
            &step,
            &self.bytes(update_params, UPDATE_PARAMS_BYTES),
            &self.bytes(report, UPDATE_REPORT_BYTES),
            &u64_bytes(range.len()),
            &self.range(grad, range.clone()),
            &self.range(weights, range.clone()),
            &self.range(first_moments, range.clone()),
            &self.range(second_moments, range.clone()),
        ];
        let blocks = self.blocks_for_elements(range.len());
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.adam, "adam_step", blocks, 256, &arguments) }
    }

    /// Soft-updates the first `count` elements of `target` toward those of `online`.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn soft_update_targets(
        &self,
        count: usize,
        tau: f64,
        online: &D::DeviceBuffer,
        target: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let arguments: [&[u8]; 4] = [
            &u64_bytes(count),
            &(tau as f32).to_ne_bytes(),
            &self.elements(online, 0, count),
            &self.elements(target, 0, count),
        ];
        let blocks = self.blocks_for_elements(count);
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.adam, "soft_update_targets", blocks, 256, &arguments) }
    }
}
