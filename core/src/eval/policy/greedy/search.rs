//! The same items as by brute force, sooner.
//!
//! Let `r` be a cluster's belief raised by a candidate's probability `p`, and `s` the sum of all raised beliefs. Both grow
//! with `p`, and so does `r / max(s, 1)`. As long as that is below the cluster's target, the objective falls with `p`. Where
//! the target is reached, it stays as it is while `s <= 1`, and then rises, as the others are divided by more. So along a
//! cluster's items, likeliest first, it is a valley with a flat ground, and the best item stands at the ground's ends, the
//! worst at the ends of all. From there the search goes on as long as the objective is the same but for rounding: what is
//! said here is of exact numbers.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use nalgebra::Dim;

use super::expectation::ExpectedOutcome;
use super::order::RankedCluster;
use super::{Greedy, Objective, Prospect};

pub(super) fn choose<D: Dim>(greedy: &Greedy<'_>, mut prospect: Prospect<'_, D>, items: &mut [u32]) {
    let clusters = &greedy.order.clusters;
    let mut taken: Vec<Vec<usize>> = vec![Vec::new(); clusters.len()];
    let mut grounds = vec![0; clusters.len()];
    for chosen in items {
        let mut best =
            BestCandidate { objective: greedy.objective, distance: greedy.objective.worst(), item: None };
        for (number, cluster) in clusters.iter().enumerate() {
            let ground = &mut grounds[number];
            ClusterSearch { prospect: &mut prospect, number, cluster, taken: &taken[number], ground }
                .search(&mut best);
        }
        *chosen = best.item.expect("there are as many items as a slate holds");
        let cluster = greedy.world.arrays().item_cluster[*chosen as usize] as usize;
        let place = greedy.order.place[*chosen as usize];
        prospect.add(cluster, prospect.probability(cluster, clusters[cluster].distance[place]));
        let behind = taken[cluster].partition_point(|&other| other < place);
        taken[cluster].insert(behind, place);
    }
}

/// The best item so far.
struct BestCandidate {
    objective: Objective,
    distance: f64,
    item: Option<u32>,
}

impl BestCandidate {
    fn offer(&mut self, distance: f64, item: Option<u32>) {
        let Some(item) = item else { return };
        let lower = distance == self.distance && self.item.is_none_or(|best| item < best);
        if self.objective.prefers(distance, self.distance) || lower {
            (self.distance, self.item) = (distance, Some(item));
        }
    }

    /// Whether an objective is so much worse that rounding cannot be why.
    fn is_far_from(&self, distance: f64, rounding: f64) -> bool {
        match self.objective {
            Objective::Nearest => distance > self.distance + rounding,
            Objective::Farthest => distance < self.distance - rounding,
        }
    }
}

/// A cluster's items as candidates.
struct ClusterSearch<'a, 'b, D> {
    prospect: &'a mut Prospect<'b, D>,
    number: usize,
    cluster: &'a RankedCluster,
    /// Places of those that are chosen, sorted.
    taken: &'a [usize],
    /// Where the cluster's target was last seen not to be reached: it moves little from item to item.
    ground: &'a mut usize,
}

impl<D: Dim> ClusterSearch<'_, '_, D> {
    fn search(&mut self, best: &mut BestCandidate) {
        let all = self.cluster.distance.len();
        // An item that nobody takes may change nothing at all, where the least likely one has beliefs divided.
        let likely = match all {
            0 => return,
            _ if self.probability(all - 1) > 0.0 => all,
            _ => first(0..all, 0, |place| self.probability(place) == 0.0),
        };
        if likely < all {
            let outcome = self.outcome(likely);
            best.offer(outcome.distance, self.cluster.lowest(likely..all, self.taken));
        }
        match best.objective {
            Objective::Nearest => {
                let hint = *self.ground;
                let ground = first(0..likely, hint, |place| !self.outcome(place).reaches);
                *self.ground = ground;
                self.down(ground..likely, best);
                self.up(ground, best);
            }
            Objective::Farthest => {
                // The less likely end first: it is the worse one nearly always, and the other then soon given up.
                self.up(likely, best);
                self.down(0..likely, best);
            }
        }
    }

    /// Offers less and less likely items, as long as it is worth while.
    fn down(&mut self, mut places: Range<usize>, best: &mut BestCandidate) {
        while !places.is_empty() {
            let outcome = self.outcome(places.start);
            if best.is_far_from(outcome.distance, self.prospect.rounding()) {
                break;
            }
            let end = self.end_of(places.clone(), outcome);
            best.offer(outcome.distance, self.cluster.lowest(places.start..end, self.taken));
            places.start = end;
        }
    }

    /// Offers likelier and likelier items, from the one before `end` on.
    fn up(&mut self, mut end: usize, best: &mut BestCandidate) {
        while end > 0 {
            let outcome = self.outcome(end - 1);
            if best.is_far_from(outcome.distance, self.prospect.rounding()) {
                break;
            }
            let start = self.start_of(end, outcome);
            best.offer(outcome.distance, self.cluster.lowest(start..end, self.taken));
            end = start;
        }
    }

    /// The end of the items that have the outcome of the first, being as likely, or on flat ground with it.
    fn end_of(&mut self, places: Range<usize>, outcome: ExpectedOutcome) -> usize {
        let Range { start, end } = places;
        if outcome.reaches && self.sum(start) <= 1.0 {
            return first(start..end, start, |place| !self.outcome(place).reaches);
        }
        let probability = self.probability(start);
        first(start..end, start, |place| self.probability(place) != probability)
    }

    /// The start of those that have the outcome of the last one before `end`.
    fn start_of(&mut self, end: usize, outcome: ExpectedOutcome) -> usize {
        if outcome.reaches && self.sum(end - 1) <= 1.0 {
            return first(0..end, end - 1, |place| self.sum(place) <= 1.0);
        }
        let probability = self.probability(end - 1);
        first(0..end, end - 1, |place| self.probability(place) == probability)
    }

    fn outcome(&mut self, place: usize) -> ExpectedOutcome {
        let probability = self.probability(place);
        self.prospect.with(self.number, probability)
    }

    fn sum(&mut self, place: usize) -> f64 {
        let probability = self.probability(place);
        self.prospect.sum_with(self.number, probability)
    }

    fn probability(&self, place: usize) -> f32 {
        self.prospect.probability(self.number, self.cluster.distance[place])
    }
}

/// The first of these places that something is true of, as it is of all behind it; their end if of none. The nearer `hint`
/// is to it, the sooner it is found.
fn first(places: Range<usize>, hint: usize, mut is_true: impl FnMut(usize) -> bool) -> usize {
    let Range { mut start, mut end } = places;
    let (mut step, mut place) = (1, hint.clamp(start, end));
    // Farther and farther from the hint, until the answer lies between.
    if place < end && !is_true(place) {
        start = place + 1;
        while start < end {
            place = start + (step - 1).min(end - start - 1);
            if is_true(place) {
                end = place;
                break;
            }
            (start, step) = (place + 1, 2 * step);
        }
    } else {
        end = place;
        while start < end {
            place = end - step.min(end - start);
            if !is_true(place) {
                start = place + 1;
                break;
            }
            (end, step) = (place, 2 * step);
        }
    }
    while start < end {
        let middle = start + (end - start) / 2;
        if is_true(middle) {
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
    fn the_first_place_is_found_from_wherever_the_search_begins() {
        for start in 0..20 {
            for end in start..20 {
                for due in start..=end {
                    for hint in 0..22 {
                        let mut asked = 0;
                        let found = first(start..end, hint, |place| {
                            assert!((start..end).contains(&place));
                            asked += 1;
                            place >= due
                        });
                        assert!(
                            found == due && asked < 12,
                            "{start}..{end}, {due} from {hint}: {found}, {asked} asked"
                        );
                    }
                }
            }
        }
    }
}
