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

use super::order::Cluster;
use super::{Aim, Greedy, Prospect};

pub(super) fn choose(greedy: &Greedy<'_>, mut prospect: Prospect<'_>, items: &mut [u32]) {
    let clusters = &greedy.order.clusters;
    let mut taken: Vec<Vec<usize>> = vec![Vec::new(); clusters.len()];
    for chosen in items {
        let mut best = Best { aim: greedy.aim, distance: greedy.aim.worst(), item: None };
        for (number, cluster) in clusters.iter().enumerate() {
            Valley { prospect: &mut prospect, number, cluster, taken: &taken[number] }.search(&mut best);
        }
        *chosen = best.item.expect("there are as many items as a slate holds");
        let cluster = greedy.world.parts().item_cluster[*chosen as usize] as usize;
        let place = greedy.order.place[*chosen as usize];
        prospect.add(cluster, prospect.probability(cluster, clusters[cluster].distance[place]));
        let behind = taken[cluster].partition_point(|&other| other < place);
        taken[cluster].insert(behind, place);
    }
}

/// The best item so far.
struct Best {
    aim: Aim,
    distance: f64,
    item: Option<u32>,
}

impl Best {
    fn offer(&mut self, distance: f64, item: Option<u32>) {
        let Some(item) = item else { return };
        let lower = distance == self.distance && self.item.is_none_or(|best| item < best);
        if self.aim.prefers(distance, self.distance) || lower {
            (self.distance, self.item) = (distance, Some(item));
        }
    }

    /// Whether an objective is so much worse that rounding cannot be why.
    fn is_far_from(&self, distance: f64, rounding: f64) -> bool {
        match self.aim {
            Aim::Near => distance > self.distance + rounding,
            Aim::Far => distance < self.distance - rounding,
        }
    }
}

/// A cluster's items as candidates.
struct Valley<'a, 'b> {
    prospect: &'a mut Prospect<'b>,
    number: usize,
    cluster: &'a Cluster,
    /// Places of those that are chosen, sorted.
    taken: &'a [usize],
}

impl Valley<'_, '_> {
    fn search(&mut self, best: &mut Best) {
        let all = self.cluster.distance.len();
        // An item that nobody takes may change nothing at all, where the least likely one has beliefs divided.
        let likely = match all {
            0 => return,
            _ if self.probability(all - 1) > 0.0 => all,
            _ => first(0..all, |place| self.probability(place) == 0.0),
        };
        if likely < all {
            self.offer(likely..all, best);
        }
        match best.aim {
            Aim::Near => {
                let ground = first(0..likely, |place| !self.reaches(place));
                self.down(ground..likely, best);
                self.up(ground, best);
            }
            Aim::Far => {
                // The less likely end first: it is the worse one nearly always, and the other then soon given up.
                self.up(likely, best);
                self.down(0..likely, best);
            }
        }
    }

    /// Looks at less and less likely items.
    fn down(&mut self, mut places: Range<usize>, best: &mut Best) {
        while !places.is_empty() {
            let end = self.end_of(places.clone());
            if !self.offer(places.start..end, best) {
                break;
            }
            places.start = end;
        }
    }

    /// Looks at likelier and likelier items, from the one before `end` on.
    fn up(&mut self, mut end: usize, best: &mut Best) {
        while end > 0 {
            let start = self.start_of(end);
            if !self.offer(start..end, best) {
                break;
            }
            end = start;
        }
    }

    /// Offers items that have one objective. Whether it was worth while.
    fn offer(&mut self, places: Range<usize>, best: &mut Best) -> bool {
        let probability = self.probability(places.start);
        let distance = self.prospect.with(self.number, probability).distance;
        if best.is_far_from(distance, self.prospect.rounding()) {
            return false;
        }
        best.offer(distance, self.cluster.lowest(places, self.taken));
        true
    }

    /// The end of the items that have the objective of the first, being as likely, or on flat ground with it.
    fn end_of(&mut self, places: Range<usize>) -> usize {
        let Range { start, end } = places;
        if self.is_flat(start) {
            return first(start..end, |place| !self.reaches(place));
        }
        let probability = self.probability(start);
        match self.differs(start + 1, end, probability) {
            true => start + 1,
            false => first(start..end, |place| self.probability(place) != probability),
        }
    }

    /// The start of those that have the objective of the last one before `end`.
    fn start_of(&mut self, end: usize) -> usize {
        if self.is_flat(end - 1) {
            return first(0..end, |place| self.sum(place) <= 1.0);
        }
        let probability = self.probability(end - 1);
        if end == 1 || self.differs(end - 2, end, probability) {
            return end - 1;
        }
        first(0..end, |place| self.probability(place) == probability)
    }

    fn differs(&self, place: usize, end: usize, probability: f32) -> bool {
        place >= end || self.probability(place) != probability
    }

    fn is_flat(&mut self, place: usize) -> bool {
        self.reaches(place) && self.sum(place) <= 1.0
    }

    fn reaches(&mut self, place: usize) -> bool {
        let probability = self.probability(place);
        self.prospect.with(self.number, probability).reaches
    }

    fn sum(&mut self, place: usize) -> f64 {
        let probability = self.probability(place);
        self.prospect.sum_with(self.number, probability)
    }

    fn probability(&self, place: usize) -> f32 {
        self.prospect.probability(self.number, self.cluster.distance[place])
    }
}

/// The first of these places that something is true of, as it is of all behind it; their end if of none.
fn first(places: Range<usize>, mut is_true: impl FnMut(usize) -> bool) -> usize {
    let Range { mut start, mut end } = places;
    if start < end && is_true(start) {
        return start;
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
