//! When a search is done in bytes.

use pulp::Arch;
use recsim_core::slate::Best;

use super::bytes::Bytes;
use super::rough::Rough;
use super::scan::Scan;

/// A catalogue in bytes, on a machine that multiplies them fast.
#[derive(Debug)]
pub(super) struct InBytes(Rough);

impl InBytes {
    /// `rows` (`[I, D]`) of items, each of a cluster. None where such a search would not pay, or a number is not
    /// finite.
    pub(super) fn new(arch: Arch, rows: &[f32], dimensions: usize, cluster: impl Fn(usize) -> u32) -> Option<Self> {
        fn items_of_vector<B: Bytes>(_: B) -> usize {
            B::ITEMS
        }
        let items_of_vector = match arch {
            Arch::V4(bytes) => items_of_vector(bytes),
            Arch::V3(bytes) => items_of_vector(bytes),
            _ => return None,
        };
        (dimensions <= MOST_DIMENSIONS)
            .then(|| Rough::new(items_of_vector, rows, dimensions, cluster))
            .flatten()
            .map(Self)
    }

    /// Enters the items into the `best` of each of `queries` (`[n, D]`), which hold `list` items each and are empty. False if
    /// it does not pay: then they must be made anew.
    pub(super) fn best(&self, arch: Arch, queries: &[f32], best: &mut [Best<'_>], list: usize) -> bool {
        let Self(rough) = self;
        if list * FEW > rough.items() {
            return false;
        }
        let (most, part) = (rough.items() / SHARE, PART / rough.width());
        match arch {
            Arch::V4(bytes) => bytes.vectorize(Scan::<_, 12> { bytes, rough, queries, best, list, most, part }),
            Arch::V3(bytes) => bytes.vectorize(Scan::<_, 6> { bytes, rough, queries, best, list, most, part }),
            _ => false,
        }
    }
}

/// Items of a part of the catalogue, whose rough scores are kept, 2 bytes each for every query: what stays in the second
/// cache.
const PART: usize = 32_768;
/// The share of a catalogue's items of which scoring them one by one costs as much as scoring all together.
const SHARE: usize = 16;
/// Dimensions up to which scores of bytes are near enough to tell items apart.
const MOST_DIMENSIONS: usize = 256;
/// Lists of at most such a part of the catalogue are searched for in bytes: of longer ones too many items come to stand in
/// them for a while.
const FEW: usize = 256;
