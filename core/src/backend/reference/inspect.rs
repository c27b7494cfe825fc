//! Reading and writing the state. Everything is on the host, so copies are ready at once.

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
        let (clusters, slate_len) = (world.shape.clusters, world.environment.slate_len);
        let rule = &world.environment.user_model.reward;
        let beliefs = |array, n| row_view(array, n, clusters);
        let target = beliefs(&world.target, 0);
        let mut tally = Tally::default();
        for batch in batches {
            tally.components += batch.components;
            tally.saturated += batch.saturated;
            for (n, user) in batch.users.clone().enumerate() {
                let accepted = batch.accepted[row(n, slate_len)].iter().filter(|&&is_accepted| is_accepted).count();
                let (initial, now) = (beliefs(&world.user_belief, user), beliefs(&batch.belief, n));
                tally += Tally::of_user(slate_len, accepted, rule, batch.reward[n], &initial, &now, &target);
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
        let Replay { index, user, belief_before, belief, action, reward } = replay;
        let count = count.min(index.len());
        let floats = |column: &[f32]| index.last_rows(column, column.len() / index.len().max(1), count);
        Ok(Pending::ready(Transitions {
            inserted: index.inserted(),
            user: index.last_rows(user, 1, count),
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

/// Row `n` of an array of `width` columns, as a vector.
fn row_view(array: &[f32], n: usize, width: usize) -> DVectorView<'_, f32> {
    DVectorView::from_slice(&array[row(n, width)], width)
}
