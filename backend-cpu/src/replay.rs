//! The ring of transitions on the CPU.

use recsim_core::replay::Ring;
use recsim_core::rng::index;
use recsim_core::td3::UpdateKeys;
use recsim_core::world::row;

use crate::error::resize;
use crate::{Batch, CpuError, World};

/// Transitions, oldest overwritten first. A user's embedding is not stored again: the world has it.
///
/// Memory is taken as transitions come, so that a small run stays small whatever the ring could hold.
#[derive(Debug)]
pub struct Replay {
    ring: Ring,
    clusters: usize,
    dimensions: usize,
    user: Vec<u32>,
    /// `[held, K]`
    belief_before: Vec<f32>,
    /// `[held, K]`
    belief: Vec<f32>,
    /// `[held, D]`
    action: Vec<f32>,
    reward: Vec<f32>,
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
    pub(crate) fn new(world: &World, capacity: usize) -> Self {
        Self {
            ring: Ring::new(capacity),
            clusters: world.shape.clusters,
            dimensions: world.shape.dimensions,
            user: Vec::new(),
            belief_before: Vec::new(),
            belief: Vec::new(),
            action: Vec::new(),
            reward: Vec::new(),
        }
    }

    /// Appends a batch's last round, in user order.
    pub(crate) fn push(&mut self, batch: &Batch) -> Result<(), CpuError> {
        let (clusters, dimensions) = (self.clusters, self.dimensions);
        let places = self.ring.push(batch.users.len());
        self.grow()?;
        for ((n, user), place) in batch.users.clone().enumerate().zip(places) {
            let Some(place) = place else { continue };
            self.user[place] = u32::try_from(user).expect("users are counted by u32, as items are");
            self.belief_before[row(place, clusters)].copy_from_slice(&batch.belief_before[row(n, clusters)]);
            self.belief[row(place, clusters)].copy_from_slice(&batch.belief[row(n, clusters)]);
            self.action[row(place, dimensions)].copy_from_slice(&batch.action[row(n, dimensions)]);
            self.reward[place] = batch.reward[n];
        }
        Ok(())
    }

    /// Room for what the ring holds now.
    fn grow(&mut self) -> Result<(), CpuError> {
        let Self { ring, clusters, dimensions, .. } = *self;
        enlarge(&mut self.user, 1, &ring)?;
        enlarge(&mut self.belief_before, clusters, &ring)?;
        enlarge(&mut self.belief, clusters, &ring)?;
        enlarge(&mut self.action, dimensions, &ring)?;
        enlarge(&mut self.reward, 1, &ring)
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
            (*sampled, *reward) = (place, replay.reward[place]);
            let action = &replay.action[row(place, replay.dimensions)];
            let features = state(world, replay, &replay.belief_before, place).chain(action);
            fill_column(&mut self.input, rows, n, features);
        }
        Ok(())
    }

    /// Writes the states that rows from `first` on led to, `[K + D, rows]`, for as many rows as `states` has room for.
    pub(crate) fn next_states(&self, world: &World, replay: &Replay, first: usize, states: &mut [f32]) {
        let width = states.len() / (replay.clusters + replay.dimensions);
        for (n, &place) in self.place[first..first + width].iter().enumerate() {
            fill_column(states, width, n, state(world, replay, &replay.belief, place));
        }
    }

    /// The sampled states, `[K + D, rows]`.
    pub(crate) fn states(&self, dimensions: usize) -> &[f32] {
        &self.input[..self.input.len() - dimensions * self.rows]
    }
}

fn state<'a>(world: &'a World, replay: &Replay, beliefs: &'a [f32], place: usize) -> impl Iterator<Item = &'a f32> {
    let user = replay.user[place] as usize;
    beliefs[row(place, replay.clusters)].iter().chain(&world.user_embedding[row(user, replay.dimensions)])
}

fn fill_column<'a>(table: &mut [f32], columns: usize, column: usize, features: impl Iterator<Item = &'a f32>) {
    for (place, &feature) in table[column..].iter_mut().step_by(columns).zip(features) {
        *place = feature;
    }
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
