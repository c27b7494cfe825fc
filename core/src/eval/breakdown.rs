//! What was shown and accepted by cluster, by round and by distance, and what users believed after each round.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// An episode, or several, broken down.
#[derive(Clone, Debug, PartialEq)]
pub struct Breakdown {
    /// `[rounds][K]`
    pub by_round: ItemCounts,
    /// `[K][10]`: by an item's cluster and the [`distance_decile`] of its distance to the cluster's centre.
    pub by_distance: ItemCounts,
    /// `[rounds][K]`: beliefs after the round, summed over users.
    pub beliefs: Vec<Vec<f64>>,
}

/// Items, in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemCounts {
    /// Items shown.
    pub shown: Vec<Vec<u64>>,
    /// Items accepted.
    pub accepted: Vec<Vec<u64>>,
}

impl Breakdown {
    /// Nothing yet.
    pub fn new(rounds: usize, clusters: usize) -> Self {
        Self {
            by_round: ItemCounts::new(rounds, clusters),
            by_distance: ItemCounts::new(clusters, DECILES),
            beliefs: vec![vec![0.0; clusters]; rounds],
        }
    }

    /// Counts an item that was shown in a round, from 0.
    pub(super) fn count(&mut self, round: usize, cluster: usize, decile: usize, accepted: bool) {
        self.by_round.count(round, cluster, accepted);
        self.by_distance.count(cluster, decile, accepted);
    }

    /// Adds what a user believes after a round, from 0.
    pub(super) fn add_beliefs(&mut self, round: usize, beliefs: &[f32]) {
        self.beliefs[round].iter_mut().zip(beliefs).for_each(|(sum, &belief)| *sum += f64::from(belief));
    }
}

impl ItemCounts {
    fn new(rows: usize, columns: usize) -> Self {
        Self { shown: vec![vec![0; columns]; rows], accepted: vec![vec![0; columns]; rows] }
    }

    fn count(&mut self, row: usize, column: usize, accepted: bool) {
        self.shown[row][column] += 1;
        self.accepted[row][column] += u64::from(accepted);
    }
}

impl AddAssign<&Self> for Breakdown {
    /// Adds another of the same size.
    fn add_assign(&mut self, other: &Self) {
        let counts = [(&mut self.by_round, &other.by_round), (&mut self.by_distance, &other.by_distance)];
        for (counts, other) in counts {
            add(&mut counts.shown, &other.shown);
            add(&mut counts.accepted, &other.accepted);
        }
        add(&mut self.beliefs, &other.beliefs);
    }
}

fn add<T: Copy + AddAssign>(table: &mut [Vec<T>], other: &[Vec<T>]) {
    let cells = table.iter_mut().flatten().zip(other.iter().flatten());
    cells.for_each(|(cell, &other)| *cell += other);
}

/// The tenth, from 0, of the way from a centre to the `farthest` item that an item at `distance` is in.
///
/// ```
/// use recsim_core::eval::breakdown::distance_decile;
/// assert_eq!([0.0, 0.49, 0.5, 5.0].map(|distance| distance_decile(distance, 5.0)), [0, 0, 1, 9]);
/// assert_eq!(distance_decile(0.0, 0.0), 0);
/// ```
pub fn distance_decile(distance: f32, farthest: f32) -> usize {
    // 0 / 0 is no number, and becomes 0.
    ((distance / farthest * DECILES as f32) as usize).min(DECILES - 1)
}

/// How finely distances are told apart.
pub const DECILES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn episodes_add_up() {
        let mut one = Breakdown::new(2, 3);
        one.count(1, 2, 9, true);
        one.count(1, 2, 0, false);
        one.add_beliefs(0, &[0.5, 0.0, 0.25]);
        let mut both = one.clone();
        both += &one;
        assert_eq!((both.by_round.shown[1][2], both.by_round.accepted[1][2]), (4, 2));
        assert_eq!((both.by_distance.shown[2][9], both.by_distance.accepted[2][0]), (2, 0));
        assert_eq!((&both.beliefs[0][..], both.beliefs[1][0]), (&[1.0, 0.0, 0.5][..], 0.0));
    }
}
