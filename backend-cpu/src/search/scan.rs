//! The search in bytes: rough scores of a segment of the catalogue for a few queries, then, in the defined order, those of
//! its items that may be among a query's best.

use std::array::from_fn;

use pulp::NullaryFnOnce;
use pulp::bytemuck::{Zeroable, cast_slice};
use recsim_core::slate::Best;

use super::bytes::Bytes;
use super::rough::{NO_SCORE, Query, Rough};

/// Enters the items of a catalogue into each query's best, `Q` queries at a time. Gives up, and says so, where too many
/// items would have to be scored in the defined order.
pub(super) struct Scan<'a, 'b, B, const Q: usize> {
    pub(super) bytes: B,
    pub(super) rough: &'a Rough,
    /// `[n, D]`
    pub(super) queries: &'a [f32],
    /// `[n]`, empty
    pub(super) best: &'a mut [Best<'b>],
    /// Items that each of them holds.
    pub(super) list: usize,
    /// The most items to score in the defined order, of one query on average.
    pub(super) most: usize,
}

impl<B: Bytes, const Q: usize> NullaryFnOnce for Scan<'_, '_, B, Q> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let Self { bytes, rough, queries, best, list, most } = self;
        let mut room = Room::<B, Q>::new(rough, list, most);
        // Loops, here and below: a closure that an iterator calls may be compiled by itself, and then without the vectors.
        for (queries, best) in queries.chunks(Q * rough.dimensions).zip(best.chunks_mut(Q)) {
            if !room.search(bytes, queries, best) {
                return false;
            }
        }
        true
    }
}

/// Room for `Q` queries.
struct Room<'a, B: Bytes, const Q: usize> {
    rough: &'a Rough,
    list: usize,
    most: usize,
    /// `[panels of a segment]`
    scores: Vec<[B::Scores; Q]>,
    /// `[sections, groups]`: the greatest of the first segment.
    greatest: Vec<[B::Scores; Q]>,
    sections: usize,
    /// `[groups]`: above these, scores may reach a query's threshold; and above those they must.
    may: Vec<[i16; Q]>,
    must: Vec<[i16; Q]>,
    /// Items that must be scored, and those that may have to be, by what the first ones' scores are.
    first: [Vec<Candidate>; Q],
    then: [Vec<Candidate>; Q],
}

/// An item to be scored in the defined order.
#[derive(Clone, Copy)]
struct Candidate {
    place: usize,
    group: u32,
    /// In bytes.
    score: i16,
}

impl<'a, B: Bytes, const Q: usize> Room<'a, B, Q> {
    fn new(rough: &'a Rough, list: usize, most: usize) -> Self {
        // A list's last score is at least that of so many best ones of parts of the catalogue: twice as many parts.
        let sections = (2 * list).div_ceil(rough.width());
        let groups = rough.groups();
        Self {
            rough,
            list,
            most,
            scores: vec![[B::Scores::zeroed(); Q]; SEGMENT / rough.width()],
            greatest: vec![[B::Scores::zeroed(); Q]; sections * groups],
            sections,
            may: vec![[i16::MAX; Q]; groups],
            must: vec![[i16::MAX; Q]; groups],
            first: from_fn(|_| Vec::new()),
            then: from_fn(|_| Vec::new()),
        }
    }

    #[inline(always)]
    fn search(&mut self, bytes: B, queries: &[f32], best: &mut [Best<'_>]) -> bool {
        let rough = self.rough;
        let actions = || queries.chunks_exact(rough.dimensions);
        let Some(prepared): Option<Vec<Query>> = actions().map(|action| rough.query(action)).collect() else {
            return false;
        };
        let words = interleave::<Q>(&prepared);
        let (groups, mut panels) = rough.panels();
        let mut left = prepared.len().saturating_mul(self.most);
        self.may.fill([i16::MAX; Q]);
        for (n, groups) in groups.chunks(self.scores.len()).enumerate() {
            self.score(bytes, &words, groups, &mut panels, n == 0);
            for (m, (query, best)) in prepared.iter().zip(&*best).enumerate() {
                let threshold = if n == 0 { self.least(m, query) } else { best.threshold().into() };
                self.set_bars(m, query, threshold);
            }
            self.collect(bytes, n * self.scores.len(), groups);
            for (m, ((query, action), best)) in prepared.iter().zip(actions()).zip(&mut *best).enumerate() {
                for some in self.first[m].chunks(TOGETHER) {
                    enter(rough, action, some, best);
                }
                self.set_bars(m, query, best.threshold().into());
                let Self { first, then, may, .. } = self;
                then[m].retain(|candidate| candidate.score > may[candidate.group as usize][m]);
                let Some(rest) = left.checked_sub(first[m].len() + then[m].len()) else { return false };
                left = rest;
                for some in then[m].chunks(TOGETHER) {
                    enter(rough, action, some, best);
                }
            }
        }
        true
    }

    /// Scores the next panels.
    #[inline(always)]
    fn score<'b>(
        &mut self,
        bytes: B,
        queries: &[[u32; Q]],
        groups: &[u32],
        panels: &mut impl Iterator<Item = &'b [u32]>,
        first: bool,
    ) {
        if first {
            self.greatest.fill([bytes.scores([bytes.splat(NO_SCORE); 2]); Q]);
        }
        let mut section = 0;
        for ((scores, &group), panel) in self.scores.iter_mut().zip(groups).zip(panels) {
            let panel: &[[B::Words; 2]] = cast_slice::<u32, B::Words>(panel).as_chunks().0;
            let Some((begin, steps)) = panel.split_first() else { return };
            let mut sums = [[bytes.load(&begin[0]), bytes.load(&begin[1])]; Q];
            for (queries, items) in queries.iter().zip(steps) {
                let items = [bytes.load(&items[0]), bytes.load(&items[1])];
                for (sums, &query) in sums.iter_mut().zip(queries) {
                    let query = bytes.splat(query);
                    for (sum, &item) in sums.iter_mut().zip(&items) {
                        *sum = bytes.multiply_add(query, item, *sum);
                    }
                }
            }
            for (score, sums) in scores.iter_mut().zip(sums) {
                *score = bytes.scores(sums);
            }
            if first {
                let greatest = &mut self.greatest[section * self.may.len() + group as usize];
                for (greatest, &score) in greatest.iter_mut().zip(&*scores) {
                    *greatest = bytes.greater(*greatest, score);
                }
                section = if section + 1 == self.sections { 0 } else { section + 1 };
            }
        }
    }

    /// What the last score of a query's list is at least, by the first segment.
    #[inline(always)]
    fn least(&self, n: usize, query: &Query) -> f64 {
        let mut parts = vec![f64::NEG_INFINITY; self.sections * self.rough.width()];
        let sections = parts.chunks_exact_mut(self.rough.width());
        for (parts, groups) in sections.zip(self.greatest.chunks_exact(self.may.len())) {
            for (group, scores) in groups.iter().enumerate() {
                let scores: &[i16] = cast_slice(std::slice::from_ref(&scores[n]));
                for (part, &score) in parts.iter_mut().zip(scores) {
                    *part = part.max(query.at_least(group, score));
                }
            }
        }
        let (_, &mut least, _) = parts.select_nth_unstable_by(self.list - 1, |a, b| b.total_cmp(a));
        least
    }

    #[inline(always)]
    fn set_bars(&mut self, n: usize, query: &Query, threshold: f64) {
        for (group, (may, must)) in self.may.iter_mut().zip(&mut self.must).enumerate() {
            (may[n], must[n]) = query.bars(group, threshold);
        }
    }

    /// Finds the candidates in a segment, whose panels are those from `first` on, with their groups.
    #[inline(always)]
    fn collect(&mut self, bytes: B, first: usize, groups: &[u32]) {
        self.first.iter_mut().chain(&mut self.then).for_each(Vec::clear);
        for (panel, (scores, &group)) in (first..).zip(self.scores.iter().zip(groups)) {
            let may = &self.may[group as usize];
            if !bytes.any_above(scores, may) {
                continue;
            }
            for n in 0..Q {
                let mut bits = bytes.above(scores[n], may[n]);
                while bits != 0 {
                    let lane = bits.trailing_zeros() as usize / B::BITS;
                    bits &= bits - 1;
                    let score = cast_slice::<_, i16>(std::slice::from_ref(&scores[n]))[lane];
                    let place = panel * 2 * B::ITEMS + lane;
                    let must = score > self.must[group as usize][n];
                    let found = if must { &mut self.first[n] } else { &mut self.then[n] };
                    found.push(Candidate { place, group, score });
                }
            }
        }
    }
}

/// Scores a few items in the defined order, and enters them.
#[inline(always)]
fn enter(rough: &Rough, action: &[f32], some: &[Candidate], best: &mut Best<'_>) {
    let Some(last) = some.last() else { return };
    let scores = scores(action, from_fn(|n| rough.row(some.get(n).unwrap_or(last).place)));
    for (candidate, score) in some.iter().zip(scores) {
        if let Some(item) = rough.item(candidate.place) {
            best.push(item, score);
        }
    }
}

/// The defined scores of rows, side by side: none waits for another's sum.
#[inline(always)]
fn scores(action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
    let mut sums = [0.0; TOGETHER];
    let (parts, rest) = action.as_chunks::<8>();
    let rows_parts = rows.map(|row| row.as_chunks::<8>().0);
    for (n, part) in parts.iter().enumerate() {
        let rows: [&[f32; 8]; TOGETHER] = rows_parts.map(|parts| &parts[n]);
        for d in 0..8 {
            for m in 0..TOGETHER {
                sums[m] = part[d].mul_add(rows[m][d], sums[m]);
            }
        }
    }
    for (d, &x) in (8 * parts.len()..).zip(rest) {
        for m in 0..TOGETHER {
            sums[m] = x.mul_add(rows[m][d], sums[m]);
        }
    }
    sums
}

/// `[n]` queries to `[D/4, Q]`, filled up with zeros.
fn interleave<const Q: usize>(queries: &[Query]) -> Vec<[u32; Q]> {
    let words = queries.first().map_or(0, |query| query.words.len());
    (0..words).map(|word| from_fn(|n| queries.get(n).map_or(0, |query| query.words[word]))).collect()
}

/// Items whose rough scores are kept at a time, 2 bytes each for every query: what stays in the second cache.
const SEGMENT: usize = 16_384;
/// Candidates that are scored together.
const TOGETHER: usize = 8;
