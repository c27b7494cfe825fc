//! The catalogue in bytes: scores at a fraction of the cost, and how far they can be off.
//!
//! An item of a cluster is its cluster's centre and a rest, `x = c + r`, and the rest is rounded to whole numbers `r'` of a
//! step `s`; so is an action `q`, to whole numbers `q'` of a step `t`. Items are grouped by cluster and length of the rest,
//! each group with a step of its own: a trained agent's actions lie where items are near a centre, and must be told apart
//! finely. By Cauchy and Schwarz
//!
//! `|q·x - (q·c + st q'·r')| <= |q - tq'| R + |tq'| E`,
//!
//! R being the length of the group's longest rest and E that of its largest `r - sr'`. The defined score is off by
//! its own rounding besides ([`defined`](recsim_core::world::error_bound::defined)).
//!
//! Steps are such that no sum of products exceeds what it is kept in, again by Cauchy and Schwarz: an item's whole numbers
//! are no longer than about the root of that, and an action's no longer than leaves the product below it.

use recsim_core::model::slate::coprime_stride;

use super::bytes::Layout;
use super::eights::{Eight, eights, in_steps, largest, length, lost};
use crate::aligned::Aligned;

/// A catalogue in bytes.
#[derive(Debug)]
pub(super) struct Rough {
    pub(super) layout: Layout,
    pub(super) dimensions: usize,
    items: usize,
    /// `[clusters]`
    centres: Vec<Vec<Eight>>,
    groups: Vec<Group>,
    /// The longest row.
    pub(super) longest: f64,
    /// The longest of the items' whole numbers.
    pub(super) length: f64,
    /// Each panel's group, in the order in which they lie.
    group_of: Vec<u32>,
    /// `[panels, width]`: which items they are, [`NOBODY`] where there is none.
    ids: Vec<u32>,
    /// `[panels, width, D]`: their rows.
    rows: Vec<f32>,
    /// `[panels, 1 + words, width]`: what the sums begin with, and then four bytes of each item, four dimensions after the
    /// other.
    words: Aligned<u32>,
}

/// Items about as far from a centre.
#[derive(Debug)]
pub(super) struct Group {
    /// The centre's cluster.
    pub(super) cluster: usize,
    pub(super) step: f64,
    /// `1 / step`
    pub(super) per_step: f64,
    /// The longest rest, and the most that rounding changes one.
    pub(super) longest: f64,
    pub(super) lost: f64,
}

impl Rough {
    /// Lays out `rows` (`[I, D]`) of items, each of a cluster, in panels of two vectors, each of items of one group. None if a
    /// number is not finite.
    pub(super) fn new(
        layout: Layout,
        rows: &[f32],
        dimensions: usize,
        cluster: impl Fn(usize) -> u32,
    ) -> Option<Self> {
        if !rows.iter().all(|x| x.is_finite()) {
            return None;
        }
        let (items, width) = (rows.len() / dimensions, layout.width());
        let row = |item: u32| &rows[item as usize * dimensions..][..dimensions];
        let mut clusters = members(items, cluster);
        let centres: Vec<Vec<f64>> = clusters.iter().map(|members| centre(dimensions, members, row)).collect();
        let rest = |item: u32, cluster: usize| eights(wide(row(item)).zip(&centres[cluster]).map(|(x, c)| x - c));
        for (cluster, members) in clusters.iter_mut().enumerate() {
            members.sort_by_cached_key(|&item| length(&rest(item, cluster)).to_bits());
        }
        let shells = (MOST_GROUPS / clusters.len().max(1)).clamp(1, MOST_SHELLS);
        let (mut groups, mut panels) = (Vec::new(), Vec::new());
        for (cluster, members) in clusters.iter().enumerate() {
            for members in members.chunks(members.len().div_ceil(shells).max(width)) {
                let rests = members.iter().map(|&item| rest(item, cluster));
                panels.extend(members.chunks(width).map(|part| (groups.len(), part)));
                groups.push(Group::new(cluster, layout.most_sum.sqrt(), &rests.collect::<Vec<_>>()));
            }
        }
        // Scattered: were later items systematically better, as where a catalogue is sorted, far more would enter.
        let (count, stride) = (panels.len(), coprime_stride(panels.len()));
        let mut order: Vec<_> = (0..count).map(|place| panels[place * stride % count]).collect();
        // What is known of a group stays near while its panels are gone through.
        order.chunks_mut((PART / width).max(1)).for_each(|part| part.sort_by_key(|&(group, _)| group));
        let height = 1 + layout.words(dimensions);
        let mut rough = Self {
            layout,
            dimensions,
            items,
            longest: rows.chunks_exact(dimensions).map(|row| length(&eights(wide(row)))).fold(0.0, f64::max),
            length: 0.0,
            group_of: Vec::new(),
            ids: vec![NOBODY; count * width],
            rows: vec![0.0; count * width * dimensions],
            words: Aligned::new(count * height * width),
            centres: centres.iter().map(|centre| eights(centre.iter().copied())).collect(),
            groups,
        };
        for (place, (n, members)) in order.into_iter().enumerate() {
            rough.group_of.push(n as u32);
            rough.ids[place * width..][..members.len()].copy_from_slice(members);
            let words = &mut rough.words[place * height * width..][..height * width];
            words[..width].fill(layout.nobody);
            for (lane, &item) in members.iter().enumerate() {
                rough.rows[(place * width + lane) * dimensions..][..dimensions].copy_from_slice(row(item));
                let group = &rough.groups[n];
                let whole = group.whole(&rest(item, group.cluster));
                rough.length = rough.length.max(length(&whole));
                let whole = &whole.as_flattened()[..dimensions];
                let column = words.iter_mut().skip(layout.word_of(lane)).step_by(width);
                let new = std::iter::once((layout.begin)(whole)).chain(whole.chunks(4).map(word));
                column.zip(new).for_each(|(word, new)| *word = new);
            }
        }
        Some(rough)
    }

    /// Items there are.
    pub(super) fn items(&self) -> usize {
        self.items
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The clusters' centres, `[D/8]` each.
    pub(super) fn centres(&self) -> &[Vec<Eight>] {
        &self.centres
    }

    pub(super) fn width(&self) -> usize {
        self.layout.width()
    }

    /// Each panel's group, and its words.
    pub(super) fn panels(&self) -> (&[u32], impl Iterator<Item = &[u32]> + Clone) {
        (&self.group_of, self.words.chunks_exact((1 + self.layout.words(self.dimensions)) * self.width()))
    }

    /// The item at a place, if there is one.
    pub(super) fn item(&self, place: usize) -> Option<u32> {
        Some(self.ids[place]).filter(|&item| item != NOBODY)
    }

    /// The row of the item at a place.
    pub(super) fn row(&self, place: usize) -> &[f32] {
        &self.rows[place * self.dimensions..][..self.dimensions]
    }
}

impl Group {
    /// Of items' rests, which become whole numbers no longer than about `most`.
    fn new(cluster: usize, most: f64, rests: &[Vec<Eight>]) -> Self {
        let mut group = Self { cluster, step: 0.0, per_step: 0.0, longest: 0.0, lost: 0.0 };
        for rest in rests {
            let size = length(rest);
            group.longest = group.longest.max(size);
            group.step = group.step.max(largest(rest) / MOST_OF_ITEM).max(size / most);
        }
        group.per_step = 1.0 / group.step;
        for rest in rests {
            group.lost = group.lost.max(lost(rest, &group.whole(rest), group.step));
        }
        group
    }

    fn whole(&self, rest: &[Eight]) -> Vec<Eight> {
        let mut whole = vec![[0.0; 8]; rest.len()];
        in_steps(rest, self.step, MOST_OF_ITEM, &mut whole);
        whole
    }
}

/// The items of each cluster; all in one, if there are more clusters than groups can be.
fn members(items: usize, cluster: impl Fn(usize) -> u32) -> Vec<Vec<u32>> {
    let clusters = (0..items).map(&cluster).max().map_or(0, |last| last as usize + 1);
    if clusters > MOST_GROUPS {
        return vec![(0..items as u32).collect()];
    }
    let mut members = vec![Vec::new(); clusters];
    for item in 0..items {
        members[cluster(item) as usize].push(item as u32);
    }
    members
}

/// The mean of items.
fn centre<'a>(dimensions: usize, members: &[u32], row: impl Fn(u32) -> &'a [f32]) -> Vec<f64> {
    let mut centre = vec![0.0; dimensions];
    for &item in members {
        centre.iter_mut().zip(wide(row(item))).for_each(|(sum, x)| *sum += x);
    }
    centre.iter_mut().for_each(|sum| *sum /= members.len().max(1) as f64);
    centre
}

fn wide(row: &[f32]) -> impl Iterator<Item = f64> {
    row.iter().map(|&x| f64::from(x))
}

/// Four numbers, or the last few, as the bytes of a word.
fn word(four: &[f64]) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|n| (four.get(n).copied().unwrap_or(0.0) as i8).cast_unsigned()))
}

/// The most steps of an item.
const MOST_OF_ITEM: f64 = 127.0;
/// Items of a part of the catalogue, whose scores may be kept, 2 bytes each for every query: what stays in the second cache.
pub(super) const PART: usize = 32_768;
/// Groups, each of which gives a query another bar, and those that are made of a cluster.
const MOST_GROUPS: usize = 64;
const MOST_SHELLS: usize = 8;
/// In the place of an item where a panel has none.
const NOBODY: u32 = u32::MAX;
