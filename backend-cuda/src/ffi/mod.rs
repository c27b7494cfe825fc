//! Devices: memory, kernels and matrix products behind functions that check their arguments.
//!
//! All `unsafe` code of the crate is here.
#![expect(unsafe_code, reason = "kernels take raw pointers, and libraries are opened at run time")]

mod cublas;
mod gpu;
#[cfg(feature = "host-run")]
mod host;
pub(crate) mod learning;
mod matmul;
mod nvrtc;
pub(crate) mod simulation;

pub use gpu::Gpu;
#[cfg(feature = "host-run")]
pub use host::HostDevice;
pub use matmul::{DeviceMatrix, MatmulShape, Precision, UnknownPrecision};
pub use nvrtc::Nvrtc;

use recsim_core::backend::Pending;

use crate::CudaError;

/// A device that runs kernels one after another, in the order of their launches.
///
/// Unless a method says otherwise, it does not wait for the work that it starts. Errors of earlier work can be
/// returned by any later call.
pub trait Device {
    /// A buffer of bytes on the device, aligned for every type. Kernels may write to it through a shared reference.
    type DeviceBuffer;
    /// Compiled kernels.
    type Module;
    /// Captured launches.
    type Graph;
    /// A point in the sequence of launches.
    type Event;

    /// Number of blocks that run at a time, about; at least 1.
    fn concurrent_blocks(&self) -> usize;

    /// Rows of a matrix product in inference, for every batch size: libraries choose the order of a sum by the shape.
    fn tile_rows(&self) -> usize;

    /// Compiles `source` with compile-time `constants`, and loads its kernels.
    ///
    /// # Errors
    /// The source does not compile, or cannot be loaded.
    fn load_module(
        &self,
        unit: &'static str,
        source: &str,
        constants: &[(&str, usize)],
    ) -> Result<Self::Module, CudaError>;

    /// Allocates a buffer of zeros; `name` says in an error what it would contain.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`] if the device has no memory.
    fn alloc_zeros(&self, name: &'static str, bytes: usize) -> Result<Self::DeviceBuffer, CudaError>;

    /// The length of a buffer in bytes.
    fn buffer_len(&self, buffer: &Self::DeviceBuffer) -> usize;

    /// The address of a buffer, for kernels.
    fn address(&self, buffer: &Self::DeviceBuffer) -> u64;

    /// Copies `bytes` to the start of a buffer.
    ///
    /// # Errors
    /// The copy fails.
    ///
    /// # Panics
    /// If the buffer is shorter.
    fn write(&self, buffer: &mut Self::DeviceBuffer, bytes: &[u8]) -> Result<(), CudaError>;

    /// Copies a buffer's bytes from `offset` on into `bytes`. Waits for all work launched before.
    ///
    /// # Errors
    /// The copy, or work launched before, fails.
    ///
    /// # Panics
    /// If the buffer ends before.
    fn read(&self, buffer: &Self::DeviceBuffer, offset: usize, bytes: &mut [u8]) -> Result<(), CudaError>;

    /// A copy of `len` bytes of a buffer from `offset` on, as they are after all work launched before. Work launched
    /// later does not wait until the host has the copy.
    ///
    /// # Errors
    /// The device has no memory for the copy, or the copy cannot be started.
    ///
    /// # Panics
    /// If the buffer ends before.
    fn read_pending(
        &self,
        buffer: &Self::DeviceBuffer,
        offset: usize,
        len: usize,
    ) -> Result<Pending<Vec<u8>, CudaError>, CudaError>;

    /// Sets a buffer to zeros.
    ///
    /// # Errors
    /// The operation cannot be started.
    fn clear(&self, buffer: &mut Self::DeviceBuffer) -> Result<(), CudaError>;

    /// Copies `len` bytes of `from`, from `from_offset` on, to `to`, from `to_offset` on.
    ///
    /// # Errors
    /// The copy cannot be started.
    ///
    /// # Panics
    /// If one of the buffers ends before.
    fn copy(
        &self,
        from: &Self::DeviceBuffer,
        from_offset: usize,
        to: &mut Self::DeviceBuffer,
        to_offset: usize,
        len: usize,
    ) -> Result<(), CudaError>;

    /// Multiplies `left` and `right` into `out`, which is not transposed and does not overlap them. All are in
    /// buffers of this device.
    ///
    /// # Errors
    /// The product cannot be started.
    ///
    /// # Panics
    /// If a buffer ends before its last matrix.
    fn matmul(
        &self,
        shape: &MatmulShape,
        left: &DeviceMatrix<'_, Self::DeviceBuffer>,
        right: &DeviceMatrix<'_, Self::DeviceBuffer>,
        out: &DeviceMatrix<'_, Self::DeviceBuffer>,
    ) -> Result<(), CudaError>;

    /// Runs what `launches` launches. The device may capture it in `graph`, and launch the graph without calling
    /// `launches` again. So it must launch the same each time, with the same arguments, and must not access host
    /// memory.
    ///
    /// # Errors
    /// A launch, or the capture, fails.
    fn launch_graph(
        &self,
        graph: &mut Option<Self::Graph>,
        launches: &mut dyn FnMut() -> Result<(), CudaError>,
    ) -> Result<(), CudaError>;

    /// Records in `event` the time at which all work launched before is done.
    ///
    /// # Errors
    /// The event cannot be created or recorded.
    fn record_event(&self, event: &mut Option<Self::Event>) -> Result<(), CudaError>;

    /// Seconds from one event to another. Waits for both.
    ///
    /// # Errors
    /// Work launched before the events fails.
    fn elapsed_seconds(&self, start: &Self::Event, end: &Self::Event) -> Result<f64, CudaError>;

    /// Launches a kernel with the bytes of its arguments.
    ///
    /// # Errors
    /// The launch fails.
    ///
    /// # Safety
    /// The kernel of that name must take arguments of these sizes. It may access only buffers of this device that
    /// live until it is done, within their lengths.
    unsafe fn launch_kernel(
        &self,
        module: &Self::Module,
        kernel: &'static str,
        blocks: usize,
        threads: u32,
        arguments: &[&[u8]],
    ) -> Result<(), CudaError>;
}
