//! The stages of recsim on an NVIDIA GPU: own kernels, compiled for the world's sizes when it is brought to the device.
//!
//! | to find | look in |
//! |---|---|
//! | the kernels, named after core's files | `kernels/` |
//! | what is kept of a world, of a batch of users and of transitions | [`World`], [`Batch`], [`Replay`] |
//! | the users' side | `simulate` |
//! | the agent's side | `learn`, with `agent`, `flat`, `pass` and `recording` |
//! | launching, memory, and all the unsafe code | `ffi` |
//! | how the kernels run where there is no GPU | `host/cuda.h`, `ffi/host` |
#![deny(unsafe_code)]

mod agent;
mod batch;
mod cache;
mod error;
mod ffi;
mod flat;
mod inspect;
mod learn;
mod pass;
mod recording;
mod refine;
mod replay;
mod simulate;
mod sources;
mod table;
mod world;

pub use agent::Agent;
pub use batch::Batch;
pub use error::CudaError;
#[cfg(feature = "host-run")]
pub use ffi::Host;
pub use ffi::{Gpu, Machine, Matrix, Nvrtc, Precision, Product, UnknownPrecision};
pub use replay::Replay;
pub use world::World;

use recsim_core::backend::BackendTypes;

/// An NVIDIA GPU, or another [`Machine`] that runs its kernels.
pub struct Cuda<M: Machine = Gpu> {
    pub(crate) machine: M,
    /// `[batches, SUMS]`: where a round's tallies are brought together.
    pub(crate) tallies: Option<M::Memory>,
    /// Agents made so far.
    agents: u64,
}

impl Cuda {
    /// The machine's first GPU.
    ///
    /// ```
    /// use recsim_core::backend::{BackendError, ErrorKind};
    /// match recsim_backend_cuda::Cuda::new() {
    ///     Ok(_) => println!("there is a GPU"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
    /// }
    /// ```
    pub fn new() -> Result<Self, CudaError> {
        Gpu::new(Precision::default()).map(Self::on)
    }
}

impl<M: Machine> Cuda<M> {
    /// The stages on a machine.
    pub fn on(machine: M) -> Self {
        Self { machine, tallies: None, agents: 0 }
    }
}

impl<M: Machine> BackendTypes for Cuda<M> {
    type Error = CudaError;
    type World = World<M>;
    type Batch = Batch<M>;
    type Agent = Agent<M>;
    type Replay = Replay<M>;
}

/// Compiles every kernel for GPUs of a capability, such as 90 for 9.0, with a world's constants (`K`, `D`, `LIST`,
/// `CHOSEN`, `SHOWN`), and gives the compiler's warnings. It needs no GPU.
pub fn compile_all(compiler: Nvrtc, constants: &[(&str, usize)], capability: i32) -> Result<String, CudaError> {
    let options = compiler.options(constants, capability)?;
    let units = sources::UNITS.iter();
    units.map(|(unit, _)| Ok(compiler.compile(unit, &sources::unit(unit), &options)?.warnings)).collect()
}
