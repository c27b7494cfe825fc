//! Reading the device's state, and restoring it.

use recsim_core::backend::{Inspect, Pending, RoundSnapshot, StageSeconds};
use recsim_core::model::{ExactSum, Tally};
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentState, Losses};

use crate::ffi::Device;
use crate::ffi::learning::ACTION_ROUND_BYTES;
use crate::ffi::simulation::{LONG_BYTES, TALLY_SUMS, WORD_BYTES};
use crate::transfer::{download, download_pending};
use crate::{Agent, Batch, Cuda, CudaError, Replay, World};

impl<D: Device> Cuda<D> {
    /// The states that [`Simulate::observe`](recsim_core::backend::Simulate::observe) computed, `[users, K + D]`.
    ///
    /// # Errors
    /// The copy, or work launched before, fails.
    pub fn states(&mut self, world: &World<D>, batch: &Batch<D>) -> Result<Vec<f32>, CudaError> {
        download(&self.device, &batch.state, batch.users.len() * world.shape.state_dim())
    }
}

impl<D: Device> Inspect for Cuda<D> {
    fn tally(&mut self, world: &World<D>, batches: &[Batch<D>]) -> Result<Tally, CudaError> {
        // The batches' sums are gathered on the device, so that the host waits for one copy.
        const BATCH_SUMS: usize = TALLY_SUMS + 2;
        let Self { device, tallies, .. } = self;
        let bytes = batches.len() * BATCH_SUMS * LONG_BYTES;
        if tallies.as_ref().is_none_or(|tallies| device.buffer_len(tallies) < bytes) {
            *tallies = Some(device.alloc_zeros("tallies", bytes)?);
        }
        let tallies = tallies.as_mut().expect("it was just allocated, if it was missing");
        for (n, batch) in batches.iter().enumerate() {
            let offset = n * BATCH_SUMS * LONG_BYTES;
            device.copy(&batch.tally, 0, tallies, offset, TALLY_SUMS * LONG_BYTES)?;
            device.copy(
                &batch.action_round,
                ACTION_ROUND_BYTES - 2 * LONG_BYTES,
                tallies,
                offset + TALLY_SUMS * LONG_BYTES,
                2 * LONG_BYTES,
            )?;
        }
        let sums = download::<D, i64>(device, tallies, batches.len() * BATCH_SUMS)?;
        let mut sum = Tally::default();
        for (batch, sums) in batches.iter().zip(sums.as_chunks::<BATCH_SUMS>().0) {
            let users = batch.users.len() as u64;
            let &[accepted, improved, reward, distance, engagement, alignment, score, saturated, non_finite] = sums;
            if non_finite > 0 {
                return Err(CudaError::NonFiniteAction { users: batch.users.clone() });
            }
            sum += Tally {
                users,
                shown: users * world.environment.slate_len as u64,
                accepted: accepted as u64,
                improved: improved as u64,
                components: batch.num_components,
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

    fn stage_seconds(&mut self, batches: &[Batch<D>]) -> Result<Option<StageSeconds>, CudaError> {
        let mut sum = StageSeconds::default();
        for batch in batches {
            if let [Some(start), Some(policy_end), Some(matching_end), Some(step_end)] = &batch.events {
                sum.policy += self.device.elapsed_seconds(start, policy_end)?;
                sum.matching += self.device.elapsed_seconds(policy_end, matching_end)?;
                sum.step += self.device.elapsed_seconds(matching_end, step_end)?;
            }
        }
        Ok(Some(sum))
    }

    fn take_losses(&mut self, agent: &mut Agent<D>) -> Result<Losses, CudaError> {
        agent.take_losses(&self.device)
    }

    fn snapshot(&mut self, batch: &Batch<D>) -> Result<RoundSnapshot, CudaError> {
        let device = &self.device;
        let len = |buffer: &D::DeviceBuffer, element_bytes: usize| device.buffer_len(buffer) / element_bytes;
        let floats = |buffer: &D::DeviceBuffer| download::<D, f32>(device, buffer, len(buffer, WORD_BYTES));
        let accepted = download::<D, u8>(device, &batch.accepted, len(&batch.accepted, 1))?;
        Ok(RoundSnapshot {
            users: batch.users.clone(),
            action: floats(&batch.action)?,
            slate: download(device, &batch.slate, len(&batch.slate, WORD_BYTES))?,
            accepted: accepted.iter().map(|&byte| byte != 0).collect(),
            belief_before: floats(&batch.belief_before)?,
            belief: floats(&batch.belief)?,
            reward: floats(&batch.reward)?,
        })
    }

    fn beliefs(&mut self, batch: &Batch<D>) -> Result<Pending<Vec<f32>, CudaError>, CudaError> {
        download_pending(&self.device, &batch.belief, 0..self.device.buffer_len(&batch.belief) / WORD_BYTES)
    }

    fn restore(&mut self, batch: &mut Batch<D>, snapshot: &RoundSnapshot) -> Result<(), CudaError> {
        // The kernels do not check items.
        assert!(
            snapshot.slate.iter().all(|&item| (item as usize) < batch.num_items),
            "a snapshot's slates contain items of the world"
        );
        batch.given = snapshot.slate.len() / batch.users.len();
        let device = &self.device;
        let accepted: Vec<u8> = snapshot.accepted.iter().map(|&is_accepted| u8::from(is_accepted)).collect();
        device.write(&mut batch.action, bytemuck::cast_slice(&snapshot.action))?;
        device.write(&mut batch.slate, bytemuck::cast_slice(&snapshot.slate))?;
        device.write(&mut batch.accepted, &accepted)?;
        device.write(&mut batch.belief_before, bytemuck::cast_slice(&snapshot.belief_before))?;
        device.write(&mut batch.belief, bytemuck::cast_slice(&snapshot.belief))?;
        device.write(&mut batch.reward, bytemuck::cast_slice(&snapshot.reward))
    }

    fn transitions(
        &mut self,
        replay: &Replay<D>,
        count: usize,
    ) -> Result<Pending<Transitions, CudaError>, CudaError> {
        replay.transitions(&self.device, count)
    }

    fn export_agent(&mut self, agent: &Agent<D>) -> Result<Pending<AgentState, CudaError>, CudaError> {
        agent.export(&self.device)
    }
}
