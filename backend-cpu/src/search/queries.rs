//! Actions in bytes, and what their scores of bytes mean.

use recsim_core::margin::defined;

use super::bytes::{Layout, WORDS};
use super::eights::{Eight, dot, in_steps, largest, length, lost};
use super::rough::Rough;

/// Actions whose scores are worked out together.
pub(super) struct Queries<const Q: usize> {
    /// The actions, four bytes in a word, in the place of one that is missing anything.
    pub(super) words: Box<Words<Q>>,
    /// `[groups]`
    pub(super) meanings: Vec<[Meaning; Q]>,
    /// Room for an action, `[D/8]`, and for that in steps.
    action: Vec<Eight>,
    whole: Vec<Eight>,
}

/// Actions in words. The first lies at the beginning of a cache line.
#[repr(align(64))]
pub(super) struct Words<const Q: usize>(pub(super) [[u32; WORDS]; Q]);

/// What a score of bytes of an item of a group means.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meaning {
    /// The score is at most `most + n / per_step`: that is what centre and margin come to.
    pub(super) most: f64,
    pub(super) per_step: f64,
    /// It is at least `low + step * n`, rounding included.
    low: f32,
    step: f32,
}

impl<const Q: usize> Queries<Q> {
    pub(super) fn new(rough: &Rough) -> Self {
        let eights = rough.dimensions.div_ceil(8);
        Self {
            words: Box::new(Words([[0; WORDS]; Q])),
            meanings: vec![[Meaning::default(); Q]; rough.groups().len()],
            action: vec![[0.0; 8]; eights],
            whole: vec![[0.0; 8]; eights],
        }
    }

    /// Sets an action; false if its scores may not be finite.
    #[inline(always)]
    pub(super) fn set(&mut self, rough: &Rough, n: usize, row: &[f32]) -> bool {
        let Self { words, meanings, action, whole } = self;
        let Layout { most, most_sum, bias, unit, .. } = rough.layout;
        for (eight, row) in action.iter_mut().zip(row.chunks(8)) {
            for (wide, &x) in eight.iter_mut().zip(row) {
                *wide = x.into();
            }
        }
        let size = length(action);
        let bounded = size * rough.longest < MOST_SCORE;
        if !bounded {
            return false;
        }
        let mut step = (largest(action) / most).max(size * rough.length / most_sum);
        in_steps(action, step, most, whole);
        // Rounding may have made it longer.
        while length(whole) * rough.length > most_sum {
            step *= 1.01;
            in_steps(action, step, most, whole);
        }
        let (lost, kept) = (lost(action, whole, step), step * length(whole));
        let (per_step, defined) = (1.0 / step, defined(rough.dimensions, size, rough.longest, 0));
        let (mut cluster, mut centre) = (usize::MAX, 0.0);
        for (meanings, group) in meanings.iter_mut().zip(rough.groups()) {
            if cluster != group.cluster {
                (cluster, centre) = (group.cluster, dot(action, rough.centre(group.cluster)));
            }
            // Lengths, and this sum itself, are rounded.
            let margin = (lost * group.longest + kept * group.lost + defined) * (1.0 + 1e-6);
            let step = step * group.step * unit;
            // A sum is a whole number, and was rounded down to a whole number of units.
            let dropped = step * (1.0 - 1.0 / unit);
            // A product and a sum in single precision, of numbers that were rounded to it: five roundings.
            let slack = ROUNDINGS * (centre.abs() + margin + dropped + step * most_sum / unit) + LEAST;
            meanings[n] = Meaning {
                most: centre + margin + dropped,
                per_step: per_step * group.per_step / unit,
                low: (centre - margin - slack) as f32,
                step: step as f32,
            };
        }
        for (word, whole) in words.0[n].iter_mut().zip(whole.as_flattened().as_chunks::<4>().0) {
            *word = u32::from_le_bytes(whole.map(|x| (x + (bias + UNITS)).to_bits() as u8));
        }
        true
    }

    /// A score of bytes that all are above that may reach `threshold`, of those in a group.
    #[inline(always)]
    pub(super) fn bar(&self, n: usize, group: usize, threshold: f64) -> f64 {
        let Meaning { most, per_step, .. } = self.meanings[group][n];
        // What reaches a whole number is above the one before: and one more, as this is rounded.
        let bar = ((threshold - most) * per_step).floor() - 1.0;
        if bar.is_nan() { f64::NEG_INFINITY } else { bar }
    }

    /// What the score of an item in a group is at least, by its score of bytes.
    #[inline(always)]
    pub(super) fn at_least(&self, n: usize, group: usize, score: i32) -> f32 {
        let Meaning { low, step, .. } = self.meanings[group][n];
        low + step * score as f32
    }

    /// Raises `shares` to what an item's score is at least in each of them, by a group's greatest scores of bytes there;
    /// `none` where the group has no item.
    #[inline(always)]
    pub(super) fn raise<S: Copy + Into<i32>>(
        &self,
        n: usize,
        group: usize,
        greatest: &[S],
        none: i32,
        shares: &mut [f32],
    ) {
        let Meaning { low, step, .. } = self.meanings[group][n];
        // In eights of numbers as wide as each other: so they become vectors.
        for (shares, greatest) in shares.as_chunks_mut::<8>().0.iter_mut().zip(greatest.as_chunks::<8>().0) {
            let (mut wide, mut least) = ([0_i32; 8], [0.0_f32; 8]);
            for lane in 0..8 {
                wide[lane] = greatest[lane].into();
            }
            for lane in 0..8 {
                least[lane] = low + step * wide[lane] as f32;
            }
            for lane in 0..8 {
                least[lane] = if wide[lane] == none { f32::NEG_INFINITY } else { least[lane] };
            }
            for lane in 0..8 {
                shares[lane] = if least[lane] > shares[lane] { least[lane] } else { shares[lane] };
            }
        }
    }
}

/// Added to a whole number, makes its last byte the last one of the sum's bits, below 0 too.
const UNITS: f64 = (3_u64 << 51) as f64;
/// Five times the unit of single precision, and a little more.
const ROUNDINGS: f64 = 4e-7;
/// More than is lost at the end of its range: half of the last bit of a step, 2^-150, as often as a score may be large, 2^24.
const LEAST: f64 = 2e-38;
/// Scores below this are finite in whatever order they are added up.
const MOST_SCORE: f64 = 1e37;
