//! What the last score of a list is at least, before any item is looked at: by the greatest scores of bytes.

use std::array::from_fn;

use pulp::bytemuck::{Zeroable, cast_slice, cast_slice_mut};

use super::bytes::Bytes;
use super::queries::Queries;
use super::rough::Rough;

/// The scores of the first part, and the greatest of them.
pub(super) struct Greatest<B: Bytes, const Q: usize> {
    /// `[panels of a part]`, or one that the next is written over
    pub(super) kept: Vec<[B::Scores; Q]>,
    /// `[groups, sections]`: the greatest of each group; those of no part are nobody's.
    most: Vec<[B::Scores; Q]>,
    sections: usize,
    list: usize,
    /// `[sections, width]`: what an item's score is at least in each of these shares of the part.
    shares: [Vec<f32>; Q],
}

impl<B: Bytes, const Q: usize> Greatest<B, Q> {
    pub(super) fn new(rough: &Rough, list: usize, part: usize) -> Self {
        // A list's last score is at least that of so many best ones of shares: twice as many shares.
        let sections = (2 * list).div_ceil(rough.width());
        Self {
            kept: vec![[B::Scores::zeroed(); Q]; if B::KEEPS { part } else { 2 }],
            most: vec![[B::Scores::zeroed(); Q]; sections * rough.groups().len()],
            sections,
            list,
            shares: from_fn(|_| vec![0.0; sections * rough.width()]),
        }
    }

    /// Scores the first part's panels, those of a group one after the other.
    #[inline(always)]
    pub(super) fn set<'a>(
        &mut self,
        bytes: B,
        queries: &Queries<Q>,
        groups: &[u32],
        panels: &mut impl Iterator<Item = &'a [u32]>,
    ) {
        self.shares.iter_mut().for_each(|shares| shares.fill(f32::NEG_INFINITY));
        let nothing = B::floor(B::LAYOUT.no_score.into());
        let mut first = 0;
        for groups in groups.chunk_by(|a, b| a == b) {
            let group = groups[0] as usize;
            let most = &mut self.most[group * self.sections..][..self.sections];
            cast_slice_mut::<_, B::Score>(most.as_flattened_mut()).fill(nothing);
            let (mut place, mut section) = (if B::KEEPS { first } else { 0 }, 0);
            let mut last = None;
            for panel in panels.take(groups.len()) {
                bytes.score(&queries.words.0, panel, &mut self.kept[place]);
                if let Some((place, section)) = last.replace((place, section)) {
                    keep_greatest(bytes, &mut most[section], &self.kept[place]);
                }
                place = if B::KEEPS { place + 1 } else { 1 - place };
                section = if section + 1 == self.sections { 0 } else { section + 1 };
            }
            if let Some((place, section)) = last {
                keep_greatest(bytes, &mut most[section], &self.kept[place]);
            }
            first += groups.len();
            self.raise(queries, group);
        }
    }

    /// Raises shares by the greatest scores of a group.
    #[inline(always)]
    fn raise(&mut self, queries: &Queries<Q>, group: usize) {
        let most = &self.most[group * self.sections..][..self.sections];
        for (n, shares) in self.shares.iter_mut().enumerate() {
            for (shares, scores) in shares.chunks_exact_mut(B::LAYOUT.width()).zip(most) {
                let greatest: &[B::Score] = cast_slice(std::slice::from_ref(&scores[n]));
                queries.raise(n, group, greatest, B::LAYOUT.no_score, shares);
            }
        }
    }

    /// Whether anything of a group that has panels in the first part is above its bars.
    #[inline(always)]
    pub(super) fn reaches(&self, bytes: B, group: usize, bars: &[B::Score; Q]) -> bool {
        let mut hits = 0;
        for most in &self.most[group * self.sections..][..self.sections] {
            hits |= bytes.hits(most, bars);
        }
        hits != 0
    }

    /// What the last score of a query's list is at least.
    #[inline(always)]
    pub(super) fn least(&mut self, n: usize) -> f32 {
        let (_, &mut least, _) = self.shares[n].select_nth_unstable_by(self.list - 1, |a, b| b.total_cmp(a));
        least
    }
}

#[inline(always)]
fn keep_greatest<B: Bytes, const Q: usize>(bytes: B, most: &mut [B::Scores; Q], scores: &[B::Scores; Q]) {
    for (most, &score) in most.iter_mut().zip(scores) {
        *most = bytes.greater(*most, score);
    }
}
