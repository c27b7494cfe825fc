//! The users' side on the device.

use std::ops::Range;

use recsim_core::backend::Simulate;
use recsim_core::model::EnvironmentSpec;
use recsim_core::model::rng::Key;
use recsim_core::td3::explore::ItemExploration;
use recsim_core::td3::replay::Transitions;
use recsim_core::world::{World as HostWorld, row};

use crate::ffi::Machine;
use crate::ffi::kernels::Tables;
use crate::{Batch, Cuda, CudaError, Replay, World};

impl<M: Machine> Simulate for Cuda<M> {
    fn load_world(&mut self, world: &HostWorld<'_>, environment: &EnvironmentSpec) -> Result<World<M>, CudaError> {
        World::new(&self.machine, world, environment)
    }

    fn create_batch(&mut self, world: &World<M>, users: Range<usize>) -> Result<Batch<M>, CudaError> {
        Batch::new(&self.machine, world, users)
    }

    fn reset(&mut self, world: &World<M>, batch: &mut Batch<M>) -> Result<(), CudaError> {
        batch.reset(&self.machine, world)
    }

    fn observe(&mut self, world: &World<M>, batch: &mut Batch<M>) -> Result<(), CudaError> {
        self.machine.mark(&mut batch.marks[0])?;
        let users = (batch.users.start, batch.users.len());
        let site = world.site(&self.machine);
        site.observe(
            &world.observe,
            users,
            (&batch.belief, &world.belief_scale),
            &world.embedding,
            &mut batch.state,
        )
    }

    fn explore(
        &mut self,
        world: &World<M>,
        batch: &mut Batch<M>,
        trial: &ItemExploration,
    ) -> Result<(), CudaError> {
        let users = (batch.users.start, batch.users.len());
        let site = world.site(&self.machine);
        site.explore_items(&world.observe, users, trial, &world.rows, &mut batch.action)?;
        self.machine.mark(&mut batch.marks[1])
    }

    fn recommend(&mut self, world: &World<M>, batch: &mut Batch<M>) -> Result<(), CudaError> {
        let (count, site) = (batch.users.len(), world.site(&self.machine));
        batch.given = world.environment.rl_slots;
        let Batch { action, lists, slate, parts, .. } = batch;
        site.recommend(&world.recommend, (0, count), *parts, action, &world.catalogue(), lists, slate)?;
        self.machine.mark(&mut batch.marks[2])
    }

    fn show(&mut self, world: &World<M>, batch: &mut Batch<M>, items: &[u32]) -> Result<(), CudaError> {
        let (shape, shown) = (&world.shape, world.environment.slate_len);
        // The kernels look items up without asking.
        assert!(items.iter().all(|&item| (item as usize) < shape.items), "slates hold items of the world");
        batch.given = items.len() / batch.users.len();
        let mut slates = vec![0; batch.users.len() * shown];
        for n in 0..batch.users.len() {
            slates[row(n, shown)][..batch.given].copy_from_slice(&items[row(n, batch.given)]);
        }
        self.machine.write(&mut batch.slate, bytemuck::cast_slice::<u32, u8>(&slates))?;
        self.machine.mark(&mut batch.marks[2])
    }

    fn respond(
        &mut self,
        world: &World<M>,
        batch: &mut Batch<M>,
        round: Key,
        replay: Option<&mut Replay<M>>,
    ) -> Result<(), CudaError> {
        self.machine.clear(&mut batch.tally)?;
        let users = (batch.users.start, batch.users.len());
        let mut tables = Tables {
            target: &world.target,
            item: &world.item,
            pretrained: &world.pretrained,
            initial: &world.initial,
            slate: &mut batch.slate,
            given: batch.given,
            accepted: &mut batch.accepted,
            belief_before: &mut batch.belief_before,
            belief: &mut batch.belief,
            reward: &mut batch.reward,
            tally: &mut batch.tally,
            action: &batch.action,
        };
        if let Some(replay) = &replay {
            replay.suits(&world.shape);
        }
        let replay = replay.map(|replay| (replay.push(users.1), replay));
        let site = world.site(&self.machine);
        site.respond(&world.respond, users, &world.rules, &mut tables, replay, round.bits())?;
        self.machine.mark(&mut batch.marks[3])
    }

    fn create_replay(
        &mut self,
        world: &World<M>,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Replay<M>, CudaError> {
        Replay::new(&self.machine, world, capacity, transitions)
    }
}
