//! The stages of recsim on CPU cores: dfdx autodiff with fused layers, rayon over users, exact search.
//!
//! | to find | look in |
//! |---|---|
//! | what is kept of a world and of a batch of users | [`World`], [`Batch`] |
//! | the users' side | `simulate`, on the [`best_items`] search of `search` |
//! | the agent's side | `learn`, with [`Agent`] and [`Replay`] |
//!
//! Nothing here depends on the number of threads: work is cut into tiles of one fixed size, and tiles share nothing.
#![deny(unsafe_code)]

mod agent;
mod batch;
mod error;
mod gemm;
mod inspect;
mod learn;
mod mlp;
mod optimizer;
mod replay;
mod search;
mod simulate;
mod world;

pub use agent::Agent;
pub use batch::Batch;
pub use error::CpuError;
pub use replay::Replay;
pub use search::best_items;
pub use world::World;

use pulp::Arch;
use rayon::{ThreadPool, ThreadPoolBuilder};
use recsim_core::backend::Backend;

/// The machine's cores.
///
/// ```
/// let cpu = recsim_backend_cpu::Cpu::new(Some(2))?;
/// assert_eq!(cpu.threads(), 2);
/// # Ok::<(), recsim_backend_cpu::CpuError>(())
/// ```
#[derive(Debug)]
pub struct Cpu {
    pub(crate) pool: ThreadPool,
    pub(crate) arch: Arch,
    /// Room for the states of a batch that nobody is observing now; see [`Batch`].
    pub(crate) spare_states: Vec<f32>,
}

impl Cpu {
    /// A pool of `threads` threads of its own; one for each core if not given.
    pub fn new(threads: Option<usize>) -> Result<Self, CpuError> {
        Ok(Self { pool: pool(threads)?, arch: Arch::new(), spare_states: Vec::new() })
    }

    /// Threads in use.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// The instruction set in use: `avx512`, `avx2` or `portable`. Learning is reproducible on one of them; the
    /// users' side gives the same bits on all.
    pub fn instruction_set(&self) -> &'static str {
        instruction_set(self.arch)
    }
}

impl Backend for Cpu {
    type Error = CpuError;
    type World = World;
    type Batch = Batch;
    type Agent = Agent;
    type Replay = Replay;
}

pub(crate) fn pool(threads: Option<usize>) -> Result<ThreadPool, CpuError> {
    let builder = ThreadPoolBuilder::new().thread_name(|index| format!("recsim-{index}"));
    builder.num_threads(threads.unwrap_or(0)).build().map_err(CpuError::Threads)
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn instruction_set(arch: Arch) -> &'static str {
    match arch {
        Arch::V4(_) => "avx512",
        Arch::V3(_) => "avx2",
        _ => "portable",
    }
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
fn instruction_set(_: Arch) -> &'static str {
    "portable"
}
