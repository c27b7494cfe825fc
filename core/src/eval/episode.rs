//! What an episode under a policy came to.

use alloc::vec;
use alloc::vec::Vec;

use super::breakdown::Breakdown;
use super::reliability::Reliability;
use super::resample::MAX_BLOCKS;

/// An episode of all users, summed over blocks of them in user order: the same whatever batches and threads there were.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    rounds: usize,
    /// `[rounds, Column::COUNT, blocks]`
    sums: Vec<f64>,
    /// `[blocks]`: users, those that improved, and their distances at the start.
    pub(super) users: Vec<f64>,
    pub(super) improved: Vec<f64>,
    pub(super) start: Vec<f64>,
    /// `[users]`: the sum of each user's distances after the rounds.
    pub user_areas: Vec<f64>,
    /// `[I]`: how often each item was shown.
    pub shown_counts: Vec<u64>,
    /// Whether users accepted as often as they should.
    pub reliability: Reliability,
    /// What was shown and accepted where, and what users believed.
    pub breakdown: Breakdown,
}

/// What is measured of a user in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Measure {
    /// Summed distance to the target after the round.
    Distance,
    /// The reward.
    Reward,
    /// Share of the slate that was accepted.
    Acceptance,
    /// [`diversity`](super::slates::diversity) of the slate.
    Diversity,
    /// [`entropy`](super::slates::entropy) of the slate.
    Entropy,
    /// [`calibration`](super::slates::calibration) of the slate.
    Calibration,
}

impl Measure {
    /// How many there are.
    pub const COUNT: usize = 6;
}

impl Episode {
    /// Nothing yet, of users who begin at these distances (`[users]`).
    pub(super) fn new(rounds: usize, items: usize, clusters: usize, start: &[f64]) -> Self {
        let blocks = start.len().min(MAX_BLOCKS);
        let zeros = || vec![0.0; blocks];
        let mut episode = Self {
            rounds,
            sums: vec![0.0; rounds * Measure::COUNT * blocks],
            users: zeros(),
            improved: zeros(),
            start: zeros(),
            user_areas: vec![0.0; start.len()],
            shown_counts: vec![0; items],
            reliability: Reliability::default(),
            breakdown: Breakdown::new(rounds, clusters),
        };
        for (user, start) in start.iter().enumerate() {
            episode.users[user % blocks] += 1.0;
            episode.start[user % blocks] += start;
        }
        episode
    }

    /// Rounds that were played.
    pub fn num_rounds(&self) -> usize {
        self.rounds
    }

    /// Blocks of users.
    pub fn num_blocks(&self) -> usize {
        self.users.len()
    }

    /// A column's sums over the users of each block, `[blocks]`, in a round, from 0.
    pub fn block_sums(&self, round: usize, column: Measure) -> &[f64] {
        &self.sums[(round * Measure::COUNT + column as usize) * self.num_blocks()..][..self.num_blocks()]
    }

    /// Adds a user's round.
    pub(super) fn add(&mut self, round: usize, user: usize, columns: &[f64]) {
        let blocks = self.num_blocks();
        for (column, value) in columns.iter().enumerate() {
            self.sums[(round * Measure::COUNT + column) * blocks + user % blocks] += value;
        }
        self.user_areas[user] += columns[Measure::Distance as usize];
    }

    /// Counts a user who is nearer to the target than at the start.
    pub(super) fn improve(&mut self, user: usize) {
        let blocks = self.num_blocks();
        self.improved[user % blocks] += 1.0;
    }
}
