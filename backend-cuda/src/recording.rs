//! Launches that are handed over once and then repeated.

use crate::CudaError;
use crate::ffi::Machine;

/// Launches, recorded with what they were made for.
pub(crate) struct Recording<M: Machine> {
    sequence: Option<M::Sequence>,
    of: Vec<u64>,
}

impl<M: Machine> Default for Recording<M> {
    fn default() -> Self {
        Self { sequence: None, of: Vec::new() }
    }
}

impl<M: Machine> Recording<M> {
    /// Does what `launches` launches, which must be the same whenever `of`, whatever it stands for, is the same.
    pub(crate) fn repeat(
        &mut self,
        machine: &M,
        of: Vec<u64>,
        launches: &mut dyn FnMut() -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        if self.of != of {
            *self = Self { sequence: None, of };
        }
        machine.repeat(&mut self.sequence, launches)
    }
}
