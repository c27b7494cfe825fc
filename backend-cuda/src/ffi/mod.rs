//! Where Rust ends: memory and kernels of a machine, behind functions that check what they are given.
//!
//! All of the crate's `unsafe` is here.
#![expect(unsafe_code, reason = "kernels take raw pointers, and libraries are opened at run time")]

mod cublas;
mod gpu;
#[cfg(feature = "host-run")]
mod host;
pub(crate) mod kernels;
pub(crate) mod learning;
mod nvrtc;
mod product;

pub use gpu::Gpu;
#[cfg(feature = "host-run")]
pub use host::Host;
pub use nvrtc::Nvrtc;
pub use product::{Matrix, Precision, Product, UnknownPrecision};

use recsim_core::backend::Pending;

use crate::CudaError;

/// A device that runs kernels, one after the other, in the order in which they are launched.
pub trait Machine {
    /// A table of bytes on the device, aligned for any type. The device may write to it whoever else looks at it.
    type Memory;
    /// Compiled kernels.
    type Module;
    /// What was launched once, to be launched again.
    type Sequence;
    /// When something was done.
    type Mark;

    /// Blocks of threads that it runs at a time, or a few more: at least 1.
    fn blocks(&self) -> usize;

    /// Rows that inference multiplies at a time, whatever the batch: libraries choose how they add up by shape.
    fn tile(&self) -> usize;

    /// Compiles `source`; `constants` are its compile-time constants.
    fn module(
        &self,
        unit: &'static str,
        source: &str,
        constants: &[(&str, usize)],
    ) -> Result<Self::Module, CudaError>;

    /// A table of zeros; `table` says in an error what it would have held.
    fn zeros(&self, table: &'static str, bytes: usize) -> Result<Self::Memory, CudaError>;

    /// The length of a table in bytes.
    fn length(&self, memory: &Self::Memory) -> usize;

    /// Where a table lies, to the kernels.
    fn address(&self, memory: &Self::Memory) -> u64;

    /// Copies `bytes` to the beginning of a table.
    ///
    /// # Panics
    /// If the table is shorter.
    fn write(&self, memory: &mut Self::Memory, bytes: &[u8]) -> Result<(), CudaError>;

    /// Copies a table's bytes from `first` on, having waited for all work launched before.
    ///
    /// # Panics
    /// If the table ends before.
    fn read(&self, memory: &Self::Memory, first: usize, bytes: &mut [u8]) -> Result<(), CudaError>;

    /// A copy of a table's bytes from `first` on, as they are when all work launched before is done. Whoever waits for it
    /// holds up nobody else.
    ///
    /// # Panics
    /// If the table ends before.
    fn fetch(
        &self,
        memory: &Self::Memory,
        first: usize,
        bytes: usize,
    ) -> Result<Pending<Vec<u8>, CudaError>, CudaError>;

    /// Makes a table all zeros.
    fn clear(&self, memory: &mut Self::Memory) -> Result<(), CudaError>;

    /// Copies `bytes` bytes from one table, from `first` on, into another, from `place` on.
    ///
    /// # Panics
    /// If one of them ends before.
    fn copy(
        &self,
        from: &Self::Memory,
        first: usize,
        to: &mut Self::Memory,
        place: usize,
        bytes: usize,
    ) -> Result<(), CudaError>;

    /// Multiplies `left` and `right` into `out`, which is not turned and is none of them. All lie in tables of this
    /// machine.
    ///
    /// # Panics
    /// If a table ends before its last matrix.
    fn multiply(
        &self,
        product: &Product,
        left: &Matrix<'_, Self::Memory>,
        right: &Matrix<'_, Self::Memory>,
        out: &Matrix<'_, Self::Memory>,
    ) -> Result<(), CudaError>;

    /// Does what `launches` launches. The machine may keep it in `kept`, and then repeat it without asking: so it must be
    /// the same each time, argument by argument, and touch no host memory.
    fn repeat(
        &self,
        kept: &mut Option<Self::Sequence>,
        launches: &mut dyn FnMut() -> Result<(), CudaError>,
    ) -> Result<(), CudaError>;

    /// Notes, in `kept`, when all work launched before is done.
    fn mark(&self, kept: &mut Option<Self::Mark>) -> Result<(), CudaError>;

    /// Seconds from one moment to another; waits until both have been.
    fn between(&self, from: &Self::Mark, to: &Self::Mark) -> Result<f64, CudaError>;

    /// Launches a kernel with the bytes of its arguments.
    ///
    /// # Safety
    /// The kernel of that name must take arguments of these sizes, and may touch only tables of this machine that live
    /// until it is done, within their lengths.
    unsafe fn launch(
        &self,
        module: &Self::Module,
        kernel: &'static str,
        blocks: usize,
        threads: u32,
        arguments: &[&[u8]],
    ) -> Result<(), CudaError>;
}
