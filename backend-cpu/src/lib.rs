//! The CPU backend of recsim: dfdx autodiff with fused layers, rayon over users, exact item search.
//!
//! | to find | look in |
//! |---|---|
//! | the arrays of a world and of a batch of users | [`World`], [`Batch`] |
//! | the users' side: observe, explore, recommend, respond | `simulate`, on the [`best_items`] search of `search` |
//! | the learning side: act, re-rank, update | `learn`, with [`Agent`] and [`Replay`] |
//! | instruction sets | [`InstructionSet`], and `intrinsics` for what `pulp` does not offer |
//!
//! No result depends on the number of threads: work is split into tiles of one fixed size, and tiles share no data.
#![deny(unsafe_code)]

mod agent;
mod aligned;
mod batch;
mod bf16_block;
mod elementary;
mod error;
mod gemm;
mod inspect;
mod instruction_set;
mod intrinsics;
mod learn;
mod mlp;
mod noise;
mod optimizer;
#[cfg(test)]
mod properties;
mod replay;
mod rerank;
mod scratch;
mod search;
mod simulate;
#[cfg(test)]
mod skip;
mod thread_pool;
mod world;

pub use agent::Agent;
pub use batch::Batch;
pub use error::CpuError;
pub use instruction_set::InstructionSet;
pub use replay::Replay;
pub use search::best_items;
pub use world::World;

use mlp::Processor;
use rayon::ThreadPool;
use recsim_core::backend::BackendTypes;
use scratch::ScratchPool;
use thread_pool::thread_pool;

/// The CPU backend: a thread pool, an instruction set and scratch buffers.
///
/// ```
/// let cpu = recsim_backend_cpu::Cpu::new(Some(2))?;
/// assert_eq!(cpu.threads(), 2);
/// # Ok::<(), recsim_backend_cpu::CpuError>(())
/// ```
#[derive(Debug)]
pub struct Cpu {
    pub(crate) pool: ThreadPool,
    pub(crate) instruction_set: InstructionSet,
    pub(crate) processor: Processor,
    pub(crate) scratch: ScratchPool,
    /// Batches created so far. A batch's id is the count at its creation, so ids start at 1.
    pub(crate) batch_count: u64,
}

impl Cpu {
    /// Creates a backend on the machine's best instruction set, with a pool of `threads` threads of its own, or of one
    /// thread for each core if `None`.
    ///
    /// # Errors
    /// [`CpuError::Threads`] if the threads cannot be started.
    pub fn new(threads: Option<usize>) -> Result<Self, CpuError> {
        Self::on(InstructionSet::best(), threads)
    }

    /// Like [`Cpu::new`], on the given instruction set. Learning gives the same bits on every machine that has it.
    ///
    /// # Errors
    /// [`CpuError::InstructionSet`] if this machine does not have it; [`CpuError::Threads`] if the threads cannot be
    /// started.
    pub fn on(instruction_set: InstructionSet, threads: Option<usize>) -> Result<Self, CpuError> {
        let processor = Processor::new(instruction_set).ok_or(CpuError::InstructionSet(instruction_set))?;
        Ok(Self {
            pool: thread_pool(threads)?,
            instruction_set,
            processor,
            scratch: ScratchPool::default(),
            batch_count: 0,
        })
    }

    /// The number of threads in the pool.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// The instruction set that the backend computes with.
    pub fn instruction_set(&self) -> InstructionSet {
        self.instruction_set
    }
}

impl BackendTypes for Cpu {
    type Error = CpuError;
    type World = World;
    type Batch = Batch;
    type Agent = Agent;
    type Replay = Replay;
}
