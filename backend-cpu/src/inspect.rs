//! What the CPU holds, shown and put back.

use nalgebra::DVectorView;
use rayon::prelude::*;
use recsim_core::backend::{Inspect, Pending, RoundSnapshot};
use recsim_core::model::Tally;
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentState, Losses};
use recsim_core::world::row;

use crate::error::table;
use crate::simulate::count;
use crate::{Agent, Batch, Cpu, CpuError, Replay, World};

impl Inspect for Cpu {
    fn tally(&mut self, world: &World, batches: &[Batch]) -> Result<Tally, CpuError> {
        Ok(self.pool.install(|| {
            let mut sum = Tally::default();
            for batch in batches {
                sum += tally(world, batch);
            }
            sum
        }))
    }

    fn take_losses(&mut self, agent: &mut Agent) -> Result<Losses, CpuError> {
        Ok(agent.losses())
    }

    fn snapshot(&mut self, batch: &Batch) -> Result<RoundSnapshot, CpuError> {
        let users = batch.users.len();
        let round = match self.rooms.of(batch) {
            Some(room) => RoundSnapshot {
                action: room.action.clone(),
                slate: room.slate.clone(),
                accepted: room.accepted.clone(),
                belief_before: room.belief_before.clone(),
                ..RoundSnapshot::default()
            },
            None => RoundSnapshot {
                action: table("actions", users * batch.dimensions, 0.0)?,
                slate: table("slates", users * batch.shown, 0)?,
                accepted: table("acceptances", users * batch.shown, false)?,
                belief_before: batch.belief.clone(),
                ..RoundSnapshot::default()
            },
        };
        let (belief, reward) = (batch.belief.clone(), batch.reward.clone());
        Ok(RoundSnapshot { users: batch.users.clone(), belief, reward, ..round })
    }

    fn beliefs(&mut self, batch: &Batch) -> Result<Pending<Vec<f32>, CpuError>, CpuError> {
        Ok(Pending::ready(batch.belief.clone()))
    }

    fn restore(&mut self, batch: &mut Batch, snapshot: &RoundSnapshot) -> Result<(), CpuError> {
        let room = self.rooms.enter(batch)?;
        room.action.copy_from_slice(&snapshot.action);
        room.slate.copy_from_slice(&snapshot.slate);
        room.accepted.copy_from_slice(&snapshot.accepted);
        room.belief_before.copy_from_slice(&snapshot.belief_before);
        batch.belief.copy_from_slice(&snapshot.belief);
        batch.reward.copy_from_slice(&snapshot.reward);
        for (taken, accepted) in batch.taken.iter_mut().zip(snapshot.accepted.chunks_exact(batch.shown)) {
            *taken = count(accepted);
        }
        Ok(())
    }

    fn transitions(&mut self, replay: &Replay, count: usize) -> Result<Pending<Transitions, CpuError>, CpuError> {
        Ok(Pending::ready(replay.transitions(count)))
    }

    fn export_agent(&mut self, agent: &Agent) -> Result<Pending<AgentState, CpuError>, CpuError> {
        Ok(Pending::ready(agent.export()))
    }
}

/// One batch's part. Tallies add up exactly, so that rayon may add them in any order.
fn tally(world: &World, batch: &Batch) -> Tally {
    let (clusters, shown) = (world.shape.clusters, world.environment.slate_len);
    let initial = world.initial_beliefs(&batch.users);
    let target = DVectorView::from_slice(&world.target, clusters);
    let of_user = |user: usize| {
        Tally::of_user(
            shown,
            batch.taken[user] as usize,
            &world.environment.user_model.reward,
            batch.reward[user],
            &DVectorView::from_slice(&initial[row(user, clusters)], clusters),
            &DVectorView::from_slice(&batch.belief[row(user, clusters)], clusters),
            &target,
        )
    };
    let add = |mut sum: Tally, part: Tally| {
        sum += part;
        sum
    };
    let users = (0..batch.users.len()).into_par_iter().map(of_user).reduce(Tally::default, add);
    let actions = Tally { components: batch.components, saturated: batch.saturated, ..Tally::default() };
    add(users, actions)
}
