//! Typed copies between the host and a device's buffers.

use std::ops::Range;

use bytemuck::{NoUninit, Pod};
use recsim_core::backend::Pending;

use crate::CudaError;
use crate::ffi::Device;

/// A new buffer with these values; `name` says in an error what the buffer would contain.
///
/// # Errors
/// The device has no memory, or the copy fails.
pub(crate) fn upload<D: Device, T: NoUninit>(
    device: &D,
    name: &'static str,
    values: &[T],
) -> Result<D::DeviceBuffer, CudaError> {
    let bytes = bytemuck::cast_slice(values);
    let mut buffer = device.alloc_zeros(name, bytes.len())?;
    device.write(&mut buffer, bytes)?;
    Ok(buffer)
}

/// The first `count` elements of a buffer. Waits for all work launched before.
///
/// # Errors
/// The copy, or work launched before, fails.
pub(crate) fn download<D: Device, T: Pod>(
    device: &D,
    buffer: &D::DeviceBuffer,
    count: usize,
) -> Result<Vec<T>, CudaError> {
    let mut values = vec![T::zeroed(); count];
    device.read(buffer, 0, bytemuck::cast_slice_mut(&mut values))?;
    Ok(values)
}

/// The elements in `range` of a buffer as they are after all work launched before. Does not wait.
///
/// # Errors
/// The device has no memory for the copy, or the copy cannot be started.
pub(crate) fn download_pending<D: Device, T: Pod + Send>(
    device: &D,
    buffer: &D::DeviceBuffer,
    range: Range<usize>,
) -> Result<Pending<Vec<T>, CudaError>, CudaError> {
    let bytes = device.read_pending(buffer, range.start * size_of::<T>(), range.len() * size_of::<T>())?;
    Ok(bytes.map(|bytes| bytemuck::allocation::pod_collect_to_vec(&bytes)))
}
