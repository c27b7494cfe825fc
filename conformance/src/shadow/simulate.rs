//! The users' side of both: exactly alike.

use std::ops::Range;

use recsim_core::backend::{Backend, BackendTypes, Simulate};
use recsim_core::model::EnvironmentSpec;
use recsim_core::model::rng::Key;
use recsim_core::td3::explore::ItemExploration;
use recsim_core::td3::replay::Transitions;
use recsim_core::world::World;

use super::{Pair, Shadow, ShadowError, Stage};
use crate::compare::{Filled, exactly};

impl<A: Backend, B: Backend> Simulate for Shadow<A, B> {
    fn load_world(&mut self, world: &World<'_>, environment: &EnvironmentSpec) -> Result<Self::World, Self::Error> {
        Ok(Stage {
            first: self.first.load_world(world, environment).map_err(ShadowError::First)?,
            second: self.second.load_world(world, environment).map_err(ShadowError::Second)?,
            chosen: environment.rl_slots,
        })
    }

    fn create_batch(&mut self, world: &Self::World, users: Range<usize>) -> Result<Self::Batch, Self::Error> {
        let batch = Pair {
            first: self.first.create_batch(&world.first, users.clone()).map_err(ShadowError::First)?,
            second: self.second.create_batch(&world.second, users).map_err(ShadowError::Second)?,
        };
        self.agree("batch", Filled::Beliefs, &batch)?;
        Ok(batch)
    }

    fn reset(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        self.first.reset(&world.first, &mut batch.first).map_err(ShadowError::First)?;
        self.second.reset(&world.second, &mut batch.second).map_err(ShadowError::Second)?;
        self.agree("reset", Filled::Beliefs, batch)
    }

    fn observe(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        self.first.observe(&world.first, &mut batch.first).map_err(ShadowError::First)?;
        self.second.observe(&world.second, &mut batch.second).map_err(ShadowError::Second)
    }

    fn explore(
        &mut self,
        world: &Self::World,
        batch: &mut Self::Batch,
        trial: &ItemExploration,
    ) -> Result<(), Self::Error> {
        self.first.explore(&world.first, &mut batch.first, trial).map_err(ShadowError::First)?;
        self.second.explore(&world.second, &mut batch.second, trial).map_err(ShadowError::Second)?;
        self.agree("explore", Filled::Slates(0), batch)
    }

    fn recommend(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        self.first.recommend(&world.first, &mut batch.first).map_err(ShadowError::First)?;
        self.second.recommend(&world.second, &mut batch.second).map_err(ShadowError::Second)?;
        self.agree("recommend", Filled::Slates(world.chosen), batch)
    }

    fn show(&mut self, world: &Self::World, batch: &mut Self::Batch, items: &[u32]) -> Result<(), Self::Error> {
        self.first.show(&world.first, &mut batch.first, items).map_err(ShadowError::First)?;
        self.second.show(&world.second, &mut batch.second, items).map_err(ShadowError::Second)?;
        let users = self.first.snapshot(&batch.first).map_err(ShadowError::First)?.users.len();
        self.agree("show", Filled::Slates(items.len() / users), batch)
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
        self.agree("respond", Filled::Everything, batch)
    }

    fn create_replay(
        &mut self,
        world: &Self::World,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Self::Replay, Self::Error> {
        Ok(Pair {
            first: self.first.create_replay(&world.first, capacity, transitions).map_err(ShadowError::First)?,
            second: self.second.create_replay(&world.second, capacity, transitions).map_err(ShadowError::Second)?,
        })
    }
}

impl<A: Backend, B: Backend> Shadow<A, B> {
    fn agree(
        &mut self,
        stage: &'static str,
        filled: Filled,
        batch: &<Self as BackendTypes>::Batch,
    ) -> Result<(), <Self as BackendTypes>::Error> {
        let first = self.first.snapshot(&batch.first).map_err(ShadowError::First)?;
        let second = self.second.snapshot(&batch.second).map_err(ShadowError::Second)?;
        Ok(exactly(stage, filled, &first, &second)?)
    }
}
