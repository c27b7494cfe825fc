//! Rows without their zeros, in the layout that sparse products read.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::_CMP_NEQ_UQ;

use pulp::Arch;
#[cfg(target_arch = "x86_64")]
use pulp::x86::V4;

use super::vectorized;

/// Pairs of rows without the inputs that are 0 in both.
#[derive(Debug, Default)]
pub(super) struct NonzeroPairs {
    entries: PairEntries,
    /// End offsets of the entries of a pair in a block: `[blocks, pairs]`.
    ends: Vec<usize>,
    pairs: usize,
}

/// Inputs of two rows, ordered by block and then by pair.
#[derive(Debug, Default)]
struct PairEntries {
    /// Indices of the inputs within their block.
    indices: Vec<u32>,
    values: [Vec<f32>; 2],
    count: usize,
}

impl NonzeroPairs {
    /// Lists the first `inputs` columns of some rows of `values`, whose rows are `stride` apart, in blocks of `block`
    /// inputs. Each input is `map` of a value and its offset in `values`.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        arch: Arch,
        [rows, inputs, block]: [usize; 3],
        values: &[f32],
        stride: usize,
        map: impl Fn(f32, usize) -> f32,
    ) {
        self.pairs = rows.div_ceil(2);
        self.entries.clear(self.pairs * inputs);
        self.ends.clear();
        match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(simd) => simd.vectorize(
                #[inline(always)]
                || self.read_with(simd, [rows, inputs, block], values, stride, map),
            ),
            _ => vectorized(
                arch,
                #[inline(always)]
                || self.read_with(ScalarCompaction, [rows, inputs, block], values, stride, map),
            ),
        }
    }

    #[inline(always)]
    fn read_with(
        &mut self,
        compaction: impl Compaction,
        [rows, inputs, block]: [usize; 3],
        values: &[f32],
        stride: usize,
        map: impl Fn(f32, usize) -> f32,
    ) {
        let mut pair_inputs = [[0.0; MAX_BLOCK_INPUTS]; 2];
        for first_input in (0..inputs).step_by(block) {
            let width = block.min(inputs - first_input);
            for row in (0..rows).step_by(2) {
                let starts = [row, (row + 1).min(rows - 1)].map(|row| row * stride + first_input);
                for (inputs, start) in pair_inputs.iter_mut().zip(starts) {
                    for (n, (input, &value)) in inputs.iter_mut().zip(&values[start..start + width]).enumerate() {
                        *input = map(value, start + n);
                    }
                    inputs[width..].fill(0.0);
                }
                compaction.append(&pair_inputs, width, &mut self.entries);
                self.ends.push(self.entries.count);
            }
        }
    }

    /// The number of pairs; with an odd number of rows, the last pair has the last row twice.
    pub(super) fn pairs(&self) -> usize {
        self.pairs
    }

    /// A pair's entries in a block: for each input that is not 0 in both rows, its index in the block and its values in
    /// the two rows.
    #[inline(always)]
    pub(super) fn entries(&self, block: usize, pair: usize) -> impl Iterator<Item = (u32, f32, f32)> {
        let index = block * self.pairs + pair;
        let range = index.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[index];
        let PairEntries { indices, values: [first, second], .. } = &self.entries;
        let values = first[range.clone()].iter().zip(&second[range.clone()]);
        indices[range].iter().zip(values).map(|(&index, (&first, &second))| (index, first, second))
    }
}

impl PairEntries {
    /// Removes all entries and reserves space for `max_count`.
    fn clear(&mut self, max_count: usize) {
        self.count = 0;
        // The buffers only grow: layers alternate, and a buffer that shrank would be filled with zeros when it grows
        // again.
        let len = (max_count + LANES).max(self.indices.len());
        self.indices.resize(len, 0);
        self.values.iter_mut().for_each(|values| values.resize(len, 0.0));
    }
}

/// A method to append the inputs that are not 0 (NaN included) in at least one of two rows. The first `width` values of
/// the rows count; the others are 0.
trait Compaction: Copy {
    fn append(self, rows: &[[f32; MAX_BLOCK_INPUTS]; 2], width: usize, to: &mut PairEntries);
}

#[derive(Clone, Copy)]
struct ScalarCompaction;

impl Compaction for ScalarCompaction {
    #[inline(always)]
    fn append(self, [first, second]: &[[f32; MAX_BLOCK_INPUTS]; 2], width: usize, to: &mut PairEntries) {
        let mut is_nonzero = [0; MAX_BLOCK_INPUTS];
        for ((is_nonzero, first), second) in is_nonzero.iter_mut().zip(first).zip(second) {
            *is_nonzero = usize::from((*first != 0.0) | (*second != 0.0));
        }
        let range = to.count..to.count + width;
        let [firsts, seconds] = to.values.each_mut().map(|values| &mut values[range.clone()]);
        let (indices, mut count) = (&mut to.indices[range], 0);
        // Branch-free, because the branches would be unpredictable.
        for n in 0..width {
            (indices[count], firsts[count], seconds[count]) = (n as u32, first[n], second[n]);
            count += is_nonzero[n];
        }
        to.count += count;
    }
}

#[cfg(target_arch = "x86_64")]
impl Compaction for V4 {
    #[inline(always)]
    fn append(self, [first, second]: &[[f32; MAX_BLOCK_INPUTS]; 2], width: usize, to: &mut PairEntries) {
        let f = self.avx512f;
        let vectors = first.as_chunks::<LANES>().0.iter().zip(second.as_chunks::<LANES>().0);
        for (n, (&first, &second)) in vectors.enumerate().take(width.div_ceil(LANES)) {
            let [first, second] = [first, second].map(pulp::cast);
            let zero = f._mm512_setzero_ps();
            let nonzero = f._mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(first, zero)
                | f._mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(second, zero);
            // Stores whole vectors: what follows the last entry is overwritten by the next store.
            let range = to.count..to.count + LANES;
            let indices: [u32; LANES] = std::array::from_fn(|lane| (n * LANES + lane) as u32);
            let indices = f._mm512_maskz_compress_epi32(nonzero, pulp::cast(indices));
            to.indices[range.clone()].copy_from_slice(&pulp::cast::<_, [u32; LANES]>(indices));
            for (values, row) in to.values.iter_mut().zip([first, second]) {
                let row: [f32; LANES] = pulp::cast(f._mm512_maskz_compress_ps(nonzero, row));
                values[range.clone()].copy_from_slice(&row);
            }
            to.count += nonzero.count_ones() as usize;
        }
    }
}

/// The maximum number of inputs in a block.
pub(super) const MAX_BLOCK_INPUTS: usize = 128;
/// Values in the largest vector.
const LANES: usize = 16;
