//! The expected effect of a slate on one user.

use alloc::vec;
use alloc::vec::Vec;

use nalgebra::{Const, Dim, VectorView, VectorViewMut};

use super::Greedy;
use crate::eval::policy::UserView;
use crate::model::accept::Acceptance;
use crate::model::belief::{distance, raise, update};

/// A user's beliefs and the expected acceptances of the slate so far. Arrays are `[K]`, and K is `D`'s.
pub(super) struct ExpectedSlate<'a, D> {
    clusters: D,
    acceptance: &'a Acceptance<f32>,
    increment: f64,
    target: &'a [f64],
    beliefs: Vec<f64>,
    /// Expected acceptances by cluster.
    expected: Vec<f64>,
    /// [`Acceptance::belief_response`] of each cluster's belief.
    belief_response: Vec<f32>,
    /// Scratch for updated beliefs.
    updated: Vec<f64>,
}

/// The expected effect of the slate with one more item.
#[derive(Clone, Copy)]
pub(super) struct ExpectedOutcome {
    /// `sum_c |target_c - b_c|` after the update.
    pub(super) distance: f64,
    /// Whether the belief in the item's cluster reaches its target.
    pub(super) reaches_target: bool,
}

impl<'a, D: Dim> ExpectedSlate<'a, D> {
    /// A slate that holds only the first items of the user's pre-trained list, as many as the policy leaves slots for.
    pub(super) fn new(clusters: D, greedy: &'a Greedy<'_>, user: &UserView<'_>) -> Self {
        let arrays = greedy.world.arrays();
        let mut slate = Self {
            clusters,
            acceptance: &greedy.acceptance,
            increment: greedy.increment,
            target: &greedy.target,
            beliefs: user.beliefs.iter().copied().map(f64::from).collect(),
            expected: vec![0.0; clusters.value()],
            belief_response: user.beliefs.iter().map(|&belief| greedy.acceptance.belief_response(belief)).collect(),
            updated: vec![0.0; clusters.value()],
        };
        for &item in &greedy.world.pretrained(user.index)[..greedy.num_list_items] {
            let cluster = arrays.item_cluster[item as usize] as usize;
            slate.add(cluster, slate.probability(cluster, arrays.item_distance[item as usize]));
        }
        slate
    }

    /// The probability, in `[0, 1]`, that the user accepts an item of this cluster and distance.
    #[inline]
    pub(super) fn probability(&self, cluster: usize, distance: f32) -> f32 {
        self.acceptance.probability_given_response(self.belief_response[cluster], distance)
    }

    /// Puts an item of this cluster and acceptance probability on the slate.
    #[inline]
    pub(super) fn add(&mut self, cluster: usize, probability: f32) {
        self.expected[cluster] += f64::from(probability);
    }

    /// The outcome if an item of this cluster and acceptance probability were on the slate too.
    #[inline]
    pub(super) fn outcome_with(&mut self, cluster: usize, probability: f32) -> ExpectedOutcome {
        self.with_item(cluster, probability, |beliefs, expected, target, increment| {
            update(beliefs, expected, target, increment);
            ExpectedOutcome {
                distance: distance(beliefs, target),
                reaches_target: beliefs[cluster] >= target[cluster],
            }
        })
    }

    /// The sum of the raised beliefs if that item were on the slate too, before they are divided by a sum above 1.
    #[inline]
    pub(super) fn belief_sum_with(&mut self, cluster: usize, probability: f32) -> f64 {
        self.with_item(cluster, probability, |beliefs, expected, _, increment| raise(beliefs, expected, increment))
    }

    /// Calls `f` with a copy of the beliefs, the expected acceptances including one more item, the target and the
    /// increment.
    #[inline]
    fn with_item<T>(
        &mut self,
        cluster: usize,
        probability: f32,
        f: impl FnOnce(&mut VectorViewMut<'_, f64, D>, &VectorView<'_, f64, D>, &VectorView<'_, f64, D>, f64) -> T,
    ) -> T {
        self.updated.copy_from_slice(&self.beliefs);
        let without_item = self.expected[cluster];
        self.add(cluster, probability);
        let (clusters, one) = (self.clusters, Const::<1>);
        let result = f(
            &mut VectorViewMut::from_slice_generic(&mut self.updated, clusters, one),
            &VectorView::from_slice_generic(&self.expected, clusters, one),
            &VectorView::from_slice_generic(self.target, clusters, one),
            self.increment,
        );
        self.expected[cluster] = without_item;
        result
    }

    /// A bound on the difference between two computed distances whose exact values are equal. Each is rounded a few
    /// times per cluster.
    pub(super) fn rounding_bound(&self) -> f64 {
        64.0 * f64::EPSILON * (self.clusters.value() + 4) as f64
    }
}
