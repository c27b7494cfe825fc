//! Actions in bytes, and what their scores of bytes mean.

use recsim_core::world::error_bound::reference_error_bound;

use super::bytes::{Bytes, Layout, WORDS};
use super::eights::{Eight, dot, in_steps, largest, length, lost};
use super::rough::Rough;

/// Actions whose scores are worked out together.
pub(super) struct Queries<const Q: usize> {
    /// The actions, four bytes in a word, in the place of one that is missing anything.
    pub(super) words: Box<Words<Q>>,
    /// `[groups]`
    pub(super) meanings: Vec<Meanings<Q>>,
    /// `[clusters]`: their scores of each cluster's centre.
    centres: Vec<[f64; Q]>,
    /// Room for an action, `[D/8]`, and for that in steps.
    action: Vec<Eight>,
    whole: Vec<Eight>,
}

/// Actions in words. The first lies at the beginning of a cache line.
#[repr(align(64))]
pub(super) struct Words<const Q: usize>(pub(super) [[u32; WORDS]; Q]);

/// What scores of bytes of an item of a group mean: a query's number is in its place.
#[derive(Clone, Debug)]
pub(super) struct Meanings<const Q: usize> {
    /// A score is at most `most + n / per_step`: that is what centre and margin come to.
    pub(super) most: [f64; Q],
    pub(super) per_step: [f64; Q],
    /// It is at least `low + step * n`, rounding included.
    low: [f32; Q],
    step: [f32; Q],
}

/// How actions became whole numbers of a step.
struct Rounded<const Q: usize> {
    step: [f64; Q],
    per_step: [f64; Q],
    /// How long what rounding took is, and what it left.
    lost: [f64; Q],
    kept: [f64; Q],
    /// How far defined scores can be off.
    defined: [f64; Q],
}

impl<const Q: usize> Queries<Q> {
    pub(super) fn new(rough: &Rough) -> Self {
        let eights = rough.dimensions.div_ceil(8);
        let meanings = Meanings { most: [0.0; Q], per_step: [0.0; Q], low: [0.0; Q], step: [0.0; Q] };
        Self {
            words: Box::new(Words([[0; WORDS]; Q])),
            meanings: vec![meanings; rough.groups().len()],
            centres: vec![[0.0; Q]; rough.centres().len()],
            action: vec![[0.0; 8]; eights],
            whole: vec![[0.0; 8]; eights],
        }
    }

    /// Sets actions, `[n, D]`, of which there are Q at the most; false if their scores may not be finite.
    #[inline(always)]
    pub(super) fn set(&mut self, rough: &Rough, actions: &[f32]) -> bool {
        let mut rounded =
            Rounded { step: [1.0; Q], per_step: [1.0; Q], lost: [0.0; Q], kept: [0.0; Q], defined: [0.0; Q] };
        for (n, action) in actions.chunks_exact(rough.dimensions).enumerate() {
            if !self.round(rough, n, action, &mut rounded) {
                return false;
            }
        }
        self.find_meanings(rough, &rounded);
        true
    }

    /// Makes an action whole numbers.
    #[inline(always)]
    fn round(&mut self, rough: &Rough, n: usize, row: &[f32], rounded: &mut Rounded<Q>) -> bool {
        let Self { words, centres, action, whole, .. } = self;
        let Layout { most, most_sum, bias, .. } = rough.layout;
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
        (rounded.step[n], rounded.per_step[n]) = (step, 1.0 / step);
        (rounded.lost[n], rounded.kept[n]) = (lost(action, whole, step), step * length(whole));
        rounded.defined[n] = reference_error_bound(rough.dimensions, size, rough.longest, 0);
        for (scores, centre) in centres.iter_mut().zip(rough.centres()) {
            scores[n] = dot(action, centre);
        }
        for (word, whole) in words.0[n].iter_mut().zip(whole.as_flattened().as_chunks::<4>().0) {
            *word = u32::from_le_bytes(whole.map(|x| (x + (bias + UNITS)).to_bits() as u8));
        }
        true
    }

    /// Finds what scores mean, for all queries of a group side by side.
    #[inline(always)]
    fn find_meanings(&mut self, rough: &Rough, rounded: &Rounded<Q>) {
        let Layout { most_sum, unit, .. } = rough.layout;
        // A sum is a whole number, and was rounded down to a whole number of units.
        let dropped_steps = 1.0 - 1.0 / unit;
        for (meanings, group) in self.meanings.iter_mut().zip(rough.groups()) {
            let scores = &self.centres[group.cluster];
            for (n, &centre) in scores.iter().enumerate() {
                let (lost, kept) = (rounded.lost[n], rounded.kept[n]);
                // Lengths, and this sum itself, are rounded.
                let margin = (lost * group.longest + kept * group.lost + rounded.defined[n]) * (1.0 + 1e-6);
                let step = rounded.step[n] * group.step * unit;
                let dropped = step * dropped_steps;
                // A product and a sum in single precision, of numbers that were rounded to it: five roundings.
                let slack = ROUNDINGS * (centre.abs() + margin + dropped + step * most_sum / unit) + LEAST;
                meanings.most[n] = centre + margin + dropped;
                meanings.per_step[n] = rounded.per_step[n] * group.per_step / unit;
                meanings.low[n] = (centre - margin - slack) as f32;
                meanings.step[n] = step as f32;
            }
        }
    }

    /// Scores of bytes that all are above that may reach `thresholds`, of those in a group.
    #[inline(always)]
    pub(super) fn bars<B: Bytes>(&self, group: usize, thresholds: &[f32; Q], bars: &mut [B::Score; Q]) {
        let Meanings { most, per_step, .. } = &self.meanings[group];
        for n in 0..Q {
            bars[n] = B::floor(bar(most[n], per_step[n], thresholds[n]));
        }
    }

    /// One of them.
    #[inline(always)]
    pub(super) fn bar(&self, n: usize, group: usize, threshold: f32) -> f64 {
        let Meanings { most, per_step, .. } = &self.meanings[group];
        bar(most[n], per_step[n], threshold)
    }

    /// What the score of an item in a group is at least, by its score of bytes.
    #[inline(always)]
    pub(super) fn at_least(&self, n: usize, group: usize, score: i32) -> f32 {
        let Meanings { low, step, .. } = &self.meanings[group];
        low[n] + step[n] * score as f32
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
        let Meanings { low, step, .. } = &self.meanings[group];
        let (low, step) = (low[n], step[n]);
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

/// A score of bytes that all are above whose score may reach `threshold`.
#[inline(always)]
fn bar(most: f64, per_step: f64, threshold: f32) -> f64 {
    // What reaches a whole number is above the one before: and one more, as this is rounded.
    let bar = ((f64::from(threshold) - most) * per_step).floor() - 1.0;
    if bar.is_nan() { f64::NEG_INFINITY } else { bar }
}

/// Added to a whole number, makes its last byte the last one of the sum's bits, below 0 too.
const UNITS: f64 = (3_u64 << 51) as f64;
/// Five times the unit of single precision, and a little more.
const ROUNDINGS: f64 = 4e-7;
/// More than is lost at the end of its range: half of the last bit of a step, 2^-150, as often as a score may be large, 2^24.
const LEAST: f64 = 2e-38;
/// Scores below this are finite in whatever order they are added up.
const MOST_SCORE: f64 = 1e37;
