//! Rows without their zeros, as products take them.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::_CMP_NEQ_UQ;

use pulp::Arch;
#[cfg(target_arch = "x86_64")]
use pulp::x86::V4;

use super::vectorised;

/// Rows without the inputs that are 0, in pairs.
#[derive(Debug, Default)]
pub(super) struct Active {
    entries: Entries,
    /// Where what a block has of a pair ends: `[blocks, pairs]`.
    ends: Vec<usize>,
    pairs: usize,
}

/// Inputs of two rows, block by block and there pair by pair.
#[derive(Debug, Default)]
struct Entries {
    /// Within a block.
    places: Vec<u32>,
    values: [Vec<f32>; 2],
    count: usize,
}

impl Active {
    /// Takes the first `inputs` columns of some rows of a table whose rows are `stride` apart, `block` at a time: what
    /// `value` makes of a number and its place in the table.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        arch: Arch,
        [rows, inputs, block]: [usize; 3],
        table: &[f32],
        stride: usize,
        value: impl Fn(f32, usize) -> f32,
    ) {
        self.pairs = rows.div_ceil(2);
        self.entries.clear(self.pairs * inputs);
        self.ends.clear();
        match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(list) => list.vectorize(
                #[inline(always)]
                || self.read_by(list, [rows, inputs, block], table, stride, value),
            ),
            _ => vectorised(
                arch,
                #[inline(always)]
                || self.read_by(OneByOne, [rows, inputs, block], table, stride, value),
            ),
        }
    }

    #[inline(always)]
    fn read_by(
        &mut self,
        list: impl List,
        [rows, inputs, block]: [usize; 3],
        table: &[f32],
        stride: usize,
        value: impl Fn(f32, usize) -> f32,
    ) {
        let mut both = [[0.0; BLOCK]; 2];
        for first in (0..inputs).step_by(block) {
            let width = block.min(inputs - first);
            for row in (0..rows).step_by(2) {
                let starts = [row, (row + 1).min(rows - 1)].map(|row| row * stride + first);
                for (numbers, start) in both.iter_mut().zip(starts) {
                    for (n, (number, &found)) in numbers.iter_mut().zip(&table[start..start + width]).enumerate() {
                        *number = value(found, start + n);
                    }
                    numbers[width..].fill(0.0);
                }
                list.append(&both, width, &mut self.entries);
                self.ends.push(self.entries.count);
            }
        }
    }

    pub(super) fn pairs(&self) -> usize {
        self.pairs
    }

    /// A pair's inputs of a block that are not 0 in both: where they are in the block, and what they are in either row.
    #[inline(always)]
    pub(super) fn of(&self, block: usize, pair: usize) -> impl Iterator<Item = (u32, f32, f32)> {
        let place = block * self.pairs + pair;
        let range = place.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[place];
        let Entries { places, values: [one, other], .. } = &self.entries;
        let values = one[range.clone()].iter().zip(&other[range.clone()]);
        places[range].iter().zip(values).map(|(&place, (&one, &other))| (place, one, other))
    }
}

impl Entries {
    /// Makes room for so many.
    fn clear(&mut self, most: usize) {
        self.count = 0;
        // It only grows: layers take turns, and what shrinks is filled with zeros when it grows again.
        let room = (most + LANES).max(self.places.len());
        self.places.resize(room, 0);
        self.values.iter_mut().for_each(|values| values.resize(room, 0.0));
    }
}

/// A way to list what is not 0 in one of two rows, NaN included, of `width` numbers and zeros behind them.
trait List: Copy {
    fn append(self, rows: &[[f32; BLOCK]; 2], width: usize, to: &mut Entries);
}

#[derive(Clone, Copy)]
struct OneByOne;

impl List for OneByOne {
    #[inline(always)]
    fn append(self, [one, other]: &[[f32; BLOCK]; 2], width: usize, to: &mut Entries) {
        let mut found = [0; BLOCK];
        for ((found, one), other) in found.iter_mut().zip(one).zip(other) {
            *found = usize::from((*one != 0.0) | (*other != 0.0));
        }
        let range = to.count..to.count + width;
        let [ones, others] = to.values.each_mut().map(|values| &mut values[range.clone()]);
        let (places, mut count) = (&mut to.places[range], 0);
        // Without a branch, which nobody could foresee.
        for n in 0..width {
            (places[count], ones[count], others[count]) = (n as u32, one[n], other[n]);
            count += found[n];
        }
        to.count += count;
    }
}

#[cfg(target_arch = "x86_64")]
impl List for V4 {
    #[inline(always)]
    fn append(self, [one, other]: &[[f32; BLOCK]; 2], width: usize, to: &mut Entries) {
        let f = self.avx512f;
        let numbers = one.as_chunks::<LANES>().0.iter().zip(other.as_chunks::<LANES>().0);
        for (n, (&one, &other)) in numbers.enumerate().take(width.div_ceil(LANES)) {
            let [one, other] = [one, other].map(pulp::cast);
            let zero = f._mm512_setzero_ps();
            let found =
                f._mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(one, zero) | f._mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(other, zero);
            // Vectors, of which what is behind the last one found will be overwritten.
            let range = to.count..to.count + LANES;
            let places: [u32; LANES] = std::array::from_fn(|lane| (n * LANES + lane) as u32);
            let places = f._mm512_maskz_compress_epi32(found, pulp::cast(places));
            to.places[range.clone()].copy_from_slice(&pulp::cast::<_, [u32; LANES]>(places));
            for (values, row) in to.values.iter_mut().zip([one, other]) {
                let row: [f32; LANES] = pulp::cast(f._mm512_maskz_compress_ps(found, row));
                values[range.clone()].copy_from_slice(&row);
            }
            to.count += found.count_ones() as usize;
        }
    }
}

/// The most inputs of a block.
pub(super) const BLOCK: usize = 128;
/// Numbers of the largest vector.
const LANES: usize = 16;
