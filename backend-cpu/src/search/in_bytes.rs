//! When a search is done in bytes, and how.

use pulp::x86::V3;
use recsim_core::model::slate::TopK;

use super::amx::Amx;
use super::bytes::{Bytes, WORDS};
use super::rough::{PART, Rough};
use super::scan::Scan;
use crate::InstructionSet;
use crate::instructions::{Tiles, Vnni};

/// A catalogue in bytes, on a machine that multiplies them fast.
#[derive(Debug)]
pub(super) struct InBytes {
    way: Way,
    rough: Rough,
}

/// What multiplies them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Tiles(Tiles, Vnni),
    Words(Vnni),
    Halves(V3),
}

impl Way {
    /// The best that an instruction set has, on this machine.
    pub(super) fn of(isa: InstructionSet) -> Option<Self> {
        let (words, halves) = (Vnni::try_new(), V3::try_new());
        match isa {
            InstructionSet::Amx => Tiles::try_new().zip(words).map(|(tiles, words)| Self::Tiles(tiles, words)),
            InstructionSet::Avx512 => words.map(Self::Words).or(halves.map(Self::Halves)),
            InstructionSet::Avx2 => halves.map(Self::Halves),
            InstructionSet::Neon | InstructionSet::Portable => None,
        }
    }

    /// `rows` (`[I, D]`) of items, each of a cluster, as it wants them. None if a number is not finite.
    pub(super) fn lay_out(self, rows: &[f32], dimensions: usize, cluster: impl Fn(usize) -> u32) -> Option<Rough> {
        let layout = match self {
            Self::Tiles(..) => Amx::LAYOUT,
            Self::Words(_) => Vnni::LAYOUT,
            Self::Halves(_) => V3::LAYOUT,
        };
        Rough::new(layout, rows, dimensions, cluster)
    }

    /// Enters the items into the `best` of each of `queries` (`[n, D]`), which hold `list` items each and are empty, by parts of
    /// so many panels. False, and they must be made anew, where of a query on average more than `most` would have to be
    /// scored one by one.
    pub(super) fn find(
        self,
        rough: &Rough,
        queries: &[f32],
        best: &mut [TopK<'_>],
        list: usize,
        most: usize,
        part: usize,
    ) -> bool {
        match self {
            Self::Tiles(tiles, vectors) => {
                let tiles = &tiles.set_up();
                let bytes = Amx { tiles, vectors };
                vectors.vectorize(Scan::<_, 32> { bytes, rough, queries, best, list, most, part })
            }
            Self::Words(bytes) => bytes.vectorize(Scan::<_, 12> { bytes, rough, queries, best, list, most, part }),
            Self::Halves(bytes) => bytes.vectorize(Scan::<_, 6> { bytes, rough, queries, best, list, most, part }),
        }
    }
}

impl InBytes {
    /// `rows` (`[I, D]`) of items, each of a cluster. None where such a search would not pay, or a number is not
    /// finite.
    pub(super) fn new(
        isa: InstructionSet,
        rows: &[f32],
        dimensions: usize,
        cluster: impl Fn(usize) -> u32,
    ) -> Option<Self> {
        let way = Way::of(isa).filter(|_| dimensions <= MOST_DIMENSIONS)?;
        Some(Self { way, rough: way.lay_out(rows, dimensions, cluster)? })
    }

    /// Enters the items into the `best` of each of `queries` (`[n, D]`), which hold `list` items each and are empty. False if
    /// it does not pay: then they must be made anew.
    pub(super) fn best(&self, queries: &[f32], best: &mut [TopK<'_>], list: usize) -> bool {
        let Self { way, rough } = self;
        let (most, part) = (rough.items() / SHARE, PART / rough.width());
        list * FEW <= rough.items() && way.find(rough, queries, best, list, most, part)
    }
}

/// The share of a catalogue's items of which scoring them one by one costs as much as scoring all together.
const SHARE: usize = 16;
/// Dimensions up to which scores of bytes are near enough to tell items apart.
const MOST_DIMENSIONS: usize = 4 * WORDS;
/// Lists of at most such a part of the catalogue are searched for in bytes: of longer ones too many items come to stand in
/// them for a while.
const FEW: usize = 256;
