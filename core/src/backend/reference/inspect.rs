//! Everything is on the host already.

use nalgebra::DVectorView;

use super::{Agent, Batch, Reference, Replay, World};
use crate::backend::{Inspect, Pending, RoundSnapshot};
use crate::model::Tally;
use crate::model::math::Real;
use crate::td3::replay::Transitions;
use crate::td3::{AgentState, Losses};
use crate::world::row;

impl<T: Real> Inspect for Reference<T> {
    fn tally(&mut self, world: &World, batches: &[Batch]) -> Result<Tally, Self::Error> {
        let (clusters, shown) = (world.shape.clusters, world.environment.slate_len);
        let rule = &world.environment.user_model.reward;
        let beliefs = |table, n| row_of(table, n, clusters);
        let target = beliefs(&world.target, 0);
        let mut tally = Tally::default();
        for batch in batches {
            tally.components += batch.components;
            tally.saturated += batch.saturated;
            for (n, user) in batch.users.clone().enumerate() {
                let accepted = batch.accepted[row(n, shown)].iter().filter(|&&taken| taken).count();
                let (initial, now) = (beliefs(&world.user_belief, user), beliefs(&batch.belief, n));
                tally += Tally::of_user(shown, accepted, rule, batch.reward[n], &initial, &now, &target);
            }
        }
        Ok(tally)
    }

    fn take_losses(&mut self, agent: &mut Agent<T>) -> Result<Losses, Self::Error> {
        Ok(core::mem::take(&mut agent.losses))
    }

    fn snapshot(&mut self, batch: &Batch) -> Result<RoundSnapshot, Self::Error> {
        Ok(RoundSnapshot {
            users: batch.users.clone(),
            action: batch.action.clone(),
            slate: batch.slate.clone(),
            accepted: batch.accepted.clone(),
            belief_before: batch.belief_before.clone(),
            belief: batch.belief.clone(),
            reward: batch.reward.clone(),
        })
    }

    fn restore(&mut self, batch: &mut Batch, snapshot: &RoundSnapshot) -> Result<(), Self::Error> {
        batch.action.copy_from_slice(&snapshot.action);
        batch.slate.copy_from_slice(&snapshot.slate);
        batch.accepted.copy_from_slice(&snapshot.accepted);
        batch.belief_before.copy_from_slice(&snapshot.belief_before);
        batch.belief.copy_from_slice(&snapshot.belief);
        batch.reward.copy_from_slice(&snapshot.reward);
        Ok(())
    }

    fn transitions(
        &mut self,
        replay: &Replay,
        count: usize,
    ) -> Result<Pending<Transitions, Self::Error>, Self::Error> {
        let Replay { ring, user, belief_before, belief, action, reward } = replay;
        let count = count.min(ring.len());
        let floats = |column: &[f32]| ring.last_rows(column, column.len() / ring.len().max(1), count);
        Ok(Pending::ready(Transitions {
            inserted: ring.inserted(),
            user: ring.last_rows(user, 1, count),
            belief_before: floats(belief_before),
            belief: floats(belief),
            action: floats(action),
            reward: floats(reward),
        }))
    }

    fn export_agent(&mut self, agent: &Agent<T>) -> Result<Pending<AgentState, Self::Error>, Self::Error> {
        Ok(Pending::ready(agent.export()))
    }
}

fn row_of(table: &[f32], n: usize, width: usize) -> DVectorView<'_, f32> {
    DVectorView::from_slice(&table[row(n, width)], width)
}
