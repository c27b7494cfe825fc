//! The users' side on the device.

use std::ops::Range;

use recsim_core::backend::Simulate;
use recsim_core::model::EnvironmentSpec;
use recsim_core::model::rng::Key;
use recsim_core::td3::explore::ItemExploration;
use recsim_core::td3::replay::Transitions;
use recsim_core::world::{World as HostWorld, row};

use crate::ffi::Device;
use crate::ffi::simulation::RespondBuffers;
use crate::{Batch, Cuda, CudaError, Replay, World};

impl<D: Device> Simulate for Cuda<D> {
    fn load_world(&mut self, world: &HostWorld<'_>, environment: &EnvironmentSpec) -> Result<World<D>, CudaError> {
        World::new(&self.device, world, environment)
    }

    fn create_batch(&mut self, world: &World<D>, users: Range<usize>) -> Result<Batch<D>, CudaError> {
        Batch::new(&self.device, world, users)
    }

    fn reset(&mut self, world: &World<D>, batch: &mut Batch<D>) -> Result<(), CudaError> {
        batch.reset(&self.device, world)
    }

    fn observe(&mut self, world: &World<D>, batch: &mut Batch<D>) -> Result<(), CudaError> {
        self.device.record_event(&mut batch.events[0])?;
        let users = (batch.users.start, batch.users.len());
        world.kernels(&self.device).observe(
            &world.observe,
            users,
            (&batch.belief, &world.belief_scale),
            &world.user_embedding,
            &mut batch.state,
        )
    }

    fn explore(
        &mut self,
        world: &World<D>,
        batch: &mut Batch<D>,
        exploration: &ItemExploration,
    ) -> Result<(), CudaError> {
        let users = (batch.users.start, batch.users.len());
        let kernels = world.kernels(&self.device);
        kernels.explore_items(&world.observe, users, exploration, &world.rows, &mut batch.action)?;
        self.device.record_event(&mut batch.events[1])
    }

    fn recommend(&mut self, world: &World<D>, batch: &mut Batch<D>) -> Result<(), CudaError> {
        let (count, kernels) = (batch.users.len(), world.kernels(&self.device));
        batch.given = world.environment.rl_slots;
        let Batch { action, lists, slate, num_parts, .. } = batch;
        kernels.recommend(&world.recommend, (0, count), *num_parts, action, &world.item_matrix(), lists, slate)?;
        self.device.record_event(&mut batch.events[2])
    }

    fn show(&mut self, world: &World<D>, batch: &mut Batch<D>, items: &[u32]) -> Result<(), CudaError> {
        let (num_items, slate_len) = (world.shape.items, world.environment.slate_len);
        // The kernels do not check items.
        assert!(items.iter().all(|&item| (item as usize) < num_items), "slates contain items of the world");
        batch.given = items.len() / batch.users.len();
        let mut slates = vec![0; batch.users.len() * slate_len];
        for n in 0..batch.users.len() {
            slates[row(n, slate_len)][..batch.given].copy_from_slice(&items[row(n, batch.given)]);
        }
        self.device.write(&mut batch.slate, bytemuck::cast_slice::<u32, u8>(&slates))?;
        self.device.record_event(&mut batch.events[2])
    }

    fn respond(
        &mut self,
        world: &World<D>,
        batch: &mut Batch<D>,
        round: Key,
        replay: Option<&mut Replay<D>>,
    ) -> Result<(), CudaError> {
        self.device.clear(&mut batch.tally)?;
        let users = (batch.users.start, batch.users.len());
        let mut buffers = RespondBuffers {
            target: &world.target,
            item: &world.item,
            pretrained: &world.pretrained,
            initial_belief: &world.initial_belief,
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
            replay.assert_world(&world.shape);
        }
        let replay = replay.map(|replay| (replay.insert(users.1), replay));
        let kernels = world.kernels(&self.device);
        kernels.respond(&world.respond, users, &world.user_model, &mut buffers, replay, round.bits())?;
        self.device.record_event(&mut batch.events[3])
    }

    fn create_replay(
        &mut self,
        world: &World<D>,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Replay<D>, CudaError> {
        Replay::new(&self.device, world, capacity, transitions)
    }
}
