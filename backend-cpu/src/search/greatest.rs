//! What the last score of a list is at least, before any item is looked at: by the greatest scores of bytes.

use pulp::bytemuck::{Zeroable, cast_slice};

use super::bytes::Bytes;
use super::panel::score;
use super::queries::Queries;
use super::rough::{NO_SCORE, Rough};

/// The scores of the first part, and the greatest of them.
pub(super) struct Greatest<B: Bytes, const Q: usize> {
    /// `[panels of a part]`
    pub(super) kept: Vec<[B::Scores; Q]>,
    /// `[sections, groups]`
    most: Vec<[B::Scores; Q]>,
    sections: usize,
    list: usize,
    /// `[sections, width]`: what an item's score is at least in each of these shares of the part.
    shares: Vec<f32>,
}

impl<B: Bytes, const Q: usize> Greatest<B, Q> {
    pub(super) fn new(rough: &Rough, list: usize, part: usize) -> Self {
        // A list's last score is at least that of so many best ones of shares: twice as many shares.
        let sections = (2 * list).div_ceil(rough.width());
        Self {
            kept: vec![[B::Scores::zeroed(); Q]; part],
            most: vec![[B::Scores::zeroed(); Q]; sections * rough.groups().len()],
            sections,
            list,
            shares: vec![0.0; sections * rough.width()],
        }
    }

    /// Scores the first part's panels.
    #[inline(always)]
    pub(super) fn set<'a>(
        &mut self,
        bytes: B,
        words: &[[u32; Q]],
        groups: &[u32],
        panels: &mut impl Iterator<Item = &'a [u32]>,
    ) {
        self.most.fill([bytes.scores([bytes.splat(NO_SCORE); 2]); Q]);
        let (groups_there, mut section) = (self.most.len() / self.sections, 0);
        for ((&group, kept), panel) in groups.iter().zip(&mut self.kept).zip(panels) {
            score(bytes, words, panel, kept);
            let most = &mut self.most[section * groups_there + group as usize];
            for (most, &score) in most.iter_mut().zip(&*kept) {
                *most = bytes.greater(*most, score);
            }
            section = if section + 1 == self.sections { 0 } else { section + 1 };
        }
    }

    /// What the last score of a query's list is at least.
    #[inline(always)]
    pub(super) fn least(&mut self, n: usize, queries: &Queries<Q>) -> f32 {
        self.shares.fill(f32::NEG_INFINITY);
        let width = self.shares.len() / self.sections;
        let groups = self.most.len() / self.sections;
        for (shares, groups) in self.shares.chunks_exact_mut(width).zip(self.most.chunks_exact(groups)) {
            for (group, scores) in groups.iter().enumerate() {
                queries.raise(n, group, cast_slice(std::slice::from_ref(&scores[n])), shares);
            }
        }
        let (_, &mut least, _) = self.shares.select_nth_unstable_by(self.list - 1, |a, b| b.total_cmp(a));
        least
    }
}
