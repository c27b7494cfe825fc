//! What is to be expected of one user.

use alloc::vec::Vec;

use nalgebra::DVector;

use super::Greedy;
use crate::accept::Acceptance;
use crate::belief::{distance, raise, update};
use crate::policy::User;

/// A user's beliefs, and what is expected to be accepted of the slate so far.
pub(super) struct Prospect<'a> {
    acceptance: &'a Acceptance<f32>,
    increment: f64,
    target: &'a DVector<f64>,
    beliefs: DVector<f64>,
    /// Acceptances per cluster.
    expected: DVector<f64>,
    /// What the beliefs make of each cluster's items.
    appeal: Vec<f32>,
    /// Where beliefs are tried out.
    tried: DVector<f64>,
}

/// What comes of one more item.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    /// The summed distance to the target.
    pub(super) distance: f64,
    /// Whether the item's cluster reaches its target.
    pub(super) reaches: bool,
}

impl<'a> Prospect<'a> {
    /// A user whose slate holds the list's first items alone.
    pub(super) fn new(greedy: &'a Greedy<'_>, user: &User<'_>) -> Self {
        let (parts, clusters) = (greedy.world.parts(), user.beliefs.len());
        let mut prospect = Self {
            acceptance: &greedy.acceptance,
            increment: greedy.increment,
            target: &greedy.target,
            beliefs: DVector::from_iterator(clusters, user.beliefs.iter().copied().map(f64::from)),
            expected: DVector::zeros(clusters),
            appeal: user.beliefs.iter().map(|&belief| greedy.acceptance.appeal(belief)).collect(),
            tried: DVector::zeros(clusters),
        };
        for &item in &greedy.world.pretrained(user.index)[..greedy.listed] {
            let cluster = parts.item_cluster[item as usize] as usize;
            prospect.add(cluster, prospect.probability(cluster, parts.item_distance[item as usize]));
        }
        prospect
    }

    /// The probability that an item of this cluster and distance is accepted.
    pub(super) fn probability(&self, cluster: usize, distance: f32) -> f32 {
        self.acceptance.probability_by(self.appeal[cluster], distance)
    }

    /// Puts an item on the slate.
    pub(super) fn add(&mut self, cluster: usize, probability: f32) {
        self.expected[cluster] += f64::from(probability);
    }

    /// What would come of it if it were.
    pub(super) fn with(&mut self, cluster: usize, probability: f32) -> Outcome {
        let Self { target, increment, .. } = *self;
        let reaches = self.tried(cluster, probability, |beliefs, expected| {
            update(beliefs, expected, target, increment);
            beliefs[cluster] >= target[cluster]
        });
        Outcome { distance: distance(&self.tried, target), reaches }
    }

    /// The beliefs' sum then, before it is kept to 1.
    pub(super) fn sum_with(&mut self, cluster: usize, probability: f32) -> f64 {
        let increment = self.increment;
        self.tried(cluster, probability, |beliefs, expected| raise(beliefs, expected, increment))
    }

    fn tried<T>(
        &mut self,
        cluster: usize,
        probability: f32,
        of: impl FnOnce(&mut DVector<f64>, &DVector<f64>) -> T,
    ) -> T {
        self.tried.copy_from(&self.beliefs);
        let kept = self.expected[cluster];
        self.add(cluster, probability);
        let result = of(&mut self.tried, &self.expected);
        self.expected[cluster] = kept;
        result
    }

    /// By how much two distances that are the same number may differ, as each is rounded some times for every cluster.
    pub(super) fn rounding(&self) -> f64 {
        64.0 * f64::EPSILON * (self.beliefs.len() + 4) as f64
    }
}
