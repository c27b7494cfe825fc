//! Tables of numbers to the device and back.

use std::ops::Range;

use bytemuck::{NoUninit, Pod};
use recsim_core::backend::Pending;

use crate::CudaError;
use crate::ffi::Machine;

/// A table of these numbers; `name` says in an error what it would have held.
pub(crate) fn table<M: Machine, T: NoUninit>(
    machine: &M,
    name: &'static str,
    numbers: &[T],
) -> Result<M::Memory, CudaError> {
    let bytes = bytemuck::cast_slice(numbers);
    let mut memory = machine.zeros(name, bytes.len())?;
    machine.write(&mut memory, bytes)?;
    Ok(memory)
}

/// The first `count` numbers of a table.
pub(crate) fn numbers<M: Machine, T: Pod>(
    machine: &M,
    table: &M::Memory,
    count: usize,
) -> Result<Vec<T>, CudaError> {
    let mut numbers = vec![T::zeroed(); count];
    machine.read(table, 0, bytemuck::cast_slice_mut(&mut numbers))?;
    Ok(numbers)
}

/// Numbers of a table as they are now, on their way.
pub(crate) fn later<M: Machine, T: Pod + Send>(
    machine: &M,
    table: &M::Memory,
    range: Range<usize>,
) -> Result<Pending<Vec<T>, CudaError>, CudaError> {
    let bytes = machine.fetch(table, range.start * size_of::<T>(), range.len() * size_of::<T>())?;
    Ok(bytes.map(|bytes| bytemuck::allocation::pod_collect_to_vec(&bytes)))
}
