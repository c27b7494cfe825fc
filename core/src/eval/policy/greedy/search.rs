//! A fast search for the items that [`brute_force`](super::brute_force) selects.
//!
//! Let `r` be a cluster's belief raised by a candidate's acceptance probability `p`, and `s` the sum of all raised
//! beliefs. Both grow with `p`, and so does the updated belief `r / max(s, 1)`.
//!
//! - While the updated belief is below the cluster's target, the distance falls with `p`.
//! - Once it reaches the target, the distance is constant while `s <= 1`, and then rises, as the other beliefs are
//!   divided by more.
//!
//! So along a cluster's items, most likely first, the distance first falls or is constant and then rises: it is
//! unimodal, with a plateau at its minimum. The nearest item is at an end of the plateau, and the farthest at an end of
//! the cluster. This holds for exact arithmetic, so from there the search goes on as long as the distance is the same
//! up to rounding.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use nalgebra::Dim;

use super::expectation::ExpectedOutcome;
use super::order::RankedCluster;
use super::{ExpectedSlate, Greedy, Objective};

/// Fills `items` with the items that [`brute_force::select`](super::brute_force::select) selects.
pub(super) fn select<D: Dim>(greedy: &Greedy<'_>, mut slate: ExpectedSlate<'_, D>, items: &mut [u32]) {
    let clusters = &greedy.order.clusters;
    let mut selected: Vec<Vec<usize>> = vec![Vec::new(); clusters.len()];
    let mut plateau_hints = vec![0; clusters.len()];
    for slot in items {
        let mut best =
            BestCandidate { objective: greedy.objective, distance: greedy.objective.worst(), item: None };
        for (index, cluster) in clusters.iter().enumerate() {
            let plateau_hint = &mut plateau_hints[index];
            ClusterSearch { slate: &mut slate, index, cluster, selected: &selected[index], plateau_hint }
                .search(&mut best);
        }
        let item = best.item.expect("a world has at least as many items as a slate");
        *slot = item;
        let cluster = greedy.world.arrays().item_cluster[item as usize] as usize;
        let rank = greedy.order.rank[item as usize];
        slate.add(cluster, slate.probability(cluster, clusters[cluster].distance[rank]));
        let position = selected[cluster].partition_point(|&other| other < rank);
        selected[cluster].insert(position, rank);
    }
}

/// The best item so far.
struct BestCandidate {
    objective: Objective,
    distance: f64,
    item: Option<u32>,
}

impl BestCandidate {
    /// Takes an item if its distance is better, or equal with a lower index.
    fn offer(&mut self, distance: f64, item: Option<u32>) {
        let Some(item) = item else { return };
        let is_lower = distance == self.distance && self.item.is_none_or(|best| item < best);
        if self.objective.prefers(distance, self.distance) || is_lower {
            (self.distance, self.item) = (distance, Some(item));
        }
    }

    /// Whether the best item is better than one of this distance by more than rounding explains.
    fn is_clearly_better_than(&self, distance: f64, rounding_bound: f64) -> bool {
        match self.objective {
            Objective::Nearest => distance > self.distance + rounding_bound,
            Objective::Farthest => distance < self.distance - rounding_bound,
        }
    }
}

/// The search among the items of one cluster. Ranks are those of [`RankedCluster`].
struct ClusterSearch<'a, 'b, D> {
    slate: &'a mut ExpectedSlate<'b, D>,
    /// The cluster's index.
    index: usize,
    cluster: &'a RankedCluster,
    /// The ranks that are selected already, sorted.
    selected: &'a [usize],
    /// The end of the ranks whose items reach the target, as of the last search: it moves little from slot to slot.
    plateau_hint: &'a mut usize,
}

impl<D: Dim> ClusterSearch<'_, '_, D> {
    /// Offers the cluster's best items.
    fn search(&mut self, best: &mut BestCandidate) {
        let len = self.cluster.distance.len();
        // Without any expected acceptance the beliefs do not change; with one, however unlikely, they may be divided by
        // their sum. So items of probability 0 are not part of the unimodal range.
        let num_likely = match len {
            0 => return,
            _ if self.probability(len - 1) > 0.0 => len,
            _ => first_rank(0..len, 0, |rank| self.probability(rank) == 0.0),
        };
        if num_likely < len {
            let outcome = self.outcome(num_likely);
            best.offer(outcome.distance, self.cluster.min_item(num_likely..len, self.selected));
        }
        match best.objective {
            Objective::Nearest => {
                let hint = *self.plateau_hint;
                let plateau_end = first_rank(0..num_likely, hint, |rank| !self.outcome(rank).reaches_target);
                *self.plateau_hint = plateau_end;
                self.offer_descending(plateau_end..num_likely, best);
                self.offer_ascending(plateau_end, best);
            }
            Objective::Farthest => {
                // The least likely end is nearly always the farther one. With it first, the other end is given up soon.
                self.offer_ascending(num_likely, best);
                self.offer_descending(0..num_likely, best);
            }
        }
    }

    /// Offers the items from the start of `ranks` on, less and less likely ones, until a distance is clearly worse than
    /// the best.
    fn offer_descending(&mut self, mut ranks: Range<usize>, best: &mut BestCandidate) {
        while !ranks.is_empty() {
            let outcome = self.outcome(ranks.start);
            if best.is_clearly_better_than(outcome.distance, self.slate.rounding_bound()) {
                break;
            }
            let end = self.same_outcome_end(ranks.clone(), outcome);
            best.offer(outcome.distance, self.cluster.min_item(ranks.start..end, self.selected));
            ranks.start = end;
        }
    }

    /// Offers the items before `end`, more and more likely ones, until a distance is clearly worse than the best.
    fn offer_ascending(&mut self, mut end: usize, best: &mut BestCandidate) {
        while end > 0 {
            let outcome = self.outcome(end - 1);
            if best.is_clearly_better_than(outcome.distance, self.slate.rounding_bound()) {
                break;
            }
            let start = self.same_outcome_start(end, outcome);
            best.offer(outcome.distance, self.cluster.min_item(start..end, self.selected));
            end = start;
        }
    }

    /// The end of the ranks whose outcome is that of the first: they are equally likely, or on the same plateau.
    fn same_outcome_end(&mut self, ranks: Range<usize>, outcome: ExpectedOutcome) -> usize {
        let Range { start, end } = ranks;
        if outcome.reaches_target && self.belief_sum(start) <= 1.0 {
            return first_rank(start..end, start, |rank| !self.outcome(rank).reaches_target);
        }
        let probability = self.probability(start);
        first_rank(start..end, start, |rank| self.probability(rank) != probability)
    }

    /// The start of the ranks before `end` whose outcome is that of the last.
    fn same_outcome_start(&mut self, end: usize, outcome: ExpectedOutcome) -> usize {
        if outcome.reaches_target && self.belief_sum(end - 1) <= 1.0 {
            return first_rank(0..end, end - 1, |rank| self.belief_sum(rank) <= 1.0);
        }
        let probability = self.probability(end - 1);
        first_rank(0..end, end - 1, |rank| self.probability(rank) == probability)
    }

    fn outcome(&mut self, rank: usize) -> ExpectedOutcome {
        let probability = self.probability(rank);
        self.slate.outcome_with(self.index, probability)
    }

    fn belief_sum(&mut self, rank: usize) -> f64 {
        let probability = self.probability(rank);
        self.slate.belief_sum_with(self.index, probability)
    }

    fn probability(&self, rank: usize) -> f32 {
        self.slate.probability(self.index, self.cluster.distance[rank])
    }
}

/// The first of `ranks` for which `predicate` is true, or their end if there is none. `predicate` must be monotonic:
/// true for every rank after the first one. A galloping search from `hint`: the nearer the hint is to the answer, the
/// fewer calls it makes.
fn first_rank(ranks: Range<usize>, hint: usize, mut predicate: impl FnMut(usize) -> bool) -> usize {
    let Range { mut start, mut end } = ranks;
    let (mut step, mut rank) = (1, hint.clamp(start, end));
    // Doubles the distance from the hint until the answer is in start..=end.
    if rank < end && !predicate(rank) {
        start = rank + 1;
        while start < end {
            rank = start + (step - 1).min(end - start - 1);
            if predicate(rank) {
                end = rank;
                break;
            }
            (start, step) = (rank + 1, 2 * step);
        }
    } else {
        end = rank;
        while start < end {
            rank = end - step.min(end - start);
            if !predicate(rank) {
                start = rank + 1;
                break;
            }
            (end, step) = (rank, 2 * step);
        }
    }
    while start < end {
        let middle = start + (end - start) / 2;
        if predicate(middle) {
            end = middle;
        } else {
            start = middle + 1;
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_rank_is_found_from_every_hint() {
        for start in 0..20 {
            for end in start..20 {
                for expected in start..=end {
                    for hint in 0..22 {
                        let mut num_calls = 0;
                        let actual = first_rank(start..end, hint, |rank| {
                            assert!((start..end).contains(&rank));
                            num_calls += 1;
                            rank >= expected
                        });
                        assert!(
                            actual == expected && num_calls < 12,
                            "{start}..{end}, hint {hint}: expected {expected}, got {actual} after {num_calls} calls"
                        );
                    }
                }
            }
        }
    }
}
