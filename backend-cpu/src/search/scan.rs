//! The search in bytes: rough scores tell which items may be among a query's best, and these are scored in the defined
//! order.
//!
//! The catalogue is gone through part by part; most are one. Of the first part all scores are kept, and their greatest tell
//! what the last score of a query's list is at least: so there is a bar before any item is looked at. It rises with every
//! further part.

use std::array::from_fn;

use pulp::NullaryFnOnce;
use pulp::bytemuck::{Zeroable, cast_slice};
use recsim_core::model::slate::TopK;

use super::bytes::Bytes;
use super::defined::TOGETHER;
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
    pub(super) best: &'a mut [TopK<'b>],
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
    /// Items that a query's list holds.
    list: usize,
    /// What the last score of a query's list is at least.
    floors: [f32; Q],
    /// `[groups]`: no score that is not above may reach the floor.
    bars: Vec<[B::Score; Q]>,
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
            list,
            floors: [f32::INFINITY; Q],
            bars: vec![[B::floor(f64::INFINITY); Q]; rough.groups().len()],
            found: from_fn(|_| Vec::new()),
            greatest: Greatest::new(rough, list, part),
            part,
        }
    }

    /// Finds what may be among the best of some queries (`[n, D]`): all that is, and `most` items at the most. False if there
    /// are more, or scores may not be finite.
    #[inline(always)]
    fn search(&mut self, bytes: B, rough: &Rough, queries: &[f32], most: usize) -> bool {
        self.count = queries.len() / rough.dimensions;
        // Where queries are missing, bars stay up.
        self.floors.fill(f32::INFINITY);
        self.found.iter_mut().for_each(Vec::clear);
        if !self.queries.set(rough, queries) {
            return false;
        }
        let part = self.part;
        let (groups, mut panels) = rough.panels();
        for (n, groups) in groups.chunks(part).enumerate() {
            if n == 0 {
                self.begin(bytes, groups, &mut panels);
            } else {
                self.raise_floors();
                self.set_bars();
                self.go_on(bytes, n * part, groups, &mut panels);
            }
            if self.found.iter().map(Vec::len).sum::<usize>() > most {
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
            self.floors[n] = self.greatest.least(n);
        }
        self.set_bars();
        let mut first = 0;
        for groups in groups.chunk_by(|a, b| a == b) {
            let mut panels = again.by_ref().take(groups.len());
            let bars = &self.bars[groups[0] as usize];
            if !self.greatest.reaches(bytes, groups[0] as usize, bars) {
                panels.for_each(drop);
            } else if B::KEEPS {
                for (n, scores) in (first..).zip(&self.greatest.kept[first..][..groups.len()]) {
                    find(bytes, &mut self.found, n, groups[0], scores, bars);
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
        let Self { queries, bars, found, .. } = self;
        let mut both = [[B::Scores::zeroed(); Q]; 2];
        let [mut scores, mut before] = both.each_mut();
        let mut last = None;
        for ((n, &group), panel) in (first..).zip(groups).zip(panels) {
            bytes.score(&queries.words.0, panel, scores);
            if let Some((n, group)) = last.replace((n, group)) {
                find(bytes, found, n, group, before, &bars[group as usize]);
            }
            std::mem::swap(&mut scores, &mut before);
        }
        if let Some((n, group)) = last {
            find(bytes, found, n, group, before, &bars[group as usize]);
        }
    }

    /// Raises the floors by what has been found, and leaves of it what is not below.
    #[inline(always)]
    fn raise_floors(&mut self) {
        let Self { queries, count, list, floors, found, .. } = self;
        for (n, (floor, found)) in floors.iter_mut().zip(found).enumerate().take(*count) {
            let mut least: Vec<f32> = found.iter().map(|item| item.at_least(queries, n)).collect();
            if let Some(nth) = list.checked_sub(1).filter(|&nth| nth < least.len()) {
                *floor = *least.select_nth_unstable_by(nth, |a, b| b.total_cmp(a)).1;
            }
            found.retain(|item| item.reaches::<B, Q>(queries, n, *floor));
        }
    }

    #[inline(always)]
    fn set_bars(&mut self) {
        for (group, bars) in self.bars.iter_mut().enumerate() {
            self.queries.bars::<B>(group, &self.floors, bars);
        }
    }

    /// Scores what has been found for a query in the defined order: first what is best by its score of bytes, and then of
    /// the rest what may still be in the list.
    #[inline(always)]
    fn decide(&mut self, bytes: B, rough: &Rough, n: usize, action: &[f32], best: &mut TopK<'_>) {
        let Self { queries, floors, found, .. } = self;
        let (floor, found) = (floors[n], &mut found[n]);
        let mut first = 0;
        for place in 0..found.len() {
            if found[place].at_least(queries, n) >= floor {
                found.swap(first, place);
                first += 1;
            }
        }
        enter(bytes, rough, action, &found[..first], best);
        let mut kept = first;
        for place in first..found.len() {
            if found[place].reaches::<B, Q>(queries, n, best.threshold()) {
                found.swap(kept, place);
                kept += 1;
            }
        }
        enter(bytes, rough, action, &found[first..kept], best);
    }
}

impl Found {
    /// What its score is at least.
    #[inline(always)]
    fn at_least<const Q: usize>(self, queries: &Queries<Q>, n: usize) -> f32 {
        queries.at_least(n, self.group as usize, self.score)
    }

    /// Whether its score may reach a threshold.
    #[inline(always)]
    fn reaches<B: Bytes, const Q: usize>(self, queries: &Queries<Q>, n: usize, threshold: f32) -> bool {
        self.score > B::floor(queries.bar(n, self.group as usize, threshold)).into()
    }
}

/// Finds the items of a panel that are above the bar.
#[inline(always)]
fn find<B: Bytes, const Q: usize>(
    bytes: B,
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
        }
    }
}

/// Scores items in the defined order, and enters them.
#[inline(always)]
fn enter<B: Bytes>(bytes: B, rough: &Rough, action: &[f32], found: &[Found], best: &mut TopK<'_>) {
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
