//! Reads back and restores the state of the CPU backend.

use nalgebra::DVectorView;
use rayon::prelude::*;
use recsim_core::backend::{Inspect, Pending, RoundSnapshot};
use recsim_core::model::Tally;
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentState, Losses};
use recsim_core::world::row;

use crate::error::filled;
use crate::simulate::count_accepted;
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
        Ok(agent.take_losses())
    }

    fn snapshot(&mut self, batch: &Batch) -> Result<RoundSnapshot, CpuError> {
        let users = batch.users.len();
        let round = match self.scratch.get(batch) {
            Some(scratch) => RoundSnapshot {
                action: scratch.action.clone(),
                slate: scratch.slate.clone(),
                accepted: scratch.accepted.clone(),
                belief_before: scratch.belief_before.clone(),
                ..RoundSnapshot::default()
            },
            None => RoundSnapshot {
                action: filled("actions", users * batch.dimensions, 0.0)?,
                slate: filled("slates", users * batch.slate_len, 0)?,
                accepted: filled("acceptances", users * batch.slate_len, false)?,
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
        let scratch = self.scratch.acquire(batch)?;
        scratch.action.copy_from_slice(&snapshot.action);
        scratch.slate.copy_from_slice(&snapshot.slate);
        scratch.accepted.copy_from_slice(&snapshot.accepted);
        scratch.belief_before.copy_from_slice(&snapshot.belief_before);
        batch.belief.copy_from_slice(&snapshot.belief);
        batch.reward.copy_from_slice(&snapshot.reward);
        for (accepted_count, accepted) in
            batch.accepted_counts.iter_mut().zip(snapshot.accepted.chunks_exact(batch.slate_len))
        {
            *accepted_count = count_accepted(accepted);
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

/// The tally of one batch. Tallies add up exactly, so rayon may add them in any order.
fn tally(world: &World, batch: &Batch) -> Tally {
    let (clusters, slate_len) = (world.shape.clusters, world.environment.slate_len);
    let initial = world.initial_beliefs(&batch.users);
    let target = DVectorView::from_slice(&world.target, clusters);
    let user_tally = |user: usize| {
        Tally::of_user(
            slate_len,
            batch.accepted_counts[user] as usize,
            &world.environment.user_model.reward,
            batch.reward[user],
            &DVectorView::from_slice(&initial[row(user, clusters)], clusters),
            &DVectorView::from_slice(&batch.belief[row(user, clusters)], clusters),
            &target,
        )
    };
    let add = |mut sum: Tally, user: Tally| {
        sum += user;
        sum
    };
    let users = (0..batch.users.len()).into_par_iter().map(user_tally).reduce(Tally::default, add);
    let actions = Tally { components: batch.components, saturated: batch.saturated, ..Tally::default() };
    add(users, actions)
}
