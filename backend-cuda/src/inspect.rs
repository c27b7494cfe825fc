//! What the device holds, shown and put back.

use recsim_core::backend::{Inspect, Pending, RoundSnapshot, StageSeconds};
use recsim_core::model::{ExactSum, Tally};
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentState, Losses};

use crate::ffi::Machine;
use crate::ffi::kernels::{LONG, SUMS, WORD};
use crate::ffi::learning::ACTING;
use crate::table::{later, numbers};
use crate::{Agent, Batch, Cuda, CudaError, Replay, World};

impl<M: Machine> Cuda<M> {
    /// The states that [`Simulate::observe`](recsim_core::backend::Simulate::observe) laid out, `[users, K + D]`.
    pub fn states(&mut self, world: &World<M>, batch: &Batch<M>) -> Result<Vec<f32>, CudaError> {
        numbers(&self.machine, &batch.state, batch.users.len() * world.shape.state_dim())
    }
}

impl<M: Machine> Inspect for Cuda<M> {
    fn tally(&mut self, world: &World<M>, batches: &[Batch<M>]) -> Result<Tally, CudaError> {
        // The batches' sums are brought together on the device, so that the host waits for one copy.
        const NUMBERS: usize = SUMS + 2;
        let Self { machine, tallies, .. } = self;
        if tallies.as_ref().is_none_or(|tallies| machine.length(tallies) < batches.len() * NUMBERS * LONG) {
            *tallies = Some(machine.zeros("tallies", batches.len() * NUMBERS * LONG)?);
        }
        let tallies = tallies.as_mut().expect("it was just made, if it was not there");
        for (n, batch) in batches.iter().enumerate() {
            machine.copy(&batch.tally, 0, tallies, n * NUMBERS * LONG, SUMS * LONG)?;
            machine.copy(&batch.acting, ACTING - 2 * LONG, tallies, (n * NUMBERS + SUMS) * LONG, 2 * LONG)?;
        }
        let sums = numbers::<M, i64>(machine, tallies, batches.len() * NUMBERS)?;
        let mut sum = Tally::default();
        for (batch, sums) in batches.iter().zip(sums.as_chunks::<NUMBERS>().0) {
            let users = batch.users.len() as u64;
            let &[accepted, improved, reward, distance, engagement, alignment, score, saturated, spoilt] = sums;
            if spoilt > 0 {
                return Err(CudaError::Action { users: batch.users.clone() });
            }
            sum += Tally {
                users,
                shown: users * world.environment.slate_len as u64,
                accepted: accepted as u64,
                improved: improved as u64,
                components: batch.components,
                saturated: saturated as u64,
                reward: ExactSum(reward),
                distance: ExactSum(distance),
                engagement: ExactSum(engagement),
                alignment: ExactSum(alignment),
                score: ExactSum(score),
            };
        }
        Ok(sum)
    }

    fn stage_seconds(&mut self, batches: &[Batch<M>]) -> Result<Option<StageSeconds>, CudaError> {
        let mut sum = StageSeconds::default();
        for batch in batches {
            if let [Some(begun), Some(acted), Some(matched), Some(done)] = &batch.marks {
                sum.policy += self.machine.between(begun, acted)?;
                sum.matching += self.machine.between(acted, matched)?;
                sum.step += self.machine.between(matched, done)?;
            }
        }
        Ok(Some(sum))
    }

    fn take_losses(&mut self, agent: &mut Agent<M>) -> Result<Losses, CudaError> {
        agent.losses(&self.machine)
    }

    fn snapshot(&mut self, batch: &Batch<M>) -> Result<RoundSnapshot, CudaError> {
        let machine = &self.machine;
        let count = |table: &M::Memory, size: usize| machine.length(table) / size;
        let floats = |table: &M::Memory| numbers::<M, f32>(machine, table, count(table, 4));
        let accepted = numbers::<M, u8>(machine, &batch.accepted, count(&batch.accepted, 1))?;
        Ok(RoundSnapshot {
            users: batch.users.clone(),
            action: floats(&batch.action)?,
            slate: numbers(machine, &batch.slate, count(&batch.slate, 4))?,
            accepted: accepted.iter().map(|&taken| taken != 0).collect(),
            belief_before: floats(&batch.belief_before)?,
            belief: floats(&batch.belief)?,
            reward: floats(&batch.reward)?,
        })
    }

    fn beliefs(&mut self, batch: &Batch<M>) -> Result<Pending<Vec<f32>, CudaError>, CudaError> {
        later(&self.machine, &batch.belief, 0..self.machine.length(&batch.belief) / WORD)
    }

    fn restore(&mut self, batch: &mut Batch<M>, snapshot: &RoundSnapshot) -> Result<(), CudaError> {
        // The kernels look items up without asking.
        assert!(snapshot.slate.iter().all(|&item| (item as usize) < batch.items), "slates hold items of the world");
        batch.given = snapshot.slate.len() / batch.users.len();
        let machine = &self.machine;
        let accepted: Vec<u8> = snapshot.accepted.iter().map(|&taken| u8::from(taken)).collect();
        machine.write(&mut batch.action, bytemuck::cast_slice(&snapshot.action))?;
        machine.write(&mut batch.slate, bytemuck::cast_slice(&snapshot.slate))?;
        machine.write(&mut batch.accepted, &accepted)?;
        machine.write(&mut batch.belief_before, bytemuck::cast_slice(&snapshot.belief_before))?;
        machine.write(&mut batch.belief, bytemuck::cast_slice(&snapshot.belief))?;
        machine.write(&mut batch.reward, bytemuck::cast_slice(&snapshot.reward))
    }

    fn transitions(
        &mut self,
        replay: &Replay<M>,
        count: usize,
    ) -> Result<Pending<Transitions, CudaError>, CudaError> {
        replay.transitions(&self.machine, count)
    }

    fn export_agent(&mut self, agent: &Agent<M>) -> Result<Pending<AgentState, CudaError>, CudaError> {
        agent.export(&self.machine)
    }
}
