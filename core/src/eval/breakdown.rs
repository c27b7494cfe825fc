//! Items shown and accepted, by cluster, round and distance, and the users' beliefs after each round.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// The counts of one episode, or the sums of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Breakdown {
    /// `[rounds][K]`: by round and the item's cluster.
    pub by_round: ItemCounts,
    /// `[K][10]`: by the item's cluster and the [`distance_decile`] of its distance to the cluster's centre.
    pub by_distance: ItemCounts,
    /// `[rounds][K]`: the beliefs after the round, summed over users.
    pub beliefs: Vec<Vec<f64>>,
}

/// Numbers of items, by row and column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemCounts {
    /// Items shown.
    pub shown: Vec<Vec<u64>>,
    /// Items accepted.
    pub accepted: Vec<Vec<u64>>,
}

impl Breakdown {
    /// Zeros, for episodes of this many rounds in a world of this many clusters.
    pub fn new(rounds: usize, clusters: usize) -> Self {
        Self {
            by_round: ItemCounts::new(rounds, clusters),
            by_distance: ItemCounts::new(clusters, DECILES),
            beliefs: vec![vec![0.0; clusters]; rounds],
        }
    }

    /// Adds an item that was shown in round `round`, counted from 0.
    pub(super) fn add_item(&mut self, round: usize, cluster: usize, decile: usize, accepted: bool) {
        self.by_round.add_item(round, cluster, accepted);
        self.by_distance.add_item(cluster, decile, accepted);
    }

    /// Adds a user's beliefs, `[K]`, after round `round`, counted from 0.
    pub(super) fn add_beliefs(&mut self, round: usize, beliefs: &[f32]) {
        self.beliefs[round].iter_mut().zip(beliefs).for_each(|(sum, &belief)| *sum += f64::from(belief));
    }
}

impl ItemCounts {
    fn new(rows: usize, columns: usize) -> Self {
        Self { shown: vec![vec![0; columns]; rows], accepted: vec![vec![0; columns]; rows] }
    }

    fn add_item(&mut self, row: usize, column: usize, accepted: bool) {
        self.shown[row][column] += 1;
        self.accepted[row][column] += u64::from(accepted);
    }
}

impl AddAssign<&Self> for Breakdown {
    /// Adds the counts of another one with as many rounds and clusters.
    fn add_assign(&mut self, other: &Self) {
        let counts = [(&mut self.by_round, &other.by_round), (&mut self.by_distance, &other.by_distance)];
        for (counts, other) in counts {
            add_elements(&mut counts.shown, &other.shown);
            add_elements(&mut counts.accepted, &other.accepted);
        }
        add_elements(&mut self.beliefs, &other.beliefs);
    }
}

fn add_elements<T: Copy + AddAssign>(sum: &mut [Vec<T>], other: &[Vec<T>]) {
    let elements = sum.iter_mut().flatten().zip(other.iter().flatten());
    elements.for_each(|(element, &other)| *element += other);
}

/// `min(floor(10 distance / max_distance), 9)`: the tenth of `[0, max_distance]` that `distance` is in, from 0 to 9. 0
/// if both are 0.
///
/// `max_distance` is the largest distance of any item to its cluster's centre, and `distance` is at most that.
///
/// ```
/// use recsim_core::eval::breakdown::distance_decile;
/// assert_eq!([0.0, 0.49, 0.5, 5.0].map(|distance| distance_decile(distance, 5.0)), [0, 0, 1, 9]);
/// assert_eq!(distance_decile(0.0, 0.0), 0);
/// ```
pub fn distance_decile(distance: f32, max_distance: f32) -> usize {
    // 0 / 0 is NaN, which the cast turns into 0.
    ((distance / max_distance * DECILES as f32) as usize).min(DECILES - 1)
}

/// The number of distance ranges.
pub const DECILES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakdown_adds_episodes() {
        let mut one = Breakdown::new(2, 3);
        one.add_item(1, 2, 9, true);
        one.add_item(1, 2, 0, false);
        one.add_beliefs(0, &[0.5, 0.0, 0.25]);
        let mut sum = one.clone();
        sum += &one;
        assert_eq!((sum.by_round.shown[1][2], sum.by_round.accepted[1][2]), (4, 2));
        assert_eq!((sum.by_distance.shown[2][9], sum.by_distance.accepted[2][0]), (2, 0));
        assert_eq!((&sum.beliefs[0][..], sum.beliefs[1][0]), (&[1.0, 0.0, 0.5][..], 0.0));
    }
}
