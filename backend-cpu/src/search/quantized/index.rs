//! The quantized index: items as bytes, grouped so that the error bounds of their scores are tight.
//!
//! An item `x` is its cluster's center `c` plus a residual `r`. The residual is rounded to integers `r'` of a step `s`,
//! and a query `q` to integers `q'` of a step `t`. Items are grouped by cluster and by the norm of the residual, and
//! each group has its own step: a trained agent's actions are where many items are near a center, and these must be
//! told apart. By Cauchy-Schwarz
//!
//! `|q·x - (q·c + st q'·r')| <= |q - tq'| R + |tq'| E`,
//!
//! where R is the largest norm of the group's residuals and E that of its rounding errors `r - sr'`. Scores in the
//! defined order have a rounding error of their own besides
//! ([`reference_error_bound`](recsim_core::world::error_bound::reference_error_bound)).
//!
//! Steps are chosen such that no sum of products overflows its accumulator, again by Cauchy-Schwarz: the norm of an
//! item's integers is at most about the square root of the accumulator's maximum, and a query's norm keeps the product
//! below it.

use recsim_core::model::slate::coprime_stride;

use super::kernel::Int8Layout;
use super::lanes::{F64x8, max_abs, norm, quantization_error, quantize, to_f64x8};
use crate::aligned::Aligned;

/// Items as bytes.
#[derive(Debug)]
pub(super) struct QuantizedIndex {
    pub(super) layout: Int8Layout,
    pub(super) dimensions: usize,
    items: usize,
    /// `[clusters]`
    centers: Vec<Vec<F64x8>>,
    groups: Vec<ItemGroup>,
    /// The largest norm of an item's row.
    pub(super) max_item_norm: f64,
    /// The largest norm of an item's integers.
    pub(super) max_code_norm: f64,
    /// Each panel's group, in storage order.
    panel_groups: Vec<u32>,
    /// `[panels, panel_items]`: item ids, [`NO_ITEM`] where a panel has none.
    ids: Vec<u32>,
    /// `[panels, panel_items, D]`: the items' rows.
    rows: Vec<f32>,
    /// `[panels, 1 + words, panel_items]`: the initial sums, then four bytes of each item, four dimensions after the
    /// other.
    words: Aligned<u32>,
}

/// Items of a cluster with residuals of about the same norm.
#[derive(Debug)]
pub(super) struct ItemGroup {
    /// The cluster.
    pub(super) cluster: usize,
    pub(super) step: f64,
    /// `1 / step`
    pub(super) inverse_step: f64,
    /// The largest norm of a residual.
    pub(super) max_residual_norm: f64,
    /// The largest norm of a residual's rounding error.
    pub(super) max_error_norm: f64,
}

impl QuantizedIndex {
    /// Builds the index of `rows`, `[I, D]`. `cluster` gives each item's cluster. A panel has two vectors of items of
    /// one group. `None` if a value is not finite.
    pub(super) fn new(
        layout: Int8Layout,
        rows: &[f32],
        dimensions: usize,
        cluster: impl Fn(usize) -> u32,
    ) -> Option<Self> {
        if !rows.iter().all(|x| x.is_finite()) {
            return None;
        }
        let (items, width) = (rows.len() / dimensions, layout.panel_items());
        let row = |item: u32| &rows[item as usize * dimensions..][..dimensions];
        let mut clusters = cluster_members(items, cluster);
        let centers: Vec<Vec<f64>> = clusters.iter().map(|members| mean_row(dimensions, members, row)).collect();
        let residual =
            |item: u32, cluster: usize| to_f64x8(as_f64(row(item)).zip(&centers[cluster]).map(|(x, c)| x - c));
        for (cluster, members) in clusters.iter_mut().enumerate() {
            members.sort_by_cached_key(|&item| norm(&residual(item, cluster)).to_bits());
        }
        let cluster_groups = (MAX_GROUPS / clusters.len().max(1)).clamp(1, MAX_CLUSTER_GROUPS);
        let (mut groups, mut panels) = (Vec::new(), Vec::new());
        for (cluster, members) in clusters.iter().enumerate() {
            for members in members.chunks(members.len().div_ceil(cluster_groups).max(width)) {
                let residuals = members.iter().map(|&item| residual(item, cluster));
                panels.extend(members.chunks(width).map(|panel| (groups.len(), panel)));
                groups.push(ItemGroup::new(cluster, layout.max_sum.sqrt(), &residuals.collect::<Vec<_>>()));
            }
        }
        // Panels are scattered: if later items were systematically better, as in a sorted catalogue, far more would
        // become candidates.
        let (count, stride) = (panels.len(), coprime_stride(panels.len()));
        let mut order: Vec<_> = (0..count).map(|n| panels[n * stride % count]).collect();
        // Within a part, panels of a group are adjacent, so that the group's bounds stay in cache.
        order.chunks_mut((PART_ITEMS / width).max(1)).for_each(|part| part.sort_by_key(|&(group, _)| group));
        let panel_rows = 1 + layout.row_words(dimensions);
        let mut index = Self {
            layout,
            dimensions,
            items,
            max_item_norm: rows
                .chunks_exact(dimensions)
                .map(|row| norm(&to_f64x8(as_f64(row))))
                .fold(0.0, f64::max),
            max_code_norm: 0.0,
            panel_groups: Vec::new(),
            ids: vec![NO_ITEM; count * width],
            rows: vec![0.0; count * width * dimensions],
            words: Aligned::new(count * panel_rows * width),
            centers: centers.iter().map(|center| to_f64x8(center.iter().copied())).collect(),
            groups,
        };
        for (panel, (n, members)) in order.into_iter().enumerate() {
            index.panel_groups.push(n as u32);
            index.ids[panel * width..][..members.len()].copy_from_slice(members);
            let words = &mut index.words[panel * panel_rows * width..][..panel_rows * width];
            words[..width].fill(layout.empty_sum);
            for (lane, &item) in members.iter().enumerate() {
                index.rows[(panel * width + lane) * dimensions..][..dimensions].copy_from_slice(row(item));
                let group = &index.groups[n];
                let codes = group.codes(&residual(item, group.cluster));
                index.max_code_norm = index.max_code_norm.max(norm(&codes));
                let codes = &codes.as_flattened()[..dimensions];
                let column = words.iter_mut().skip(layout.word_index(lane)).step_by(width);
                let new = std::iter::once((layout.initial_sum)(codes)).chain(codes.chunks(4).map(pack_word));
                column.zip(new).for_each(|(word, new)| *word = new);
            }
        }
        Some(index)
    }

    /// The number of items.
    pub(super) fn items(&self) -> usize {
        self.items
    }

    pub(super) fn groups(&self) -> &[ItemGroup] {
        &self.groups
    }

    /// The clusters' centers, `[D/8]` each.
    pub(super) fn centers(&self) -> &[Vec<F64x8>] {
        &self.centers
    }

    pub(super) fn panel_items(&self) -> usize {
        self.layout.panel_items()
    }

    /// Each panel's group, and its words, in storage order.
    pub(super) fn panels(&self) -> (&[u32], impl Iterator<Item = &[u32]> + Clone) {
        (
            &self.panel_groups,
            self.words.chunks_exact((1 + self.layout.row_words(self.dimensions)) * self.panel_items()),
        )
    }

    /// The item at a position, if there is one.
    pub(super) fn item(&self, position: usize) -> Option<u32> {
        Some(self.ids[position]).filter(|&item| item != NO_ITEM)
    }

    /// The row of the item at a position, `[D]`.
    pub(super) fn row(&self, position: usize) -> &[f32] {
        &self.rows[position * self.dimensions..][..self.dimensions]
    }
}

impl ItemGroup {
    /// The group of items with these residuals, whose integers have a norm of at most about `max_norm`.
    fn new(cluster: usize, max_norm: f64, residuals: &[Vec<F64x8>]) -> Self {
        let mut group = Self { cluster, step: 0.0, inverse_step: 0.0, max_residual_norm: 0.0, max_error_norm: 0.0 };
        for residual in residuals {
            let residual_norm = norm(residual);
            group.max_residual_norm = group.max_residual_norm.max(residual_norm);
            group.step = group.step.max(max_abs(residual) / MAX_ITEM_CODE).max(residual_norm / max_norm);
        }
        group.inverse_step = 1.0 / group.step;
        for residual in residuals {
            group.max_error_norm =
                group.max_error_norm.max(quantization_error(residual, &group.codes(residual), group.step));
        }
        group
    }

    /// The integers of a residual.
    fn codes(&self, residual: &[F64x8]) -> Vec<F64x8> {
        let mut codes = vec![[0.0; 8]; residual.len()];
        quantize(residual, self.step, MAX_ITEM_CODE, &mut codes);
        codes
    }
}

/// The items of each cluster. All items count as one cluster if there are more clusters than the maximum number of
/// groups.
fn cluster_members(items: usize, cluster: impl Fn(usize) -> u32) -> Vec<Vec<u32>> {
    let clusters = (0..items).map(&cluster).max().map_or(0, |last| last as usize + 1);
    if clusters > MAX_GROUPS {
        return vec![(0..items as u32).collect()];
    }
    let mut members = vec![Vec::new(); clusters];
    for item in 0..items {
        members[cluster(item) as usize].push(item as u32);
    }
    members
}

/// The mean of items' rows.
fn mean_row<'a>(dimensions: usize, members: &[u32], row: impl Fn(u32) -> &'a [f32]) -> Vec<f64> {
    let mut mean = vec![0.0; dimensions];
    for &item in members {
        mean.iter_mut().zip(as_f64(row(item))).for_each(|(sum, x)| *sum += x);
    }
    mean.iter_mut().for_each(|sum| *sum /= members.len().max(1) as f64);
    mean
}

/// A row in double precision.
fn as_f64(row: &[f32]) -> impl Iterator<Item = f64> {
    row.iter().map(|&x| f64::from(x))
}

/// Packs four values, or the last few of a row, as the bytes of a word.
fn pack_word(values: &[f64]) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|n| (values.get(n).copied().unwrap_or(0.0) as i8).cast_unsigned()))
}

/// The largest magnitude of an item's integers.
const MAX_ITEM_CODE: f64 = 127.0;
/// Items of a part of the index. The part's scores, 2 bytes for each item and query, may be stored, and fit the
/// second-level cache.
pub(super) const PART_ITEMS: usize = 32_768;
/// The maximum number of groups. Each group has its own threshold for every query.
const MAX_GROUPS: usize = 64;
/// The maximum number of groups of a cluster.
const MAX_CLUSTER_GROUPS: usize = 8;
/// The id where a panel has no item.
const NO_ITEM: u32 = u32::MAX;
