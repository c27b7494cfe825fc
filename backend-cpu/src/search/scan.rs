//! The search in bytes: rough scores tell which items may be among a query's best, and these are scored in the defined
//! order.
//!
//! The catalogue is gone through part by part; most are one. Of the first part all scores are kept, and their greatest tell
//! what the last score of a query's list is at least: so there is a bar before any item is looked at. It rises with every
//! further part.

use std::array::from_fn;

use pulp::NullaryFnOnce;
use pulp::bytemuck::{Zeroable, cast_slice};
use recsim_core::slate::Best;

use super::bytes::{Bytes, TOGETHER};
use super::greatest::Greatest;
use super::queries::Queries;
use super::rough::Rough;

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
    /// Panels of a part of the catalogue.
    pub(super) part: usize,
}

impl<B: Bytes, const Q: usize> NullaryFnOnce for Scan<'_, '_, B, Q> {
    type Output = bool;

    // Loops, here and below: a closure that an iterator calls may be compiled by itself, and then without the vectors.
    #[inline(always)]
    fn call(self) -> bool {
        let Self { bytes, rough, queries, best, list, most, part } = self;
        let mut block = Block::<B, Q>::new(rough, list, part);
        for (queries, best) in queries.chunks(Q * rough.dimensions).zip(best.chunks_mut(Q)) {
            if !block.search(bytes, rough, queries, best.len().saturating_mul(most)) {
                return false;
            }
            for (n, (action, best)) in queries.chunks_exact(rough.dimensions).zip(best).enumerate() {
                block.decide(bytes, rough, n, action, best);
            }
        }
        true
    }
}

/// Queries whose scores are worked out together, and what has been found for them.
struct Block<B: Bytes, const Q: usize> {
    queries: Queries<Q>,
    /// How many there are, Q but in the last block.
    count: usize,
    /// `[groups]`: no score that is not above may reach a query's list.
    bars: Vec<[B::Score; Q]>,
    /// What the best scores so far are at least, greatest first; as many as a list holds.
    floors: [Vec<f32>; Q],
    /// Items above the bar.
    found: [Vec<Found>; Q],
    greatest: Greatest<B, Q>,
    /// Panels of a part of the catalogue.
    part: usize,
}

/// An item that may have to be scored in the defined order.
#[derive(Clone, Copy)]
struct Found {
    place: u32,
    group: u32,
    /// In bytes.
    score: i32,
}

impl<B: Bytes, const Q: usize> Block<B, Q> {
    fn new(rough: &Rough, list: usize, part: usize) -> Self {
        Self {
            queries: Queries::new(rough),
            count: 0,
            bars: vec![[B::floor(f64::INFINITY); Q]; rough.groups().len()],
            floors: from_fn(|_| vec![f32::NEG_INFINITY; list]),
            found: from_fn(|_| Vec::new()),
            greatest: Greatest::new(rough, list, part),
            part,
        }
    }

    /// Finds what may be among the best of some queries (`[n, D]`): all that is, and `most` items at the most. False if there
    /// are more, or scores may not be finite.
    #[inline(always)]
    fn search(&mut self, bytes: B, rough: &Rough, queries: &[f32], most: usize) -> bool {
        // Where queries are missing, bars stay up.
        self.count = queries.len() / rough.dimensions;
        self.bars.fill([B::floor(f64::INFINITY); Q]);
        for (n, action) in queries.chunks_exact(rough.dimensions).enumerate() {
            self.floors[n].fill(f32::NEG_INFINITY);
            self.found[n].clear();
            if !self.queries.set(rough, n, action) {
                return false;
            }
        }
        let part = self.part;
        let (groups, mut panels) = rough.panels();
        for (n, groups) in groups.chunks(part).enumerate() {
            if n == 0 {
                self.begin(bytes, groups, &mut panels);
            } else {
                self.go_on(bytes, n * part, groups, &mut panels);
            }
            if self.raise_bars() > most {
                return false;
            }
        }
        true
    }

    /// The catalogue's first part: sets bars by it, and goes through the groups that reach them.
    #[inline(always)]
    fn begin<'a>(&mut self, bytes: B, groups: &[u32], panels: &mut (impl Iterator<Item = &'a [u32]> + Clone)) {
        let mut again = panels.clone();
        self.greatest.set(bytes, &self.queries, groups, panels);
        for n in 0..self.count {
            let least = self.greatest.least(n);
            self.set_bars(n, least);
        }
        let mut first = 0;
        for groups in groups.chunk_by(|a, b| a == b) {
            let mut panels = again.by_ref().take(groups.len());
            let bars = &self.bars[groups[0] as usize];
            if !self.greatest.reaches(bytes, groups[0] as usize, bars) {
                panels.for_each(drop);
            } else if B::KEEPS {
                let Self { queries, floors, found, greatest, .. } = self;
                for (n, scores) in (first..).zip(&greatest.kept[first..][..groups.len()]) {
                    find(bytes, queries, floors, found, n, groups[0], scores, bars);
                }
                panels.for_each(drop);
            } else {
                self.go_on(bytes, first, groups, &mut panels);
            }
            first += groups.len();
        }
    }

    /// Finds what is above them in a part, whose panels are those from `first` on.
    #[inline(always)]
    fn go_on<'a>(&mut self, bytes: B, first: usize, groups: &[u32], panels: &mut impl Iterator<Item = &'a [u32]>) {
        let Self { queries, bars, floors, found, .. } = self;
        let mut both = [[B::Scores::zeroed(); Q]; 2];
        let [mut scores, mut before] = both.each_mut();
        let mut last = None;
        for ((n, &group), panel) in (first..).zip(groups).zip(panels) {
            bytes.score(&queries.words.0, panel, scores);
            if let Some((n, group)) = last.replace((n, group)) {
                find(bytes, queries, floors, found, n, group, before, &bars[group as usize]);
            }
            std::mem::swap(&mut scores, &mut before);
        }
        if let Some((n, group)) = last {
            find(bytes, queries, floors, found, n, group, before, &bars[group as usize]);
        }
    }

    /// Sets the bars by what has been found, and returns how much that still is.
    #[inline(always)]
    fn raise_bars(&mut self) -> usize {
        let mut count = 0;
        for n in 0..self.count {
            if let Some(&floor) = self.floors[n].last() {
                self.set_bars(n, floor);
            }
            let Self { found, bars, .. } = self;
            found[n].retain(|found| found.score > bars[found.group as usize][n].into());
            count += found[n].len();
        }
        count
    }

    #[inline(always)]
    fn set_bars(&mut self, n: usize, threshold: f32) {
        for (group, bars) in self.bars.iter_mut().enumerate() {
            bars[n] = B::floor(self.queries.bar(n, group, threshold.into()));
        }
    }

    /// Scores what has been found for a query in the defined order: first what is best by its score of bytes, and then of
    /// the rest what is not below that.
    #[inline(always)]
    fn decide(&mut self, bytes: B, rough: &Rough, n: usize, action: &[f32], best: &mut Best<'_>) {
        let Some(&floor) = self.floors[n].last() else { return };
        let mut first = 0;
        for place in 0..self.found[n].len() {
            let Found { group, score, .. } = self.found[n][place];
            if self.queries.at_least(n, group as usize, score) >= floor {
                self.found[n].swap(first, place);
                first += 1;
            }
        }
        enter(bytes, rough, action, &self.found[n][..first], best);
        self.set_bars(n, best.threshold());
        let mut kept = first;
        for place in first..self.found[n].len() {
            let found = self.found[n][place];
            if found.score > self.bars[found.group as usize][n].into() {
                self.found[n][kept] = found;
                kept += 1;
            }
        }
        enter(bytes, rough, action, &self.found[n][first..kept], best);
    }
}

/// Finds the items of a panel that are above the bar.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a block's tables, which are borrowed one by one")]
fn find<B: Bytes, const Q: usize>(
    bytes: B,
    queries: &Queries<Q>,
    floors: &mut [Vec<f32>; Q],
    found: &mut [Vec<Found>; Q],
    panel: usize,
    group: u32,
    scores: &[B::Scores; Q],
    bars: &[B::Score; Q],
) {
    let mut hits = bytes.hits(scores, bars);
    while hits != 0 {
        let n = hits.trailing_zeros() as usize;
        hits &= hits - 1;
        let mut bits = bytes.above(scores[n], bars[n]);
        while bits != 0 {
            let lane = bits.trailing_zeros() as usize / B::BITS;
            bits &= bits - 1;
            let score = cast_slice::<_, B::Score>(std::slice::from_ref(&scores[n]))[lane].into();
            found[n].push(Found { place: (panel * B::LAYOUT.width() + lane) as u32, group, score });
            insert(&mut floors[n], queries.at_least(n, group as usize, score));
        }
    }
}

/// Scores items in the defined order, and enters them.
#[inline(always)]
fn enter<B: Bytes>(bytes: B, rough: &Rough, action: &[f32], found: &[Found], best: &mut Best<'_>) {
    for some in found.chunks(TOGETHER) {
        let Some(last) = some.last() else { return };
        let rows = from_fn(|n| rough.row(some.get(n).unwrap_or(last).place as usize));
        for (found, score) in some.iter().zip(bytes.defined(action, rows)) {
            if let Some(item) = rough.item(found.place as usize) {
                best.push(item, score);
            }
        }
    }
}

/// Inserts a number into some that are sorted, greatest first, and drops the last.
#[inline(always)]
fn insert(sorted: &mut [f32], number: f32) {
    let mut place = sorted.len();
    while place > 0 && sorted[place - 1] < number {
        place -= 1;
        if place + 1 < sorted.len() {
            sorted[place + 1] = sorted[place];
        }
        sorted[place] = number;
    }
}
