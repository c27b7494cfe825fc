//! The kernels of `td3.cu`.

use recsim_core::model::rng::Key;
use recsim_core::td3::AgentSpec;
use recsim_core::world::WorldShape;

use super::{
    ACTION_ROUND_BYTES, ActorOutput, CriticValues, LearningKernels, UPDATE_PARAMS_BYTES, UPDATE_REPORT_BYTES,
    u64_bytes,
};
use crate::CudaError;
use crate::ffi::Device;
use crate::ffi::simulation::{LONG_BYTES, WORD_BYTES};
use crate::packed::NetworkGroup;
use crate::replay::Replay;

impl<D: Device> LearningKernels<'_, D> {
    /// Sets a round's action noise, and its counts to 0. Without `exploration` actions have no noise.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn set_action_noise(
        &self,
        spec: &AgentSpec,
        exploration: Option<Key>,
        action_round: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let noise_std = match exploration {
            Some(_) => (spec.td3.exploration_noise * spec.max_action) as f32,
            None => -1.0,
        };
        let arguments: [&[u8]; 3] = [
            &exploration.map_or(0, Key::bits).to_ne_bytes(),
            &noise_std.to_ne_bytes(),
            &self.bytes(action_round, ACTION_ROUND_BYTES),
        ];
        // SAFETY: `td3.cu`'s arguments; all accesses are within the buffers, as the functions used here check.
        unsafe { self.device.launch_kernel(self.td3, "set_action_noise", 1, 32, &arguments) }
    }

    /// The actions of the `count` users from `first` on, from their rows of the actor's output, into the rows of
    /// `action` from `row` on.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn act(
        &self,
        spec: &AgentSpec,
        actor: &NetworkGroup<'_>,
        output: &ActorOutput<'_, D>,
        (first, count, row): (usize, usize, usize),
        (action, action_round): (&D::DeviceBuffer, &D::DeviceBuffer),
    ) -> Result<(), CudaError> {
        let width = spec.action_dim();
        let arguments: [&[u8]; 7] = [
            &u64_bytes(first),
            &u64_bytes(count),
            &self.elements(output.pre_bias, 0, count * width),
            &self.last_bias(actor, output.weights),
            &(spec.max_action as f32).to_ne_bytes(),
            &self.elements(action, row * width, count * width),
            &self.bytes(action_round, ACTION_ROUND_BYTES),
        ];
        let blocks = self.blocks_for_elements(count * width.div_ceil(2));
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.td3, "act", blocks, 256, &arguments) }
    }

    /// Samples the minibatch of an update: `input` and `next` are `[rows, K + D + D]`, `reward` is `[rows]`.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn sample_minibatch(
        &self,
        rows: usize,
        shape: &WorldShape,
        replay: &Replay<D>,
        (scale, embedding, update_params): (&D::DeviceBuffer, &D::DeviceBuffer, &D::DeviceBuffer),
        (input, next, reward): (&D::DeviceBuffer, &D::DeviceBuffer, &D::DeviceBuffer),
    ) -> Result<(), CudaError> {
        let (capacity, input_dim) = (replay.capacity(), shape.state_dim() + shape.dimensions);
        let mut columns = Vec::new();
        for (buffer, width) in [
            (&replay.user, 1),
            (&replay.belief_before, shape.clusters),
            (&replay.belief, shape.clusters),
            (&replay.action, shape.dimensions),
            (&replay.reward, 1),
        ] {
            columns.extend(self.elements(buffer, 0, capacity * width));
        }
        let arguments: [&[u8]; 8] = [
            &u64_bytes(rows),
            &columns,
            &self.elements(scale, 0, shape.clusters),
            &self.elements(embedding, 0, shape.users * shape.dimensions),
            &self.bytes(update_params, UPDATE_PARAMS_BYTES),
            &self.elements(input, 0, rows * input_dim),
            &self.elements(next, 0, rows * input_dim),
            &self.elements(reward, 0, rows),
        ];
        let blocks = self.blocks_for_rows(rows);
        // SAFETY: as above: the replay buffer has at most `capacity` transitions, of users of the world.
        unsafe { self.device.launch_kernel(self.td3, "sample_minibatch", blocks, 256, &arguments) }
    }

    /// The target policy's actions with clipped noise, into `next`.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn smooth_target_actions(
        &self,
        rows: usize,
        spec: &AgentSpec,
        actor: &NetworkGroup<'_>,
        output: &ActorOutput<'_, D>,
        update_params: &D::DeviceBuffer,
        next: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let (width, max_action) = (spec.action_dim(), spec.max_action);
        let arguments: [&[u8]; 8] = [
            &u64_bytes(rows),
            &self.elements(output.pre_bias, 0, rows * width),
            &self.last_bias(actor, output.weights),
            &(max_action as f32).to_ne_bytes(),
            &((spec.td3.policy_noise * max_action) as f32).to_ne_bytes(),
            &((spec.td3.noise_clip * max_action) as f32).to_ne_bytes(),
            &self.bytes(update_params, UPDATE_PARAMS_BYTES),
            &self.elements(next, 0, rows * (spec.state_dim() + width)),
        ];
        let blocks = self.blocks_for_elements(rows * width.div_ceil(2));
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.td3, "smooth_target_actions", blocks, 256, &arguments) }
    }

    /// Adds the critics' loss to the report, and computes its gradient by their values, `[2, rows]`.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn critic_loss(
        &self,
        rows: usize,
        spec: &AgentSpec,
        critics: &NetworkGroup<'_>,
        [target_values, values]: [&CriticValues<'_, D>; 2],
        (reward, value_grad, report): (&D::DeviceBuffer, &D::DeviceBuffer, &D::DeviceBuffer),
    ) -> Result<(), CudaError> {
        let values_bytes = |values: &CriticValues<'_, D>| {
            let bias_stride = u64_bytes(critics.parameters_stride());
            let pre_bias = self.elements(values.pre_bias, 0, 2 * rows);
            [pre_bias, self.last_bias(critics, values.weights), bias_stride].concat()
        };
        let arguments: [&[u8]; 7] = [
            &u64_bytes(rows),
            &values_bytes(target_values),
            &values_bytes(values),
            &self.elements(reward, 0, rows),
            &(spec.td3.discount as f32).to_ne_bytes(),
            &self.elements(value_grad, 0, 2 * rows),
            &self.bytes(report, UPDATE_REPORT_BYTES),
        ];
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.td3, "critic_loss", 1, 1024, &arguments) }
    }

    /// Replaces the actions in `input` by the policy's actions.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn policy_forward(
        &self,
        rows: usize,
        spec: &AgentSpec,
        actor: &NetworkGroup<'_>,
        output: &ActorOutput<'_, D>,
        input: &D::DeviceBuffer,
    ) -> Result<(), CudaError> {
        let width = spec.action_dim();
        let arguments: [&[u8]; 5] = [
            &u64_bytes(rows),
            &self.elements(output.pre_bias, 0, rows * width),
            &self.last_bias(actor, output.weights),
            &(spec.max_action as f32).to_ne_bytes(),
            &self.elements(input, 0, rows * (spec.state_dim() + width)),
        ];
        let blocks = self.blocks_for_elements(rows * width);
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.td3, "policy_forward", blocks, 256, &arguments) }
    }

    /// Adds the actor's loss to the report, and computes its gradient by the critic's values, `[rows]`.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn policy_value(
        &self,
        rows: usize,
        spec: &AgentSpec,
        critic: &NetworkGroup<'_>,
        values: &CriticValues<'_, D>,
        (input, value_grad, report): (&D::DeviceBuffer, &D::DeviceBuffer, &D::DeviceBuffer),
        (partial, blocks_done): (&D::DeviceBuffer, &D::DeviceBuffer),
    ) -> Result<(), CudaError> {
        let blocks = self.blocks_for_rows(rows);
        let arguments: [&[u8]; 9] = [
            &u64_bytes(rows),
            &self.elements(values.pre_bias, 0, rows),
            &self.last_bias(critic, values.weights),
            &self.elements(input, 0, rows * (spec.state_dim() + spec.action_dim())),
            &spec.td3.action_l2.to_ne_bytes(),
            &self.elements(value_grad, 0, rows),
            &self.bytes(partial, 2 * blocks * LONG_BYTES),
            &self.bytes(blocks_done, WORD_BYTES),
            &self.bytes(report, UPDATE_REPORT_BYTES),
        ];
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.td3, "policy_value", blocks, 256, &arguments) }
    }

    /// The gradient of the actor's loss by its output, `[rows, D]`, from the gradient by the critic's input.
    ///
    /// # Errors
    /// The launch fails.
    pub(crate) fn policy_backward(
        &self,
        rows: usize,
        spec: &AgentSpec,
        actor: &NetworkGroup<'_>,
        output: &ActorOutput<'_, D>,
        (input_grad, output_grad): (&D::DeviceBuffer, &D::DeviceBuffer),
    ) -> Result<(), CudaError> {
        let (width, max_action) = (spec.action_dim(), spec.max_action as f32);
        let l2_grad_scale = (2.0 * spec.td3.action_l2 / (rows * width) as f64) as f32;
        let arguments: [&[u8]; 7] = [
            &u64_bytes(rows),
            &self.elements(output.pre_bias, 0, rows * width),
            &self.last_bias(actor, output.weights),
            &max_action.to_ne_bytes(),
            &l2_grad_scale.to_ne_bytes(),
            &self.elements(input_grad, 0, rows * (spec.state_dim() + width)),
            &self.elements(output_grad, 0, rows * width),
        ];
        let blocks = self.blocks_for_elements(rows * width);
        // SAFETY: as above.
        unsafe { self.device.launch_kernel(self.td3, "policy_backward", blocks, 256, &arguments) }
    }
}
