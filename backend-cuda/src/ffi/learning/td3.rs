//! The kernels of `td3.cu`.

use recsim_core::model::rng::Key;
use recsim_core::td3::AgentSpec;
use recsim_core::world::WorldShape;

use super::{ACTING, Kernels, Output, REPORT, UPDATE, Values, long};
use crate::CudaError;
use crate::ffi::Machine;
use crate::ffi::kernels::{LONG, WORD};
use crate::flat::Group;
use crate::replay::Replay;

impl<M: Machine> Kernels<'_, M> {
    /// Tells the kernels of a round what noise is on its actions, and that none is counted yet.
    pub(crate) fn explore(
        &self,
        spec: &AgentSpec,
        exploration: Option<Key>,
        acting: &M::Memory,
    ) -> Result<(), CudaError> {
        let deviation = match exploration {
            Some(_) => (spec.td3.exploration_noise * spec.max_action) as f32,
            None => -1.0,
        };
        let arguments: [&[u8]; 3] = [
            &exploration.map_or(0, Key::bits).to_ne_bytes(),
            &deviation.to_ne_bytes(),
            &self.bytes(acting, ACTING),
        ];
        // SAFETY: `td3.cu`'s arguments; every place lies in its table, as the functions here have seen.
        unsafe { self.machine.launch(self.td3, "explore", 1, 32, &arguments) }
    }

    /// Actions of the `count` users from `first` on, from their rows of the actor's output, into the rows from `row` on.
    pub(crate) fn act(
        &self,
        spec: &AgentSpec,
        actor: &Group<'_>,
        output: &Output<'_, M>,
        (first, count, row): (usize, usize, usize),
        (action, acting): (&M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let width = spec.action_dim();
        let arguments: [&[u8]; 7] = [
            &long(first),
            &long(count),
            &self.numbers(output.raw, 0, count * width),
            &self.bias(actor, output.weights),
            &(spec.max_action as f32).to_ne_bytes(),
            &self.numbers(action, row * width, count * width),
            &self.bytes(acting, ACTING),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.td3, "act", self.threads(count * width.div_ceil(2)), 256, &arguments) }
    }

    /// The transitions of an update, into `[rows, K + D + D]` both and `[rows]`.
    pub(crate) fn sample(
        &self,
        rows: usize,
        shape: &WorldShape,
        replay: &Replay<M>,
        (scale, embedding, update): (&M::Memory, &M::Memory, &M::Memory),
        (input, next, reward): (&M::Memory, &M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let (capacity, width) = (replay.capacity(), shape.state_dim() + shape.dimensions);
        let mut held = Vec::new();
        for (table, width) in [
            (&replay.user, 1),
            (&replay.belief_before, shape.clusters),
            (&replay.belief, shape.clusters),
            (&replay.action, shape.dimensions),
            (&replay.reward, 1),
        ] {
            held.extend(self.numbers(table, 0, capacity * width));
        }
        let arguments: [&[u8]; 8] = [
            &long(rows),
            &held,
            &self.numbers(scale, 0, shape.clusters),
            &self.numbers(embedding, 0, shape.users * shape.dimensions),
            &self.bytes(update, UPDATE),
            &self.numbers(input, 0, rows * width),
            &self.numbers(next, 0, rows * width),
            &self.numbers(reward, 0, rows),
        ];
        // SAFETY: as above: at most `capacity` transitions are held, of users of the world.
        unsafe { self.machine.launch(self.td3, "sample", self.blocks(rows), 256, &arguments) }
    }

    /// The target policy's actions under noise, into `next`.
    pub(crate) fn smooth_targets(
        &self,
        rows: usize,
        spec: &AgentSpec,
        actor: &Group<'_>,
        output: &Output<'_, M>,
        update: &M::Memory,
        next: &M::Memory,
    ) -> Result<(), CudaError> {
        let (width, max_action) = (spec.action_dim(), spec.max_action);
        let arguments: [&[u8]; 8] = [
            &long(rows),
            &self.numbers(output.raw, 0, rows * width),
            &self.bias(actor, output.weights),
            &(max_action as f32).to_ne_bytes(),
            &((spec.td3.policy_noise * max_action) as f32).to_ne_bytes(),
            &((spec.td3.noise_clip * max_action) as f32).to_ne_bytes(),
            &self.bytes(update, UPDATE),
            &self.numbers(next, 0, rows * (spec.state_dim() + width)),
        ];
        let blocks = self.threads(rows * width.div_ceil(2));
        // SAFETY: as above.
        unsafe { self.machine.launch(self.td3, "smooth_targets", blocks, 256, &arguments) }
    }

    /// The critics' loss, added to the report, and its slope by their values.
    pub(crate) fn criticise(
        &self,
        rows: usize,
        spec: &AgentSpec,
        critics: &Group<'_>,
        [target, value]: [&Values<'_, M>; 2],
        (reward, slope, report): (&M::Memory, &M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let values = |values: &Values<'_, M>| {
            let apart = long(critics.parameters_apart());
            [self.numbers(values.raw, 0, 2 * rows), self.bias(critics, values.weights), apart].concat()
        };
        let arguments: [&[u8]; 7] = [
            &long(rows),
            &values(target),
            &values(value),
            &self.numbers(reward, 0, rows),
            &(spec.td3.discount as f32).to_ne_bytes(),
            &self.numbers(slope, 0, 2 * rows),
            &self.bytes(report, REPORT),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.td3, "criticise", 1, 1024, &arguments) }
    }

    /// The policy's actions, in place of those in `input`.
    pub(crate) fn propose(
        &self,
        rows: usize,
        spec: &AgentSpec,
        actor: &Group<'_>,
        output: &Output<'_, M>,
        input: &M::Memory,
    ) -> Result<(), CudaError> {
        let width = spec.action_dim();
        let arguments: [&[u8]; 5] = [
            &long(rows),
            &self.numbers(output.raw, 0, rows * width),
            &self.bias(actor, output.weights),
            &(spec.max_action as f32).to_ne_bytes(),
            &self.numbers(input, 0, rows * (spec.state_dim() + width)),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.td3, "propose", self.threads(rows * width), 256, &arguments) }
    }

    /// The actor's loss, added to the report, and its slope by the critic's values.
    pub(crate) fn appraise(
        &self,
        rows: usize,
        spec: &AgentSpec,
        critic: &Group<'_>,
        value: &Values<'_, M>,
        (input, slope, report): (&M::Memory, &M::Memory, &M::Memory),
        (partial, done): (&M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let blocks = self.blocks(rows);
        let arguments: [&[u8]; 9] = [
            &long(rows),
            &self.numbers(value.raw, 0, rows),
            &self.bias(critic, value.weights),
            &self.numbers(input, 0, rows * (spec.state_dim() + spec.action_dim())),
            &spec.td3.action_l2.to_ne_bytes(),
            &self.numbers(slope, 0, rows),
            &self.bytes(partial, 2 * blocks * LONG),
            &self.bytes(done, WORD),
            &self.bytes(report, REPORT),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.td3, "appraise", blocks, 256, &arguments) }
    }

    /// The slope of the actor's loss by its output, from that by the critic's input.
    pub(crate) fn back_to_policy(
        &self,
        rows: usize,
        spec: &AgentSpec,
        actor: &Group<'_>,
        output: &Output<'_, M>,
        (by_input, slope): (&M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let (width, max_action) = (spec.action_dim(), spec.max_action as f32);
        let pull = (2.0 * spec.td3.action_l2 / (rows * width) as f64) as f32;
        let arguments: [&[u8]; 7] = [
            &long(rows),
            &self.numbers(output.raw, 0, rows * width),
            &self.bias(actor, output.weights),
            &max_action.to_ne_bytes(),
            &pull.to_ne_bytes(),
            &self.numbers(by_input, 0, rows * (spec.state_dim() + width)),
            &self.numbers(slope, 0, rows * width),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.td3, "back_to_policy", self.threads(rows * width), 256, &arguments) }
    }
}
