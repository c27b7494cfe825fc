//! State transfer: tallies, losses and agents of both backends are compared when they are read.

use std::slice::from_ref;

use recsim_core::backend::{Backend, Inspect, Pending, RoundSnapshot};
use recsim_core::model::Tally;
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentState, Losses};

use super::{Shadow, ShadowError, Tolerance};
use crate::compare::{Difference, value_difference};

impl<A: Backend, B: Backend> Inspect for Shadow<A, B> {
    fn tally(&mut self, world: &Self::World, batches: &[Self::Batch]) -> Result<Tally, Self::Error> {
        let (mut first, mut second) = (Tally::default(), Tally::default());
        for batch in batches {
            first += self.first.tally(&world.first, from_ref(&batch.first)).map_err(ShadowError::First)?;
            second += self.second.tally(&world.second, from_ref(&batch.second)).map_err(ShadowError::Second)?;
        }
        let max_difference = self.tolerance.saturated * first.components as f64;
        let expected = Tally { saturated: first.saturated, ..second };
        if first != expected || first.saturated.abs_diff(second.saturated) as f64 > max_difference {
            return Err(value_difference("tally", "tally", &first, &second).into());
        }
        Ok(first)
    }

    fn take_losses(&mut self, agent: &mut Self::Agent) -> Result<Losses, Self::Error> {
        let losses = self.first.take_losses(&mut agent.first).map_err(ShadowError::First)?;
        let second_losses = self.second.take_losses(&mut agent.second).map_err(ShadowError::Second)?;
        self.tolerance.compare_losses(&losses, &second_losses)?;
        let first = self.first.export_agent(&agent.first).and_then(Pending::wait).map_err(ShadowError::First)?;
        let second =
            self.second.export_agent(&agent.second).and_then(Pending::wait).map_err(ShadowError::Second)?;
        self.tolerance.compare_agents(&agent.start, &first, &second)?;
        agent.second = self.second.load_agent(&agent.spec, &first).map_err(ShadowError::Second)?;
        agent.start = first;
        Ok(losses)
    }

    fn snapshot(&mut self, batch: &Self::Batch) -> Result<RoundSnapshot, Self::Error> {
        self.first.snapshot(&batch.first).map_err(ShadowError::First)
    }

    fn beliefs(&mut self, batch: &Self::Batch) -> Result<Pending<Vec<f32>, Self::Error>, Self::Error> {
        first_pending(self.first.beliefs(&batch.first))
    }

    fn restore(&mut self, batch: &mut Self::Batch, snapshot: &RoundSnapshot) -> Result<(), Self::Error> {
        self.first.restore(&mut batch.first, snapshot).map_err(ShadowError::First)?;
        self.second.restore(&mut batch.second, snapshot).map_err(ShadowError::Second)
    }

    fn transitions(
        &mut self,
        replay: &Self::Replay,
        count: usize,
    ) -> Result<Pending<Transitions, Self::Error>, Self::Error> {
        first_pending(self.first.transitions(&replay.first, count))
    }

    fn export_agent(&mut self, agent: &Self::Agent) -> Result<Pending<AgentState, Self::Error>, Self::Error> {
        first_pending(self.first.export_agent(&agent.first))
    }
}

/// The first backend's pending value, with its errors as [`ShadowError::First`].
fn first_pending<T: Send + 'static, A: 'static, B: 'static>(
    pending: Result<Pending<T, A>, A>,
) -> Result<Pending<T, ShadowError<A, B>>, ShadowError<A, B>> {
    let pending = pending.map_err(ShadowError::First)?;
    Ok(Pending::new(|| pending.wait().map_err(ShadowError::First)))
}

impl Tolerance {
    /// # Errors
    /// The numbers of updates differ, or a sum differs by more than the tolerance. Sums that are not finite on both
    /// backends count as equal.
    fn compare_losses(&self, first: &Losses, second: &Losses) -> Result<(), Difference> {
        let updates = first.critic_updates;
        if (updates, first.policy_updates) != (second.critic_updates, second.policy_updates) {
            return Err(value_difference("losses", "updates", first, second));
        }
        let sums = |losses: &Losses| {
            let &Losses { critic_loss, actor_loss, q_value, target_value, .. } = losses;
            let norms = (losses.critic_gradient_norm, losses.actor_gradient_norm);
            [critic_loss, actor_loss, q_value, target_value, norms.0, norms.1]
        };
        let names =
            ["critic_loss", "actor_loss", "q_value", "target_value", "critic_gradient_norm", "actor_gradient_norm"];
        for ((name, a), b) in names.into_iter().zip(sums(first)).zip(sums(second)) {
            let both_diverged = !a.is_finite() && !b.is_finite();
            let is_close = (a - b).abs() <= self.losses * a.abs().max(updates as f64);
            if !(both_diverged || is_close) {
                return Err(value_difference("losses", name, &a, &b));
            }
        }
        Ok(())
    }

    /// Compares two agents that were equal at `start`.
    ///
    /// # Errors
    /// The first buffer that differs by more than the tolerance.
    fn compare_agents(
        &self,
        start: &AgentState,
        first: &AgentState,
        second: &AgentState,
    ) -> Result<(), Difference> {
        let counts = |agent: &AgentState| (agent.critic_updates, agent.policy_updates);
        if counts(first) != counts(second) {
            return Err(value_difference("losses", "updates", &counts(first), &counts(second)));
        }
        for network in 0..3 {
            let weights = [
                ("networks", &start.networks, &first.networks, &second.networks),
                ("targets", &start.targets, &first.targets, &second.targets),
            ];
            for (field, start, first, second) in weights {
                let (start, first, second) = (&start[network], &first[network], &second[network]);
                for (start, first, second) in [
                    (&start.parameters, &first.parameters, &second.parameters),
                    (&start.running_stats, &first.running_stats, &second.running_stats),
                ] {
                    let change = difference_norm(start, first);
                    self.compare_buffers(field, network, self.weights * change, first, second)?;
                }
            }
            let (first, second) = (&first.moments[network], &second.moments[network]);
            for (first, second) in [(&first.first, &second.first), (&first.second, &second.second)] {
                self.compare_buffers("moments", network, self.moments * norm(first), first, second)?;
            }
        }
        Ok(())
    }

    /// # Errors
    /// The norm of the difference exceeds `max` plus the rounding of each value; the error names the element that
    /// differs most.
    fn compare_buffers(
        &self,
        field: &'static str,
        network: usize,
        max: f64,
        first: &[f32],
        second: &[f32],
    ) -> Result<(), Difference> {
        let difference = difference_norm(first, second);
        if difference <= max + f64::from(f32::EPSILON) * norm(first) {
            return Ok(());
        }
        let element_difference = |&(_, (a, b)): &(usize, (&f32, &f32))| (a - b).abs();
        let worst = first
            .iter()
            .zip(second)
            .enumerate()
            .max_by(|a, b| element_difference(a).total_cmp(&element_difference(b)));
        let (index, (a, b)) = worst.expect("buffers that differ are not empty");
        let value = |x| {
            format!(
                "{x} in network {network} (the norm of the buffers' difference is {difference:e}, allowed are {max:e})"
            )
        };
        Err(Difference { index, first: value(a), second: value(b), ..value_difference("losses", field, a, b) })
    }
}

/// The Euclidean norm.
fn norm(buffer: &[f32]) -> f64 {
    buffer.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

/// The Euclidean norm of `a - b`.
fn difference_norm(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}
