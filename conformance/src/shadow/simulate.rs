//! Simulation: both backends must have the same bits.

use std::ops::Range;

use recsim_core::backend::{Backend, BackendTypes, Simulate};
use recsim_core::model::EnvironmentSpec;
use recsim_core::model::rng::Key;
use recsim_core::td3::explore::ItemExploration;
use recsim_core::td3::replay::Transitions;
use recsim_core::world::World;

use super::{Shadow, ShadowError, ShadowPair, ShadowWorld};
use crate::compare::{FilledFields, compare_exactly};

impl<A: Backend, B: Backend> Simulate for Shadow<A, B> {
    fn load_world(&mut self, world: &World<'_>, environment: &EnvironmentSpec) -> Result<Self::World, Self::Error> {
        Ok(ShadowWorld {
            first: self.first.load_world(world, environment).map_err(ShadowError::First)?,
            second: self.second.load_world(world, environment).map_err(ShadowError::Second)?,
            rl_slots: environment.rl_slots,
        })
    }

    fn create_batch(&mut self, world: &Self::World, users: Range<usize>) -> Result<Self::Batch, Self::Error> {
        let batch = ShadowPair {
            first: self.first.create_batch(&world.first, users.clone()).map_err(ShadowError::First)?,
            second: self.second.create_batch(&world.second, users).map_err(ShadowError::Second)?,
        };
        self.compare_batches("batch", FilledFields::Beliefs, &batch)?;
        Ok(batch)
    }

    fn reset(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        self.first.reset(&world.first, &mut batch.first).map_err(ShadowError::First)?;
        self.second.reset(&world.second, &mut batch.second).map_err(ShadowError::Second)?;
        self.compare_batches("reset", FilledFields::Beliefs, batch)
    }

    fn observe(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        self.first.observe(&world.first, &mut batch.first).map_err(ShadowError::First)?;
        self.second.observe(&world.second, &mut batch.second).map_err(ShadowError::Second)
    }

    fn explore(
        &mut self,
        world: &Self::World,
        batch: &mut Self::Batch,
        exploration: &ItemExploration,
    ) -> Result<(), Self::Error> {
        self.first.explore(&world.first, &mut batch.first, exploration).map_err(ShadowError::First)?;
        self.second.explore(&world.second, &mut batch.second, exploration).map_err(ShadowError::Second)?;
        self.compare_batches("explore", FilledFields::Slates(0), batch)
    }

    fn recommend(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        self.first.recommend(&world.first, &mut batch.first).map_err(ShadowError::First)?;
        self.second.recommend(&world.second, &mut batch.second).map_err(ShadowError::Second)?;
        self.compare_batches("recommend", FilledFields::Slates(world.rl_slots), batch)
    }

    fn show(&mut self, world: &Self::World, batch: &mut Self::Batch, items: &[u32]) -> Result<(), Self::Error> {
        self.first.show(&world.first, &mut batch.first, items).map_err(ShadowError::First)?;
        self.second.show(&world.second, &mut batch.second, items).map_err(ShadowError::Second)?;
        let users = self.first.snapshot(&batch.first).map_err(ShadowError::First)?.users.len();
        self.compare_batches("show", FilledFields::Slates(items.len() / users), batch)
    }

    fn respond(
        &mut self,
        world: &Self::World,
        batch: &mut Self::Batch,
        round: Key,
        replay: Option<&mut Self::Replay>,
    ) -> Result<(), Self::Error> {
        let (first, second) = replay.map(|replay| (&mut replay.first, &mut replay.second)).unzip();
        self.first.respond(&world.first, &mut batch.first, round, first).map_err(ShadowError::First)?;
        self.second.respond(&world.second, &mut batch.second, round, second).map_err(ShadowError::Second)?;
        self.compare_batches("respond", FilledFields::All, batch)
    }

    fn create_replay(
        &mut self,
        world: &Self::World,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Self::Replay, Self::Error> {
        Ok(ShadowPair {
            first: self.first.create_replay(&world.first, capacity, transitions).map_err(ShadowError::First)?,
            second: self.second.create_replay(&world.second, capacity, transitions).map_err(ShadowError::Second)?,
        })
    }
}

impl<A: Backend, B: Backend> Shadow<A, B> {
    /// Compares the `filled` fields of a batch on both backends.
    ///
    /// # Errors
    /// A backend fails, or they differ.
    fn compare_batches(
        &mut self,
        stage: &'static str,
        filled: FilledFields,
        batch: &<Self as BackendTypes>::Batch,
    ) -> Result<(), <Self as BackendTypes>::Error> {
        let first = self.first.snapshot(&batch.first).map_err(ShadowError::First)?;
        let second = self.second.snapshot(&batch.second).map_err(ShadowError::Second)?;
        Ok(compare_exactly(stage, filled, &first, &second)?)
    }
}
