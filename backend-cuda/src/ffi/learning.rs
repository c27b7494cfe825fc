//! The kernels of learning as functions that check the tables they are given. Tables of a device may be written through a
//! shared reference, as its memory is not the host's.

use recsim_core::adam::Step;
use recsim_core::net::{Layer, Norm};
use recsim_core::rng::Key;
use recsim_core::td3::{Learner, UpdateKeys, dropout_boost};
use recsim_core::world::Shape;

use super::Machine;
use super::kernels::{LONG, WORD};
use crate::CudaError;
use crate::flat::Group;
use crate::replay::Replay;

/// The units of learning, and their machine.
pub(crate) struct Kernels<'a, M: Machine> {
    pub(crate) machine: &'a M,
    pub(crate) mlp: &'a M::Module,
    pub(crate) td3: &'a M::Module,
    pub(crate) adam: &'a M::Module,
}

/// A layer in a pass.
pub(crate) struct Stage<'a, M: Machine> {
    pub(crate) group: &'a Group<'a>,
    pub(crate) depth: usize,
    pub(crate) rows: usize,
    /// All networks' numbers.
    pub(crate) weights: &'a M::Memory,
}

/// What a pass has left of a layer.
pub(crate) struct Behind<'a, M: Machine> {
    /// What kept units were multiplied by.
    pub(crate) boost: f32,
    /// Means and inverse deviations of the batch; none after an evaluation.
    pub(crate) batch: Option<&'a M::Memory>,
    pub(crate) sums: &'a M::Memory,
    pub(crate) output: &'a M::Memory,
}

/// The critics' values of each row, `[2, rows]`, without their bias; and the weights that have it.
pub(crate) struct Values<'a, M: Machine> {
    pub(crate) raw: &'a M::Memory,
    pub(crate) weights: &'a M::Memory,
}

/// The actor's output of each row, `[rows, D]`, without its bias; and the weights that have it.
pub(crate) struct Output<'a, M: Machine> {
    pub(crate) raw: &'a M::Memory,
    pub(crate) weights: &'a M::Memory,
}

/// Bytes of `update.cuh`'s structs.
pub(crate) const UPDATE: usize = 40;
pub(crate) const REPORT: usize = 56;
/// Rows that a block of `moments` looks at, at most.
const CHUNK: usize = 1024;
/// Columns that it looks at.
const COLUMNS: usize = 32;

impl<M: Machine> Kernels<'_, M> {
    /// A hidden layer in evaluation, in place.
    pub(crate) fn evaluate(&self, stage: &Stage<'_, M>, table: &M::Memory) -> Result<(), CudaError> {
        let arguments: [&[u8]; 2] = [&self.layer(stage), &self.numbers(table, 0, stage.len())];
        // SAFETY: `mlp.cu`'s arguments; every place lies in its table, as `layer` and `numbers` have seen.
        unsafe { self.machine.launch(self.mlp, "evaluate", self.blocks(stage.rows), 256, &arguments) }
    }

    /// The batch's means and inverse deviations; running statistics follow.
    pub(crate) fn moments(
        &self,
        stage: &Stage<'_, M>,
        sums: &M::Memory,
        (partial, done): (&M::Memory, &M::Memory),
        batch: &M::Memory,
    ) -> Result<(), CudaError> {
        let chunks = stage.rows.div_ceil(CHUNK);
        let arguments: [&[u8]; 6] = [
            &self.layer(stage),
            &word(chunks),
            &self.numbers(sums, 0, stage.len()),
            &self.numbers(partial, 0, stage.partial()),
            &self.numbers(done, 0, stage.columns()),
            &self.numbers(batch, 0, 2 * stage.group.nets * stage.shape().outputs),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.mlp, "moments", stage.columns() * chunks, 1024, &arguments) }
    }

    /// A hidden layer while learning.
    pub(crate) fn activate(
        &self,
        stage: &Stage<'_, M>,
        (update, threshold): (&M::Memory, u16),
        batch: &M::Memory,
        sums: &M::Memory,
        output: &M::Memory,
    ) -> Result<(), CudaError> {
        let network = stage.group.network as usize;
        let boost = dropout_boost(threshold) as f32;
        let dropout = [word(network), word(stage.depth), word(threshold.into()), boost.to_ne_bytes()].concat();
        let arguments: [&[u8]; 6] = [
            &self.layer(stage),
            &dropout,
            &self.bytes(update, UPDATE),
            &self.numbers(batch, 0, 2 * stage.group.nets * stage.shape().outputs),
            &self.numbers(sums, 0, stage.len()),
            &self.numbers(output, 0, stage.len()),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.mlp, "activate", self.blocks(stage.rows), 128, &arguments) }
    }

    /// The gradients by a layer's bias, or by its normalisation's scale and shift.
    pub(crate) fn back_to_column(
        &self,
        stage: &Stage<'_, M>,
        behind: &Behind<'_, M>,
        slope: &M::Memory,
        (partial, done): (&M::Memory, &M::Memory),
        gradient: &M::Memory,
    ) -> Result<(), CudaError> {
        let chunks = stage.rows.div_ceil(CHUNK);
        let arguments: [&[u8]; 10] = [
            &self.layer(stage),
            &word(chunks),
            &behind.boost.to_ne_bytes(),
            &self.batch(stage, behind),
            &self.numbers(behind.sums, 0, stage.len()),
            &self.numbers(behind.output, 0, stage.len()),
            &self.numbers(slope, 0, stage.len()),
            &self.numbers(partial, 0, stage.partial()),
            &self.numbers(done, 0, stage.columns()),
            &self.range(gradient, stage.group.parameters()),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.mlp, "back_to_column", stage.columns() * chunks, 1024, &arguments) }
    }

    /// From the slope by a hidden layer's output to that by its sums, in place.
    pub(crate) fn back_to_sums(
        &self,
        stage: &Stage<'_, M>,
        behind: &Behind<'_, M>,
        gradient: Option<&M::Memory>,
        slope: &M::Memory,
    ) -> Result<(), CudaError> {
        assert!(gradient.is_some() || behind.batch.is_none(), "who learns has a gradient");
        let gradient = gradient.map_or([0; 8], |gradient| self.range(gradient, stage.group.parameters()));
        let arguments: [&[u8]; 7] = [
            &self.layer(stage),
            &behind.boost.to_ne_bytes(),
            &self.batch(stage, behind),
            &self.numbers(behind.sums, 0, stage.len()),
            &self.numbers(behind.output, 0, stage.len()),
            &gradient,
            &self.numbers(slope, 0, stage.len()),
        ];
        // SAFETY: as above; `gradient` is looked at only where there is a batch.
        unsafe { self.machine.launch(self.mlp, "back_to_sums", self.blocks(stage.rows), 256, &arguments) }
    }

    /// Actions of the `count` users from `first` on, from their rows of the actor's output, into the rows from `row` on.
    pub(crate) fn act(
        &self,
        learner: &Learner,
        actor: &Group<'_>,
        output: &Output<'_, M>,
        (first, count, row): (usize, usize, usize),
        exploration: Option<Key>,
        (action, counts): (&M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let width = learner.action();
        let deviation = match exploration {
            Some(_) => (learner.exploration_noise * learner.max_action) as f32,
            None => -1.0,
        };
        let arguments: [&[u8]; 9] = [
            &long(first),
            &long(count),
            &self.numbers(output.raw, 0, count * width),
            &self.bias(actor, output.weights),
            &(learner.max_action as f32).to_ne_bytes(),
            &deviation.to_ne_bytes(),
            &exploration.map_or(0, Key::bits).to_ne_bytes(),
            &self.numbers(action, row * width, count * width),
            &self.bytes(counts, 2 * LONG),
        ];
        // SAFETY: `td3.cu`'s arguments; every place lies in its table, as the functions here have seen.
        unsafe { self.machine.launch(self.td3, "act", self.threads(count * width.div_ceil(2)), 256, &arguments) }
    }

    /// The transitions of an update, into `[rows, K + D + D]` both and `[rows]`.
    pub(crate) fn sample(
        &self,
        rows: usize,
        shape: &Shape,
        replay: &Replay<M>,
        (embedding, update): (&M::Memory, &M::Memory),
        (input, next, reward): (&M::Memory, &M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let (capacity, width) = (replay.capacity(), shape.state() + shape.dimensions);
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
        let arguments: [&[u8]; 7] = [
            &long(rows),
            &held,
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
        learner: &Learner,
        actor: &Group<'_>,
        output: &Output<'_, M>,
        update: &M::Memory,
        next: &M::Memory,
    ) -> Result<(), CudaError> {
        let (width, max_action) = (learner.action(), learner.max_action);
        let arguments: [&[u8]; 8] = [
            &long(rows),
            &self.numbers(output.raw, 0, rows * width),
            &self.bias(actor, output.weights),
            &(max_action as f32).to_ne_bytes(),
            &((learner.policy_noise * max_action) as f32).to_ne_bytes(),
            &((learner.noise_clip * max_action) as f32).to_ne_bytes(),
            &self.bytes(update, UPDATE),
            &self.numbers(next, 0, rows * (learner.state() + width)),
        ];
        let blocks = self.threads(rows * width.div_ceil(2));
        // SAFETY: as above.
        unsafe { self.machine.launch(self.td3, "smooth_targets", blocks, 256, &arguments) }
    }

    /// The critics' loss, added to the report, and its slope by their values.
    pub(crate) fn criticise(
        &self,
        rows: usize,
        learner: &Learner,
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
            &(learner.discount as f32).to_ne_bytes(),
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
        learner: &Learner,
        actor: &Group<'_>,
        output: &Output<'_, M>,
        input: &M::Memory,
    ) -> Result<(), CudaError> {
        let width = learner.action();
        let arguments: [&[u8]; 5] = [
            &long(rows),
            &self.numbers(output.raw, 0, rows * width),
            &self.bias(actor, output.weights),
            &(learner.max_action as f32).to_ne_bytes(),
            &self.numbers(input, 0, rows * (learner.state() + width)),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.td3, "propose", self.threads(rows * width), 256, &arguments) }
    }

    /// The actor's loss, added to the report, and its slope by the critic's values.
    pub(crate) fn appraise(
        &self,
        rows: usize,
        learner: &Learner,
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
            &self.numbers(input, 0, rows * (learner.state() + learner.action())),
            &learner.action_l2.to_ne_bytes(),
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
        learner: &Learner,
        actor: &Group<'_>,
        output: &Output<'_, M>,
        (by_input, slope): (&M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let (width, max_action) = (learner.action(), learner.max_action as f32);
        let pull = (2.0 * learner.action_l2 / (rows * width) as f64) as f32;
        let arguments: [&[u8]; 7] = [
            &long(rows),
            &self.numbers(output.raw, 0, rows * width),
            &self.bias(actor, output.weights),
            &max_action.to_ne_bytes(),
            &pull.to_ne_bytes(),
            &self.numbers(by_input, 0, rows * (learner.state() + width)),
            &self.numbers(slope, 0, rows * width),
        ];
        // SAFETY: as above.
        unsafe { self.machine.launch(self.td3, "back_to_policy", self.threads(rows * width), 256, &arguments) }
    }

    /// Tells the kernels of an update what changes from one to the next. `held` transitions can be sampled.
    pub(crate) fn tell(
        &self,
        keys: &UpdateKeys,
        held: usize,
        step: &Step<f32>,
        update: &M::Memory,
    ) -> Result<(), CudaError> {
        let mut now = Vec::with_capacity(UPDATE);
        for key in [keys.sample, keys.noise, keys.dropout] {
            now.extend(key.bits().to_ne_bytes());
        }
        now.extend(long(held));
        now.extend(step.size.to_ne_bytes());
        now.extend(step.root_of_correction_2.to_ne_bytes());
        let arguments: [&[u8]; 2] = [&now, &self.bytes(update, UPDATE)];
        // SAFETY: `adam.cu`'s arguments; every place lies in its table, as the functions here have seen.
        unsafe { self.machine.launch(self.adam, "tell", 1, 32, &arguments) }
    }

    /// The norm of a group's gradient, added to the report, and what it is to be multiplied by.
    pub(crate) fn measure(
        &self,
        learner: &Learner,
        group: &Group<'_>,
        (gradient, report): (&M::Memory, &M::Memory),
        (partial, done): (&M::Memory, &M::Memory),
    ) -> Result<(), CudaError> {
        let count = group.parameters().len();
        let blocks = self.threads(count);
        let arguments: [&[u8]; 7] = [
            &self.range(gradient, group.parameters()),
            &long(count),
            &(learner.grad_clip_norm as f32).to_ne_bytes(),
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
        step: &Step<f32>,
        group: &Group<'_>,
        (update, report): (&M::Memory, &M::Memory),
        [gradient, weights, first, second]: [&M::Memory; 4],
    ) -> Result<(), CudaError> {
        let range = group.parameters();
        let constants = [step.beta_1, step.beta_2, step.rest_1, step.rest_2, step.epsilon];
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

    /// A `Layer` of `mlp.cu`, whose weights lie in their table.
    fn layer(&self, stage: &Stage<'_, M>) -> Vec<u8> {
        let (group, layer) = (stage.group, stage.shape());
        let statistics = group.statistics_apart();
        let hidden = stage.depth + 1 < group.layout.layers().len();
        let places = |of: fn(&Norm) -> usize| layer.norm.as_ref().map_or(0, of);
        let mut bytes = [long(group.nets), long(stage.rows), long(layer.outputs)].concat();
        bytes.extend(self.range(stage.weights, group.parameters()));
        for number in [
            group.parameters_apart(),
            layer.bias.start,
            places(|norm| norm.scale.start),
            places(|norm| norm.shift.start),
        ] {
            bytes.extend(long(number));
        }
        bytes.extend(self.numbers(
            stage.weights,
            group.statistics(),
            (group.nets - 1) * statistics + group.layout.statistics(),
        ));
        for number in [statistics, places(|norm| norm.mean.start), places(|norm| norm.variance.start)] {
            bytes.extend(long(number));
        }
        bytes.extend(word(hidden.into()));
        bytes.extend(word(layer.norm.is_some().into()));
        bytes
    }

    fn batch(&self, stage: &Stage<'_, M>, behind: &Behind<'_, M>) -> [u8; 8] {
        let width = 2 * stage.group.nets * stage.shape().outputs;
        behind.batch.map_or([0; 8], |batch| self.numbers(batch, 0, width))
    }

    /// Where the first network's last bias lies.
    fn bias(&self, group: &Group<'_>, weights: &M::Memory) -> [u8; 8] {
        let last = &group.layout.layers()[group.layout.layers().len() - 1].bias;
        let range = group.parameters();
        self.numbers(weights, range.start + last.start, range.len() - last.start)
    }

    fn range(&self, table: &M::Memory, range: std::ops::Range<usize>) -> [u8; 8] {
        self.numbers(table, range.start, range.len())
    }

    /// Where `count` numbers from number `first` on lie, which the table must hold.
    fn numbers(&self, table: &M::Memory, first: usize, count: usize) -> [u8; 8] {
        let (found, needed) = (self.machine.length(table), (first + count) * WORD);
        assert!(found >= needed, "a table of {found} bytes where {needed} are needed");
        (self.machine.address(table) + (first * WORD) as u64).to_ne_bytes()
    }

    fn bytes(&self, table: &M::Memory, bytes: usize) -> [u8; 8] {
        self.numbers(table, 0, bytes.div_ceil(WORD))
    }

    /// Blocks for work that blocks share row by row.
    fn blocks(&self, rows: usize) -> usize {
        rows.clamp(1, WAVES * self.machine.blocks())
    }

    /// Blocks of 256 threads for work that threads share number by number.
    fn threads(&self, numbers: usize) -> usize {
        self.blocks(numbers.div_ceil(256))
    }
}

impl<M: Machine> Stage<'_, M> {
    fn shape(&self) -> &Layer {
        &self.group.layout.layers()[self.depth]
    }

    /// Numbers in a table of the layer.
    fn len(&self) -> usize {
        self.group.nets * self.rows * self.shape().outputs
    }

    /// Blocks that share the columns.
    fn columns(&self) -> usize {
        self.group.nets * self.shape().outputs.div_ceil(COLUMNS)
    }

    fn partial(&self) -> usize {
        partial_numbers(self.group, self.rows, self.shape().outputs)
    }
}

/// Numbers that the kernels' sums over chunks of rows need room for, at most.
pub(crate) fn partial_numbers(group: &Group<'_>, rows: usize, width: usize) -> usize {
    2 * group.nets * rows.div_ceil(CHUNK) * width
}

/// Bytes that sums over blocks need room for.
pub(crate) fn partial_bytes<M: Machine>(machine: &M) -> usize {
    2 * WAVES * machine.blocks() * LONG
}

/// Counters that a layer of that width needs, at most.
pub(crate) fn counters(group: &Group<'_>, width: usize) -> usize {
    group.nets * width.div_ceil(COLUMNS)
}

/// How many times the blocks that run at a time a kernel has at most.
const WAVES: usize = 4;

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("a count that fits").to_ne_bytes()
}

fn long(number: usize) -> [u8; 8] {
    (number as u64).to_ne_bytes()
}
