//! The stages of recsim on an NVIDIA GPU. The kernels are compiled at run time, for the sizes of the world that is
//! loaded.
//!
//! | to find | look in |
//! |---|---|
//! | the kernels; a `.cuh` file is the twin of a file of core | `kernels/` |
//! | the device's data of a world, a batch of users, the transitions | [`World`], [`Batch`], [`Replay`] |
//! | the users' side | `simulate` |
//! | the agent's side | `learn`, with `agent`, `packed`, `pass`, `rerank` and `launch_graph` |
//! | launches, memory, and all unsafe code | `ffi` |
//! | how the kernels run without a GPU | `host/cuda.h`, `ffi/host` |
#![deny(unsafe_code)]

mod agent;
mod batch;
mod cache;
mod error;
mod ffi;
mod inspect;
mod launch_graph;
mod learn;
mod packed;
mod pass;
mod replay;
mod rerank;
mod simulate;
mod sources;
mod transfer;
mod world;

pub use agent::Agent;
pub use batch::Batch;
pub use error::CudaError;
#[cfg(feature = "host-run")]
pub use ffi::HostDevice;
pub use ffi::{Device, DeviceMatrix, Gpu, MatmulShape, Nvrtc, Precision, UnknownPrecision};
pub use replay::Replay;
pub use world::World;

use recsim_core::backend::BackendTypes;

/// The backend on an NVIDIA GPU, or on another [`Device`] that runs its kernels.
pub struct Cuda<D: Device = Gpu> {
    pub(crate) device: D,
    /// `[batches, TALLY_SUMS + 2]`: all batches' tallies of a round.
    pub(crate) tallies: Option<D::DeviceBuffer>,
    /// Agents loaded so far.
    num_agents: u64,
}

impl Cuda {
    /// The backend on the first GPU of this computer, with float32 matrix products.
    ///
    /// ```
    /// use recsim_core::backend::{BackendError, ErrorKind};
    /// match recsim_backend_cuda::Cuda::new() {
    ///     Ok(_) => println!("there is a GPU"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`Gpu::new`].
    pub fn new() -> Result<Self, CudaError> {
        Gpu::new(Precision::default()).map(Self::on)
    }
}

impl<D: Device> Cuda<D> {
    /// The backend on a device.
    pub fn on(device: D) -> Self {
        Self { device, tallies: None, num_agents: 0 }
    }
}

impl<D: Device> BackendTypes for Cuda<D> {
    type Error = CudaError;
    type World = World<D>;
    type Batch = Batch<D>;
    type Agent = Agent<D>;
    type Replay = Replay<D>;
}

/// Compiles every kernel for a compute capability, such as 90 for 9.0, with a world's constants (`K`, `D`,
/// `PRETRAINED_LEN`, `RL_SLOTS`, `SLATE_LEN`), and returns the compiler's warnings. It needs no GPU.
///
/// # Errors
/// NVRTC fails, or rejects a kernel.
pub fn compile_all(compiler: Nvrtc, constants: &[(&str, usize)], capability: i32) -> Result<String, CudaError> {
    let options = compiler.options(constants, capability)?;
    let units = sources::UNITS.iter();
    units.map(|(unit, _)| Ok(compiler.compile(unit, &sources::unit_source(unit), &options)?.warnings)).collect()
}
