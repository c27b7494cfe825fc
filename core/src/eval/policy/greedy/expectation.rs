//! What is to be expected of one user.

use alloc::vec;
use alloc::vec::Vec;

use nalgebra::{Const, Dim, VectorView, VectorViewMut};

use super::Greedy;
use crate::eval::policy::UserView;
use crate::model::accept::Acceptance;
use crate::model::belief::{distance, raise, update};

/// A user's beliefs, and what is expected to be accepted of the slate so far; tables are `[K]`, and K is `D`'s.
pub(super) struct Prospect<'a, D> {
    clusters: D,
    acceptance: &'a Acceptance<f32>,
    increment: f64,
    target: &'a [f64],
    beliefs: Vec<f64>,
    /// Acceptances.
    expected: Vec<f64>,
    /// What the beliefs make of each cluster's items.
    belief_response: Vec<f32>,
    /// Where beliefs are tried out.
    tried: Vec<f64>,
}

/// What comes of one more item.
#[derive(Clone, Copy)]
pub(super) struct ExpectedOutcome {
    /// The summed distance to the target.
    pub(super) distance: f64,
    /// Whether the item's cluster reaches its target.
    pub(super) reaches: bool,
}

impl<'a, D: Dim> Prospect<'a, D> {
    /// A user whose slate holds the list's first items alone.
    pub(super) fn new(clusters: D, greedy: &'a Greedy<'_>, user: &UserView<'_>) -> Self {
        let parts = greedy.world.arrays();
        let mut prospect = Self {
            clusters,
            acceptance: &greedy.acceptance,
            increment: greedy.increment,
            target: &greedy.target,
            beliefs: user.beliefs.iter().copied().map(f64::from).collect(),
            expected: vec![0.0; clusters.value()],
            belief_response: user.beliefs.iter().map(|&belief| greedy.acceptance.belief_response(belief)).collect(),
            tried: vec![0.0; clusters.value()],
        };
        for &item in &greedy.world.pretrained(user.index)[..greedy.listed] {
            let cluster = parts.item_cluster[item as usize] as usize;
            prospect.add(cluster, prospect.probability(cluster, parts.item_distance[item as usize]));
        }
        prospect
    }

    /// The probability that an item of this cluster and distance is accepted.
    #[inline]
    pub(super) fn probability(&self, cluster: usize, distance: f32) -> f32 {
        self.acceptance.probability_given_response(self.belief_response[cluster], distance)
    }

    /// Puts an item on the slate.
    #[inline]
    pub(super) fn add(&mut self, cluster: usize, probability: f32) {
        self.expected[cluster] += f64::from(probability);
    }

    /// What would come of it if it were.
    #[inline]
    pub(super) fn with(&mut self, cluster: usize, probability: f32) -> ExpectedOutcome {
        self.tried(cluster, probability, |beliefs, expected, target, increment| {
            update(beliefs, expected, target, increment);
            ExpectedOutcome { distance: distance(beliefs, target), reaches: beliefs[cluster] >= target[cluster] }
        })
    }

    /// The beliefs' sum then, before it is kept to 1.
    #[inline]
    pub(super) fn sum_with(&mut self, cluster: usize, probability: f32) -> f64 {
        self.tried(cluster, probability, |beliefs, expected, _, increment| raise(beliefs, expected, increment))
    }

    #[inline]
    fn tried<T>(
        &mut self,
        cluster: usize,
        probability: f32,
        of: impl FnOnce(&mut VectorViewMut<'_, f64, D>, &VectorView<'_, f64, D>, &VectorView<'_, f64, D>, f64) -> T,
    ) -> T {
        self.tried.copy_from_slice(&self.beliefs);
        let kept = self.expected[cluster];
        self.add(cluster, probability);
        let (clusters, one) = (self.clusters, Const::<1>);
        let result = of(
            &mut VectorViewMut::from_slice_generic(&mut self.tried, clusters, one),
            &VectorView::from_slice_generic(&self.expected, clusters, one),
            &VectorView::from_slice_generic(self.target, clusters, one),
            self.increment,
        );
        self.expected[cluster] = kept;
        result
    }

    /// By how much two distances that are the same number may differ, as each is rounded some times for every cluster.
    pub(super) fn rounding(&self) -> f64 {
        64.0 * f64::EPSILON * (self.clusters.value() + 4) as f64
    }
}
