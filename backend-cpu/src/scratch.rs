//! Scratch buffers of a round: arrays that are needed only while a batch is processed, and that other batches reuse.

use crate::Batch;
use crate::error::{CpuError, resize};

/// The arrays of a batch's round, row-major, one row a user.
#[derive(Debug, Default)]
pub(crate) struct RoundScratch {
    /// The id of the batch whose round it is or was; 0 if none.
    batch_id: u64,
    /// Whether another batch may take the buffer: its round has ended, or none began.
    pub(crate) is_free: bool,
    /// `[users, K + D]`
    pub(crate) state: Vec<f32>,
    /// `[users, D]`
    pub(crate) action: Vec<f32>,
    /// `[users, slate_len]`
    pub(crate) slate: Vec<u32>,
    /// `[users, slate_len]`
    pub(crate) accepted: Vec<bool>,
    /// `[users, K]`, before the round
    pub(crate) belief_before: Vec<f32>,
}

/// The scratch buffers: one, unless batches are interleaved within a round.
#[derive(Debug, Default)]
pub(crate) struct ScratchPool(Vec<RoundScratch>);

impl ScratchPool {
    /// The batch's buffer, if it still has one.
    pub(crate) fn get(&mut self, batch: &Batch) -> Option<&mut RoundScratch> {
        self.0.iter_mut().find(|scratch| scratch.batch_id == batch.id)
    }

    /// The batch's buffer. A batch without one gets a free or new one, filled with zeros and with the batch's current
    /// beliefs.
    ///
    /// # Errors
    /// [`CpuError::Memory`] if its arrays do not fit into memory.
    pub(crate) fn acquire(&mut self, batch: &Batch) -> Result<&mut RoundScratch, CpuError> {
        let (scratch, is_own) = self.find_or_create(batch)?;
        if !is_own {
            scratch.state.fill(0.0);
            scratch.action.fill(0.0);
            scratch.slate.fill(0);
            scratch.accepted.fill(false);
        }
        Ok(scratch)
    }

    /// The batch's buffer for a round that begins. Its arrays may hold another round's values: the round overwrites
    /// them.
    ///
    /// # Errors
    /// [`CpuError::Memory`] if its arrays do not fit into memory.
    pub(crate) fn acquire_for_new_round(&mut self, batch: &Batch) -> Result<&mut RoundScratch, CpuError> {
        let (scratch, _) = self.find_or_create(batch)?;
        scratch.is_free = false;
        Ok(scratch)
    }

    /// The batch's buffer, and whether it already belonged to the batch.
    fn find_or_create(&mut self, batch: &Batch) -> Result<(&mut RoundScratch, bool), CpuError> {
        let buffers = &mut self.0;
        let own = buffers.iter().position(|scratch| scratch.batch_id == batch.id);
        let index = own.or_else(|| buffers.iter().position(|scratch| scratch.is_free)).unwrap_or(buffers.len());
        if index == buffers.len() {
            buffers.push(RoundScratch::default());
        }
        let scratch = &mut buffers[index];
        if own.is_none() {
            scratch.assign(batch)?;
        }
        Ok((scratch, own.is_some()))
    }
}

impl RoundScratch {
    /// Resizes the arrays for the batch and assigns the buffer to it.
    fn assign(&mut self, batch: &Batch) -> Result<(), CpuError> {
        let Batch { id, dimensions, slate_len, .. } = *batch;
        let users = batch.users.len();
        // Unassigned until every allocation has succeeded.
        (self.batch_id, self.is_free) = (0, true);
        resize("states", &mut self.state, batch.belief.len() + users * dimensions, 0.0)?;
        resize("actions", &mut self.action, users * dimensions, 0.0)?;
        resize("slates", &mut self.slate, users * slate_len, 0)?;
        resize("acceptances", &mut self.accepted, users * slate_len, false)?;
        resize("beliefs", &mut self.belief_before, batch.belief.len(), 0.0)?;
        self.belief_before.copy_from_slice(&batch.belief);
        self.batch_id = id;
        Ok(())
    }
}
