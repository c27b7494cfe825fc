//! The ring of transitions on the CPU.

use rayon::prelude::*;
use recsim_core::replay::{Ring, Span, Transitions};
use recsim_core::rng::index;
use recsim_core::td3::UpdateKeys;
use recsim_core::world::{Shape, row};

use crate::error::resize;
use crate::{CpuError, World};

/// Transitions, oldest overwritten first. A user's embedding is not stored again: the world has it.
///
/// Memory is taken as transitions come, so that a small run stays small whatever the ring could hold.
#[derive(Debug)]
pub struct Replay {
    ring: Ring,
    clusters: usize,
    dimensions: usize,
    held: Transitions,
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
    pub(crate) fn new(world: &World, capacity: usize, transitions: &Transitions) -> Self {
        let Shape { clusters, dimensions, .. } = world.shape;
        Self { ring: Ring::holding(capacity, transitions), clusters, dimensions, held: transitions.clone() }
    }

    /// Makes room for `count` transitions: the place of each, in order, where it has one.
    pub(crate) fn push(
        &mut self,
        count: usize,
    ) -> Result<impl IndexedParallelIterator<Item = Option<Place<'_>>>, CpuError> {
        let Span { skipped, first, .. } = self.ring.push(count);
        let Self { ring, clusters, dimensions, held } = self;
        held.next = ring.next_place();
        let places = around(&mut held.user, 1, ring, first)?
            .zip(around(&mut held.belief_before, *clusters, ring, first)?)
            .zip(around(&mut held.belief, *clusters, ring, first)?)
            .zip(around(&mut held.action, *dimensions, ring, first)?)
            .zip(around(&mut held.reward, 1, ring, first)?)
            .map(|((((user, belief_before), belief), action), reward)| {
                Some(Place { user: &mut user[0], belief_before, belief, action, reward: &mut reward[0] })
            });
        Ok((0..skipped).into_par_iter().map(|_| None).chain(places))
    }

    pub(crate) fn transitions(&self) -> Transitions {
        self.held.clone()
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
        let held = replay.ring.held() as u64;
        self.rows = rows;
        resize("sampled places", &mut self.place, rows, 0)?;
        resize("sampled rewards", &mut self.reward, rows, 0.0)?;
        let features = replay.clusters + 2 * replay.dimensions;
        resize("sampled transitions", &mut self.input, features * rows, 0.0)?;
        for (n, (sampled, reward)) in self.place.iter_mut().zip(&mut self.reward).enumerate() {
            let place = index(keys.sample.with(n as u64), held) as usize;
            (*sampled, *reward) = (place, replay.held.reward[place]);
            let action = &replay.held.action[row(place, replay.dimensions)];
            let features = state(world, replay, &replay.held.belief_before, place).chain(action);
            fill_column(&mut self.input, rows, n, features);
        }
        Ok(())
    }

    /// Writes the states that rows from `first` on led to, `[K + D, rows]`, for as many rows as `states` has room for.
    pub(crate) fn next_states(&self, world: &World, replay: &Replay, first: usize, states: &mut [f32]) {
        let width = states.len() / (replay.clusters + replay.dimensions);
        for (n, &place) in self.place[first..first + width].iter().enumerate() {
            fill_column(states, width, n, state(world, replay, &replay.held.belief, place));
        }
    }

    /// The sampled states, `[K + D, rows]`.
    pub(crate) fn states(&self, dimensions: usize) -> &[f32] {
        &self.input[..self.input.len() - dimensions * self.rows]
    }
}

fn state<'a>(world: &'a World, replay: &Replay, beliefs: &'a [f32], place: usize) -> impl Iterator<Item = &'a f32> {
    let user = replay.held.user[place] as usize;
    beliefs[row(place, replay.clusters)].iter().chain(&world.user_embedding[row(user, replay.dimensions)])
}

fn fill_column<'a>(table: &mut [f32], columns: usize, column: usize, features: impl Iterator<Item = &'a f32>) {
    for (place, &feature) in table[column..].iter_mut().step_by(columns).zip(features) {
        *place = feature;
    }
}

/// A column's rows from the one at `first` on, around the ring, once there is room for what it holds now.
fn around<'a, T: Clone + Default + Send>(
    column: &'a mut Vec<T>,
    width: usize,
    ring: &Ring,
    first: usize,
) -> Result<impl IndexedParallelIterator<Item = &'a mut [T]>, CpuError> {
    enlarge(column, width, ring)?;
    let (later, sooner) = column.split_at_mut(first * width);
    Ok(sooner.par_chunks_exact_mut(width).chain(later.par_chunks_exact_mut(width)))
}

/// Grows a column of the ring to `held` rows, by doubling, and never beyond what the ring can hold.
fn enlarge<T: Clone + Default>(column: &mut Vec<T>, width: usize, ring: &Ring) -> Result<(), CpuError> {
    let needed = ring.held() * width;
    if needed > column.capacity() {
        let room = needed.max(2 * column.capacity()).min(ring.capacity() * width);
        let failed = |_| CpuError::Memory { table: "replay ring", elements: room };
        column.try_reserve_exact(room - column.len()).map_err(failed)?;
    }
    column.resize(needed, T::default());
    Ok(())
}
