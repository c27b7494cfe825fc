//! The measurements of an episode under a policy.

use alloc::vec;
use alloc::vec::Vec;

use super::breakdown::Breakdown;
use super::reliability::Reliability;
use super::resample::MAX_BLOCKS;

/// The measurements of one episode of all users under one policy and one evaluation seed.
///
/// Sums are over blocks of users ([`MAX_BLOCKS`]), added in user order, so they do not depend on batches or threads.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    num_rounds: usize,
    /// `[rounds, Measure::COUNT, blocks]`: sums over the users of each block.
    sums: Vec<f64>,
    /// `[blocks]`: the number of users.
    pub(super) users: Vec<f64>,
    /// `[blocks]`: users nearer to the target after the last round than at the start.
    pub(super) improved: Vec<f64>,
    /// `[blocks]`: the sum of the users' initial distances.
    pub(super) initial_distance: Vec<f64>,
    /// `[users]`: each user's area, the sum of the distances after all rounds.
    pub user_areas: Vec<f64>,
    /// `[I]`: how often each item was shown.
    pub shown_counts: Vec<u64>,
    /// Whether users accepted as often as the formula predicts.
    pub reliability: Reliability,
    /// Items shown and accepted by cluster, round and distance, and the users' beliefs.
    pub breakdown: Breakdown,
}

/// What is measured of each user in each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Measure {
    /// `sum_c |target_c - b_c|` after the round, in `[0, sum target]`.
    Distance,
    /// The reward, in `[-max_reward, max_reward]`.
    Reward,
    /// The share of the slate that was accepted, in `[0, 1]`.
    Acceptance,
    /// [`diversity`](super::slates::diversity) of the slate.
    Diversity,
    /// [`entropy`](super::slates::entropy) of the slate.
    Entropy,
    /// [`calibration`](super::slates::calibration) of the slate.
    Calibration,
}

impl Measure {
    /// The number of measures.
    pub const COUNT: usize = 6;
}

impl Episode {
    /// Zeros, for users with these initial distances (`[users]`).
    pub(super) fn new(num_rounds: usize, items: usize, clusters: usize, initial_distances: &[f64]) -> Self {
        let blocks = initial_distances.len().min(MAX_BLOCKS);
        let zeros = || vec![0.0; blocks];
        let mut episode = Self {
            num_rounds,
            sums: vec![0.0; num_rounds * Measure::COUNT * blocks],
            users: zeros(),
            improved: zeros(),
            initial_distance: zeros(),
            user_areas: vec![0.0; initial_distances.len()],
            shown_counts: vec![0; items],
            reliability: Reliability::default(),
            breakdown: Breakdown::new(num_rounds, clusters),
        };
        for (user, distance) in initial_distances.iter().enumerate() {
            episode.users[user % blocks] += 1.0;
            episode.initial_distance[user % blocks] += distance;
        }
        episode
    }

    /// Rounds of the episode.
    pub fn num_rounds(&self) -> usize {
        self.num_rounds
    }

    /// Blocks of users: `min(users, MAX_BLOCKS)`.
    pub fn num_blocks(&self) -> usize {
        self.users.len()
    }

    /// The sums of a measure over the users of each block, `[blocks]`, in round `round`, counted from 0.
    ///
    /// # Panics
    /// If there is no such round.
    pub fn block_sums(&self, round: usize, measure: Measure) -> &[f64] {
        &self.sums[(round * Measure::COUNT + measure as usize) * self.num_blocks()..][..self.num_blocks()]
    }

    /// Adds the measures of a user, `[Measure::COUNT]`, in round `round`, counted from 0.
    pub(super) fn add(&mut self, round: usize, user: usize, measures: &[f64]) {
        let blocks = self.num_blocks();
        for (measure, value) in measures.iter().enumerate() {
            self.sums[(round * Measure::COUNT + measure) * blocks + user % blocks] += value;
        }
        self.user_areas[user] += measures[Measure::Distance as usize];
    }

    /// Counts a user who is nearer to the target after the last round than at the start.
    pub(super) fn add_improved(&mut self, user: usize) {
        let blocks = self.num_blocks();
        self.improved[user % blocks] += 1.0;
    }
}
