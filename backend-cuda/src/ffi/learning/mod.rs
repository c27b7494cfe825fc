//! The kernels of learning as functions that check the tables they are given. Tables of a device may be written through a
//! shared reference, as its memory is not the host's.

mod adam;
mod mlp;
mod refine;
mod td3;

pub(crate) use refine::Considered;

use super::Machine;
use super::kernels::{LONG, WORD};
use crate::flat::Group;

/// The units of learning, and their machine.
pub(crate) struct Kernels<'a, M: Machine> {
    pub(crate) machine: &'a M,
    pub(crate) mlp: &'a M::Module,
    pub(crate) td3: &'a M::Module,
    pub(crate) adam: &'a M::Module,
}

/// A layer in a pass.
pub(crate) struct Stage<'a, M: Machine> {
    pub(crate) group: &'a Group<'a>,
    pub(crate) depth: usize,
    pub(crate) rows: usize,
    /// All networks' numbers.
    pub(crate) weights: &'a M::Memory,
}

/// What a pass has left of a layer.
pub(crate) struct Behind<'a, M: Machine> {
    /// What kept units were multiplied by.
    pub(crate) boost: f32,
    /// Means and inverse deviations of the batch; none after an evaluation.
    pub(crate) batch: Option<&'a M::Memory>,
    pub(crate) sums: &'a M::Memory,
    pub(crate) output: &'a M::Memory,
}

/// The critics' values of each row, `[2, rows]`, without their bias; and the weights that have it.
pub(crate) struct Values<'a, M: Machine> {
    pub(crate) raw: &'a M::Memory,
    pub(crate) weights: &'a M::Memory,
}

/// The actor's output of each row, `[rows, D]`, without its bias; and the weights that have it.
pub(crate) struct Output<'a, M: Machine> {
    pub(crate) raw: &'a M::Memory,
    pub(crate) weights: &'a M::Memory,
}

/// Bytes of `td3.cu`'s `Acting`.
pub(crate) const ACTING: usize = 32;
/// Bytes of `update.cuh`'s structs.
pub(crate) const UPDATE: usize = 40;
pub(crate) const REPORT: usize = 56;
/// Rows that a block of `moments` looks at, at most.
const CHUNK: usize = 1024;
/// Columns that it looks at.
const COLUMNS: usize = 32;

impl<M: Machine> Kernels<'_, M> {
    /// Where the first network's last bias lies.
    fn bias(&self, group: &Group<'_>, weights: &M::Memory) -> [u8; 8] {
        let last = &group.layout.layers()[group.layout.layers().len() - 1].bias;
        let range = group.parameters();
        self.numbers(weights, range.start + last.start, range.len() - last.start)
    }

    fn range(&self, table: &M::Memory, range: std::ops::Range<usize>) -> [u8; 8] {
        self.numbers(table, range.start, range.len())
    }

    /// Where `count` numbers from number `first` on lie, which the table must hold.
    fn numbers(&self, table: &M::Memory, first: usize, count: usize) -> [u8; 8] {
        let (found, needed) = (self.machine.length(table), (first + count) * WORD);
        assert!(found >= needed, "a table of {found} bytes where {needed} are needed");
        (self.machine.address(table) + (first * WORD) as u64).to_ne_bytes()
    }

    fn bytes(&self, table: &M::Memory, bytes: usize) -> [u8; 8] {
        self.numbers(table, 0, bytes.div_ceil(WORD))
    }

    /// Blocks for work that blocks share row by row.
    fn blocks(&self, rows: usize) -> usize {
        rows.clamp(1, WAVES * self.machine.blocks())
    }

    /// Blocks of 256 threads for work that threads share number by number.
    fn threads(&self, numbers: usize) -> usize {
        self.blocks(numbers.div_ceil(256))
    }
}

/// Numbers that the kernels' sums over chunks of rows need room for, at most.
pub(crate) fn partial_numbers(group: &Group<'_>, rows: usize, width: usize) -> usize {
    2 * group.nets * rows.div_ceil(CHUNK) * width
}

/// Bytes that sums over blocks need room for.
pub(crate) fn partial_bytes<M: Machine>(machine: &M) -> usize {
    2 * WAVES * machine.blocks() * LONG
}

/// Counters that a layer of that width needs, at most.
pub(crate) fn counters(group: &Group<'_>, width: usize) -> usize {
    group.nets * width.div_ceil(COLUMNS)
}

/// How many times the blocks that run at a time a kernel has at most.
const WAVES: usize = 4;

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("a count that fits").to_ne_bytes()
}

fn long(number: usize) -> [u8; 8] {
    (number as u64).to_ne_bytes()
}
