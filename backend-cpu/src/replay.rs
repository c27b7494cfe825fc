//! The replay buffer on the CPU.

use std::ops::Range;

use rayon::prelude::*;
use recsim_core::model::rng::index;
use recsim_core::td3::UpdateKeys;
use recsim_core::td3::replay::{InsertSpan, ReplayIndex, Transitions};
use recsim_core::world::{WorldShape, row};

use crate::error::{resize, zeroed};
use crate::{CpuError, World};

/// A replay buffer of transitions. New ones overwrite the oldest. A user's embedding is not stored with
/// a transition: the world has it.
///
/// Its whole address space is reserved at once, as zeros, which the operating system provides without memory behind
/// them. Memory is used as transitions are written, so a small run stays small whatever the capacity.
#[derive(Debug)]
pub struct Replay {
    index: ReplayIndex,
    clusters: usize,
    dimensions: usize,
    /// `[capacity]`
    user: Vec<u32>,
    /// `[capacity, K]`
    belief_before: Vec<f32>,
    /// `[capacity, K]`
    belief: Vec<f32>,
    /// `[capacity, D]`
    action: Vec<f32>,
    /// `[capacity]`
    reward: Vec<f32>,
}

/// A slot of the replay buffer that a transition can be written to.
pub(crate) struct TransitionSlot<'a> {
    user: &'a mut u32,
    belief_before: &'a mut [f32],
    belief: &'a mut [f32],
    action: &'a mut [f32],
    reward: &'a mut f32,
}

/// A minibatch: the transitions of one update, as `[features, rows]`.
#[derive(Debug, Default)]
pub(crate) struct MinibatchSample {
    pub(crate) rows: usize,
    /// Index of each row in the replay buffer.
    indices: Vec<usize>,
    /// `[K + D + D, rows]`: states, then actions.
    pub(crate) input: Vec<f32>,
    /// `[rows]`
    pub(crate) reward: Vec<f32>,
}

impl Replay {
    /// Creates a replay buffer of this capacity that holds the given transitions, oldest first.
    ///
    /// # Errors
    /// [`CpuError::Memory`] if the buffer does not fit into memory.
    pub(crate) fn new(world: &World, capacity: usize, transitions: &Transitions) -> Result<Self, CpuError> {
        let WorldShape { clusters, dimensions, .. } = world.shape;
        let mut index = ReplayIndex::before_inserting(capacity, transitions);
        let span = index.insert(transitions.user.len());
        Ok(Self {
            index,
            clusters,
            dimensions,
            user: column(capacity, 1, &span, &transitions.user)?,
            belief_before: column(capacity, clusters, &span, &transitions.belief_before)?,
            belief: column(capacity, clusters, &span, &transitions.belief)?,
            action: column(capacity, dimensions, &span, &transitions.action)?,
            reward: column(capacity, 1, &span, &transitions.reward)?,
        })
    }

    /// Inserts `count` transitions: returns a slot for each, in order, or `None` for those that later ones of the same
    /// call overwrite.
    pub(crate) fn insert(
        &mut self,
        count: usize,
    ) -> impl IndexedParallelIterator<Item = Option<TransitionSlot<'_>>> {
        let InsertSpan { skipped, first, .. } = self.index.insert(count);
        let (clusters, dimensions) = (self.clusters, self.dimensions);
        let slots = wrapped_rows(&mut self.user, 1, first)
            .zip(wrapped_rows(&mut self.belief_before, clusters, first))
            .zip(wrapped_rows(&mut self.belief, clusters, first))
            .zip(wrapped_rows(&mut self.action, dimensions, first))
            .zip(wrapped_rows(&mut self.reward, 1, first))
            .map(|((((user, belief_before), belief), action), reward)| {
                Some(TransitionSlot { user: &mut user[0], belief_before, belief, action, reward: &mut reward[0] })
            });
        (0..skipped).into_par_iter().map(|_| None).chain(slots)
    }

    /// The last `count` transitions, oldest first.
    pub(crate) fn transitions(&self, count: usize) -> Transitions {
        let index = &self.index;
        Transitions {
            inserted: index.inserted(),
            user: index.last_rows(&self.user, 1, count),
            belief_before: index.last_rows(&self.belief_before, self.clusters, count),
            belief: index.last_rows(&self.belief, self.clusters, count),
            action: index.last_rows(&self.action, self.dimensions, count),
            reward: index.last_rows(&self.reward, 1, count),
        }
    }
}

impl TransitionSlot<'_> {
    /// Writes a transition of the user with this index in the world.
    pub(crate) fn write(self, user: usize, belief_before: &[f32], belief: &[f32], action: &[f32], reward: f32) {
        *self.user = u32::try_from(user).expect("a world has at most u32::MAX users");
        self.belief_before.copy_from_slice(belief_before);
        self.belief.copy_from_slice(belief);
        self.action.copy_from_slice(action);
        *self.reward = reward;
    }
}

impl MinibatchSample {
    /// Samples the transitions of an update, uniformly with replacement.
    ///
    /// # Errors
    /// [`CpuError::Memory`] if the minibatch does not fit into memory.
    pub(crate) fn sample(
        &mut self,
        world: &World,
        replay: &Replay,
        rows: usize,
        keys: &UpdateKeys,
    ) -> Result<(), CpuError> {
        let len = replay.index.len() as u64;
        self.rows = rows;
        resize("sampled indices", &mut self.indices, rows, 0)?;
        resize("sampled rewards", &mut self.reward, rows, 0.0)?;
        let features = replay.clusters + 2 * replay.dimensions;
        resize("sampled transitions", &mut self.input, features * rows, 0.0)?;
        for (n, (row_index, reward)) in self.indices.iter_mut().zip(&mut self.reward).enumerate() {
            *row_index = index(keys.sample.fold_in(n as u64), len) as usize;
            *reward = replay.reward[*row_index];
        }
        let (states, actions) = self.input.split_at_mut((replay.clusters + replay.dimensions) * rows);
        let indices = &self.indices;
        rayon::join(
            || transpose(states, indices, |index| state(world, replay, &replay.belief_before, index)),
            || transpose(actions, indices, |index| replay.action[row(index, replay.dimensions)].iter().copied()),
        );
        Ok(())
    }

    /// Writes the next states of these rows, `[rows, K + D]`.
    pub(crate) fn next_states(&self, world: &World, replay: &Replay, rows: Range<usize>, states: &mut [f32]) {
        let states = states.chunks_exact_mut(replay.clusters + replay.dimensions);
        for (states, &index) in states.zip(&self.indices[rows]) {
            let next = state(world, replay, &replay.belief, index);
            states.iter_mut().zip(next).for_each(|(to, feature)| *to = feature);
        }
    }

    /// The states of the minibatch, `[K + D, rows]`.
    pub(crate) fn states(&self, dimensions: usize) -> &[f32] {
        &self.input[..self.input.len() - dimensions * self.rows]
    }
}

/// A state, `[K + D]`: the beliefs at a row of `beliefs`, scaled, then the user's embedding.
fn state(world: &World, replay: &Replay, beliefs: &[f32], index: usize) -> impl Iterator<Item = f32> {
    let user = replay.user[index] as usize;
    let scaled = beliefs[row(index, replay.clusters)].iter().zip(&world.belief_scale);
    let embedding = world.user_embedding[row(user, replay.dimensions)].iter().copied();
    scaled.map(|(belief, scale)| belief * scale).chain(embedding)
}

/// Writes the transpose of rows of features: `[features, rows]`.
fn transpose<I: Iterator<Item = f32>>(output: &mut [f32], rows: &[usize], features: impl Fn(usize) -> I) {
    /// Rows copied at a time: their values of one feature fill a cache line.
    const ROWS: usize = 16;
    let width = output.len() / rows.len();
    let mut packed = Vec::with_capacity(ROWS * width);
    for (block, indices) in rows.chunks(ROWS).enumerate() {
        packed.clear();
        for &index in indices {
            packed.extend(features(index));
        }
        for (feature, output) in output.chunks_exact_mut(rows.len()).enumerate() {
            let column = packed[feature..].iter().step_by(width);
            output[block * ROWS..].iter_mut().zip(column).for_each(|(to, &value)| *to = value);
        }
    }
}

/// The rows of a column in insertion order, beginning at `first` and wrapping around.
fn wrapped_rows<T: Send>(
    column: &mut [T],
    width: usize,
    first: usize,
) -> impl IndexedParallelIterator<Item = &mut [T]> {
    let (wrapped, from_first) = column.split_at_mut(first * width);
    from_first.par_chunks_exact_mut(width).chain(wrapped.par_chunks_exact_mut(width))
}

/// A column for `capacity` rows, with `rows` written at `span`.
///
/// # Errors
/// [`CpuError::Memory`] if the column does not fit into memory.
fn column<T: Copy + Default>(
    capacity: usize,
    width: usize,
    span: &InsertSpan,
    rows: &[T],
) -> Result<Vec<T>, CpuError> {
    let mut column = zeroed("replay buffer", capacity.saturating_mul(width))?;
    span.write(rows, &mut column, width);
    Ok(column)
}
