//! The search in 8-bit integers: when it is used, and with which instructions.
//!
//! | to find | look in |
//! |---|---|
//! | the quantized items | `index` |
//! | the quantized queries, and the error bounds of their scores | `queries` |
//! | the search: thresholds, candidates, scores in the defined order | `scan`, `first_part` |
//! | dot products of bytes on an instruction set | `kernel`; `amx`, `vnni`, `avx2` with `vector_panel` |

mod amx;
mod avx2;
mod first_part;
mod index;
mod kernel;
mod lanes;
mod queries;
mod reference_score;
mod scan;
#[cfg(test)]
mod tests;
mod vector_panel;
mod vnni;

use pulp::x86::V3;
use recsim_core::model::slate::TopK;

use amx::AmxKernel;
use index::{PART_ITEMS, QuantizedIndex};
use kernel::{Int8Kernel, MAX_WORDS};
use scan::QuantizedScan;

use crate::InstructionSet;
use crate::intrinsics::{Amx, Vnni};

/// A quantized index, and the instructions that multiply its bytes.
#[derive(Debug)]
pub(super) struct QuantizedSearch {
    unit: Int8Unit,
    index: QuantizedIndex,
}

/// The instructions that multiply bytes.
#[derive(Clone, Copy, Debug)]
enum Int8Unit {
    /// AMX tiles, with AVX-512 for what follows the products.
    Amx(Amx, Vnni),
    /// AVX-512 with VNNI: sums in 32 bits.
    Vnni(Vnni),
    /// AVX2: sums in 16 bits.
    Avx2(V3),
}

impl Int8Unit {
    /// The fastest instructions that an instruction set has, on this machine.
    fn new(instruction_set: InstructionSet) -> Option<Self> {
        let (vnni, avx2) = (Vnni::try_new(), V3::try_new());
        match instruction_set {
            InstructionSet::Amx => Amx::try_new().zip(vnni).map(|(amx, vnni)| Self::Amx(amx, vnni)),
            InstructionSet::Avx512 => vnni.map(Self::Vnni).or(avx2.map(Self::Avx2)),
            InstructionSet::Avx2 => avx2.map(Self::Avx2),
            InstructionSet::Neon | InstructionSet::Portable => None,
        }
    }

    /// Builds the index of `rows`, `[I, D]`, for these instructions. `cluster` gives each item's cluster. `None` if a
    /// value is not finite.
    fn build_index(
        self,
        rows: &[f32],
        dimensions: usize,
        cluster: impl Fn(usize) -> u32,
    ) -> Option<QuantizedIndex> {
        let layout = match self {
            Self::Amx(..) => AmxKernel::LAYOUT,
            Self::Vnni(_) => Vnni::LAYOUT,
            Self::Avx2(_) => V3::LAYOUT,
        };
        QuantizedIndex::new(layout, rows, dimensions, cluster)
    }

    /// Pushes the items onto the list in `best` of each of `queries`, `[n, D]`. The lists are empty and hold `list_len`
    /// items each. The index is searched in parts of `part_panels` panels. Returns `false`, with unusable lists, if
    /// more than `max_candidates` items a query on average would have to be scored in the defined order.
    fn search(
        self,
        index: &QuantizedIndex,
        queries: &[f32],
        best: &mut [TopK<'_>],
        list_len: usize,
        max_candidates: usize,
        part_panels: usize,
    ) -> bool {
        match self {
            Self::Amx(amx, vectors) => {
                let tiles = &amx.configure();
                let kernel = AmxKernel { tiles, vectors };
                vectors.vectorize(QuantizedScan::<_, 32> {
                    kernel,
                    index,
                    queries,
                    best,
                    list_len,
                    max_candidates,
                    part_panels,
                })
            }
            Self::Vnni(kernel) => kernel.vectorize(QuantizedScan::<_, 12> {
                kernel,
                index,
                queries,
                best,
                list_len,
                max_candidates,
                part_panels,
            }),
            Self::Avx2(kernel) => kernel.vectorize(QuantizedScan::<_, 6> {
                kernel,
                index,
                queries,
                best,
                list_len,
                max_candidates,
                part_panels,
            }),
        }
    }
}

impl QuantizedSearch {
    /// Builds the search over `rows`, `[I, D]`. `cluster` gives each item's cluster. `None` if such a search would not
    /// pay, or if a value is not finite.
    pub(super) fn new(
        instruction_set: InstructionSet,
        rows: &[f32],
        dimensions: usize,
        cluster: impl Fn(usize) -> u32,
    ) -> Option<Self> {
        let unit = Int8Unit::new(instruction_set).filter(|_| dimensions <= MAX_DIMENSIONS)?;
        Some(Self { unit, index: unit.build_index(rows, dimensions, cluster)? })
    }

    /// Pushes the items onto the list in `best` of each of `queries`, `[n, D]`. The lists are empty and hold `list_len`
    /// items each. Returns `false`, with unusable lists, if the search does not pay.
    pub(super) fn top_k(&self, queries: &[f32], best: &mut [TopK<'_>], list_len: usize) -> bool {
        let Self { unit, index } = self;
        let (max_candidates, part_panels) = (index.items() / SERIAL_SHARE, PART_ITEMS / index.panel_items());
        list_len * MIN_ITEMS_PER_ENTRY <= index.items()
            && unit.search(index, queries, best, list_len, max_candidates, part_panels)
    }
}

/// Scoring one in `SERIAL_SHARE` items separately costs as much as scoring all items in panels.
const SERIAL_SHARE: usize = 16;
/// Dimensions up to which quantized scores are accurate enough to tell items apart.
const MAX_DIMENSIONS: usize = 4 * MAX_WORDS;
/// The number of items for each entry of a list from which the list is searched in bytes: many items enter
/// longer lists temporarily.
const MIN_ITEMS_PER_ENTRY: usize = 256;
