//! The users' side on the CPU.

use std::mem::take;
use std::ops::Range;

use nalgebra::{DVector, DVectorView, DVectorViewMut};
use rayon::prelude::*;
use recsim_core::backend::Simulate;
use recsim_core::config::Environment;
use recsim_core::replay::Transitions;
use recsim_core::rng::Key;
use recsim_core::slate::fill;
use recsim_core::user::step;
use recsim_core::world::{Shape, World as HostWorld};

use crate::error::resize;
use crate::replay::Place;
use crate::search::TILE;
use crate::{Batch, Cpu, CpuError, Replay, World};

impl Simulate for Cpu {
    fn world(&mut self, world: &HostWorld<'_>, environment: &Environment) -> Result<World, CpuError> {
        Ok(World::new(world, environment, self.arch))
    }

    fn batch(&mut self, world: &World, users: Range<usize>) -> Result<Batch, CpuError> {
        Batch::new(world, users)
    }

    fn reset(&mut self, world: &World, batch: &mut Batch) -> Result<(), CpuError> {
        batch.belief.copy_from_slice(world.initial_beliefs(&batch.users));
        Ok(())
    }

    fn observe(&mut self, world: &World, batch: &mut Batch) -> Result<(), CpuError> {
        let (clusters, dimensions, width) = (world.shape.clusters, world.shape.dimensions, world.shape.state());
        if batch.state.is_empty() {
            batch.state = take(&mut self.spare_states);
        }
        resize("states", &mut batch.state, batch.users.len() * width, 0.0)?;
        let embeddings = world.embeddings(&batch.users).par_chunks_exact(dimensions);
        let rows = batch.belief.par_chunks_exact(clusters).zip(embeddings).with_min_len(TILE);
        self.pool.install(|| {
            batch.state.par_chunks_exact_mut(width).zip(rows).for_each(|(state, (belief, embedding))| {
                state[..clusters].copy_from_slice(belief);
                state[clusters..].copy_from_slice(embedding);
            });
        });
        Ok(())
    }

    fn recommend(&mut self, world: &World, batch: &mut Batch) -> Result<(), CpuError> {
        let (dimensions, list) = (world.shape.dimensions, world.shape.list);
        let Environment { chosen, shown, .. } = world.environment;
        if let Some(place) = batch.action.iter().position(|x| !x.is_finite()) {
            return Err(CpuError::Action { user: batch.users.start + place / dimensions });
        }
        let slates = batch.slate.par_chunks_mut(TILE * shown);
        let actions = batch.action.par_chunks(TILE * dimensions);
        let lists = world.lists(&batch.users).par_chunks(TILE * list);
        self.pool.install(|| {
            slates.zip(actions).zip(lists).for_each(|((slates, actions), lists)| {
                world.catalogue.best(actions, slates, shown, chosen);
                for (slate, list) in slates.chunks_exact_mut(shown).zip(lists.chunks_exact(list)) {
                    fill(slate, chosen, list);
                }
            });
        });
        Ok(())
    }

    fn respond(
        &mut self,
        world: &World,
        batch: &mut Batch,
        round: Key,
        replay: Option<&mut Replay>,
    ) -> Result<(), CpuError> {
        match replay {
            Some(replay) => {
                let places = replay.push(batch.users.len())?;
                self.pool.install(|| respond(world, batch, round, places));
            }
            None => {
                let nowhere = (0..batch.users.len()).into_par_iter().map(|_| None);
                self.pool.install(|| respond(world, batch, round, nowhere));
            }
        }
        if !batch.state.is_empty() {
            self.spare_states = take(&mut batch.state);
        }
        Ok(())
    }

    fn replay(&mut self, world: &World, capacity: usize, transitions: &Transitions) -> Result<Replay, CpuError> {
        Ok(Replay::new(world, capacity, transitions))
    }
}

/// Lets every user respond, and writes the transitions where they have a place.
fn respond<'a>(
    world: &World,
    batch: &mut Batch,
    round: Key,
    places: impl IndexedParallelIterator<Item = Option<Place<'a>>>,
) {
    let Shape { clusters, dimensions, .. } = world.shape;
    let shown = world.environment.shown;
    let first = batch.users.start;
    let target = DVectorView::from_slice(&world.target, clusters);
    let item = |item: u32| {
        let (cluster, distance) = world.item[item as usize];
        (cluster as usize, distance)
    };
    let slates = batch.slate.par_chunks_exact(shown).zip(batch.accepted.par_chunks_exact_mut(shown));
    let moves = batch.belief_before.par_chunks_exact_mut(clusters).zip(batch.belief.par_chunks_exact_mut(clusters));
    let worth = batch.action.par_chunks_exact(dimensions).zip(&mut batch.reward);
    slates.zip(moves).zip(worth).zip(places).enumerate().with_min_len(TILE).for_each_init(
        || DVector::zeros(clusters),
        |counts, (n, ((((slate, accepted), (before, belief)), (action, reward)), place))| {
            let user = first + n;
            *reward = step(
                &world.environment.rules,
                &target,
                &item,
                slate,
                &mut round.with(user as u64),
                &mut DVectorViewMut::from_slice(belief, clusters),
                &mut DVectorViewMut::from_slice(before, clusters),
                &mut counts.column_mut(0),
                accepted,
            );
            if let Some(place) = place {
                place.fill(user, before, belief, action, *reward);
            }
        },
    );
}
