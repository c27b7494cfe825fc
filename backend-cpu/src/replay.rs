//! The ring of transitions on the CPU.

use std::ops::Range;

use rayon::prelude::*;
use recsim_core::model::rng::index;
use recsim_core::td3::UpdateKeys;
use recsim_core::td3::replay::{InsertSpan, ReplayIndex, Transitions};
use recsim_core::world::{WorldShape, row};

use crate::error::{resize, zeroed};
use crate::{CpuError, World};

/// Transitions, oldest overwritten first. A user's embedding is not stored again: the world has it.
///
/// All its addresses are taken at once, as zeros, which systems lend without memory behind them. That is taken as
/// transitions come, by whoever writes them: a small run stays small whatever the ring could hold.
#[derive(Debug)]
pub struct Replay {
    ring: ReplayIndex,
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

/// A place in the ring, for a transition to be written to.
pub(crate) struct Place<'a> {
    user: &'a mut u32,
    belief_before: &'a mut [f32],
    belief: &'a mut [f32],
    action: &'a mut [f32],
    reward: &'a mut f32,
}

/// The transitions of one update, feature by feature.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) rows: usize,
    /// Where each row lies in the ring.
    place: Vec<usize>,
    /// `[K + D + D, rows]`: states, then actions.
    pub(crate) input: Vec<f32>,
    /// `[rows]`
    pub(crate) reward: Vec<f32>,
}

impl Replay {
    pub(crate) fn new(world: &World, capacity: usize, transitions: &Transitions) -> Result<Self, CpuError> {
        let WorldShape { clusters, dimensions, .. } = world.shape;
        let mut ring = ReplayIndex::before_inserting(capacity, transitions);
        let span = ring.insert(transitions.user.len());
        Ok(Self {
            ring,
            clusters,
            dimensions,
            user: column(capacity, 1, &span, &transitions.user)?,
            belief_before: column(capacity, clusters, &span, &transitions.belief_before)?,
            belief: column(capacity, clusters, &span, &transitions.belief)?,
            action: column(capacity, dimensions, &span, &transitions.action)?,
            reward: column(capacity, 1, &span, &transitions.reward)?,
        })
    }

    /// Makes room for `count` transitions: the place of each, in order, where it has one.
    pub(crate) fn push(&mut self, count: usize) -> impl IndexedParallelIterator<Item = Option<Place<'_>>> {
        let InsertSpan { skipped, first, .. } = self.ring.insert(count);
        let (clusters, dimensions) = (self.clusters, self.dimensions);
        let places = around(&mut self.user, 1, first)
            .zip(around(&mut self.belief_before, clusters, first))
            .zip(around(&mut self.belief, clusters, first))
            .zip(around(&mut self.action, dimensions, first))
            .zip(around(&mut self.reward, 1, first))
            .map(|((((user, belief_before), belief), action), reward)| {
                Some(Place { user: &mut user[0], belief_before, belief, action, reward: &mut reward[0] })
            });
        (0..skipped).into_par_iter().map(|_| None).chain(places)
    }

    pub(crate) fn transitions(&self, count: usize) -> Transitions {
        let ring = &self.ring;
        Transitions {
            inserted: ring.inserted(),
            user: ring.last_rows(&self.user, 1, count),
            belief_before: ring.last_rows(&self.belief_before, self.clusters, count),
            belief: ring.last_rows(&self.belief, self.clusters, count),
            action: ring.last_rows(&self.action, self.dimensions, count),
            reward: ring.last_rows(&self.reward, 1, count),
        }
    }
}

impl Place<'_> {
    /// Writes a transition of the user with this index in the world.
    pub(crate) fn fill(self, user: usize, belief_before: &[f32], belief: &[f32], action: &[f32], reward: f32) {
        *self.user = u32::try_from(user).expect("worlds count by u32");
        self.belief_before.copy_from_slice(belief_before);
        self.belief.copy_from_slice(belief);
        self.action.copy_from_slice(action);
        *self.reward = reward;
    }
}

impl Sample {
    /// Draws the transitions of an update.
    pub(crate) fn draw(
        &mut self,
        world: &World,
        replay: &Replay,
        rows: usize,
        keys: &UpdateKeys,
    ) -> Result<(), CpuError> {
        let held = replay.ring.len() as u64;
        self.rows = rows;
        resize("sampled places", &mut self.place, rows, 0)?;
        resize("sampled rewards", &mut self.reward, rows, 0.0)?;
        let features = replay.clusters + 2 * replay.dimensions;
        resize("sampled transitions", &mut self.input, features * rows, 0.0)?;
        for (n, (sampled, reward)) in self.place.iter_mut().zip(&mut self.reward).enumerate() {
            *sampled = index(keys.sample.fold_in(n as u64), held) as usize;
            *reward = replay.reward[*sampled];
        }
        let (states, actions) = self.input.split_at_mut((replay.clusters + replay.dimensions) * rows);
        let place = &self.place;
        rayon::join(
            || turn(states, place, |place| state(world, replay, &replay.belief_before, place)),
            || turn(actions, place, |place| replay.action[row(place, replay.dimensions)].iter().copied()),
        );
        Ok(())
    }

    /// Writes the states that these rows led to, `[rows, K + D]`.
    pub(crate) fn next_states(&self, world: &World, replay: &Replay, rows: Range<usize>, states: &mut [f32]) {
        let states = states.chunks_exact_mut(replay.clusters + replay.dimensions);
        for (states, &place) in states.zip(&self.place[rows]) {
            let next = state(world, replay, &replay.belief, place);
            states.iter_mut().zip(next).for_each(|(place, feature)| *place = feature);
        }
    }

    /// The sampled states, `[K + D, rows]`.
    pub(crate) fn states(&self, dimensions: usize) -> &[f32] {
        &self.input[..self.input.len() - dimensions * self.rows]
    }
}

fn state(world: &World, replay: &Replay, beliefs: &[f32], place: usize) -> impl Iterator<Item = f32> {
    let user = replay.user[place] as usize;
    let seen = beliefs[row(place, replay.clusters)].iter().zip(&world.belief_scale);
    let embedding = world.user_embedding[row(user, replay.dimensions)].iter().copied();
    seen.map(|(belief, scale)| belief * scale).chain(embedding)
}

/// Writes rows' features feature by feature: `[features, rows]`.
fn turn<I: Iterator<Item = f32>>(table: &mut [f32], rows: &[usize], features: impl Fn(usize) -> I) {
    /// Rows at a time: what lies side by side in the table is a line of the cache.
    const ROWS: usize = 16;
    let width = table.len() / rows.len();
    let mut lying = Vec::with_capacity(ROWS * width);
    for (block, places) in rows.chunks(ROWS).enumerate() {
        lying.clear();
        for &place in places {
            lying.extend(features(place));
        }
        for (feature, table) in table.chunks_exact_mut(rows.len()).enumerate() {
            let column = lying[feature..].iter().step_by(width);
            table[block * ROWS..].iter_mut().zip(column).for_each(|(place, &number)| *place = number);
        }
    }
}

/// A column's rows from the one at `first` on, around the ring.
fn around<T: Send>(column: &mut [T], width: usize, first: usize) -> impl IndexedParallelIterator<Item = &mut [T]> {
    let (later, sooner) = column.split_at_mut(first * width);
    sooner.par_chunks_exact_mut(width).chain(later.par_chunks_exact_mut(width))
}

/// A column for `capacity` rows, which holds `rows` in their places.
fn column<T: Copy + Default>(
    capacity: usize,
    width: usize,
    span: &InsertSpan,
    rows: &[T],
) -> Result<Vec<T>, CpuError> {
    let mut column = zeroed("replay ring", capacity.saturating_mul(width))?;
    span.write(rows, &mut column, width);
    Ok(column)
}
