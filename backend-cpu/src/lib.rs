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
mod aligned;
mod batch;
mod block;
mod elementary;
mod error;
mod gemm;
mod inspect;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_instructions.rs")]
mod instructions;
mod isa;
mod learn;
mod mlp;
mod noise;
mod optimizer;
#[cfg(test)]
mod properties;
mod refine;
mod replay;
mod room;
mod search;
mod simulate;
mod world;

pub use agent::Agent;
pub use batch::Batch;
pub use error::CpuError;
pub use isa::InstructionSet;
pub use replay::Replay;
pub use search::best_items;
pub use world::World;

use isa::Processor;
use rayon::{ThreadPool, ThreadPoolBuilder};
use recsim_core::backend::BackendTypes;
use room::Rooms;

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
    pub(crate) isa: InstructionSet,
    pub(crate) processor: Processor,
    pub(crate) rooms: Rooms,
    /// Batches there have been.
    pub(crate) batches: u64,
}

impl Cpu {
    /// A pool of `threads` threads of its own, one for each core if not given, on the machine's best instruction set.
    pub fn new(threads: Option<usize>) -> Result<Self, CpuError> {
        Self::on(InstructionSet::best(), threads)
    }

    /// The same on an instruction set of the caller's choice: learning gives the same bits on every machine that has
    /// it.
    pub fn on(isa: InstructionSet, threads: Option<usize>) -> Result<Self, CpuError> {
        let processor = Processor::of(isa).ok_or(CpuError::InstructionSet(isa))?;
        Ok(Self { pool: pool(threads)?, isa, processor, rooms: Rooms::default(), batches: 0 })
    }

    /// Threads in use.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// The instruction set in use.
    pub fn instruction_set(&self) -> InstructionSet {
        self.isa
    }
}

impl BackendTypes for Cpu {
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
