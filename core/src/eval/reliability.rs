//! Whether users accept as often as the formula says: a reliability table.

use core::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Items shown, by the probability that they would be accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// By tenths: `[0, 0.1)`, `[0.1, 0.2)`, ... `[0.9, 1]`.
    pub bins: [ReliabilityBin; 10],
}

/// Items of like probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Items shown.
    pub shown: u64,
    /// Items accepted.
    pub accepted: u64,
    /// The sum of their probabilities: acceptances to be expected.
    pub expected: f64,
    /// The variance of the number of acceptances, `sum p (1 - p)`.
    pub variance: f64,
}

impl Reliability {
    /// Counts an item that was accepted, or not, with this probability.
    ///
    /// ```
    /// let mut table = recsim_core::eval::reliability::Reliability::default();
    /// table.record(0.25, true);
    /// table.record(1.0, true);
    /// assert_eq!((table.bins[2].accepted, table.bins[2].variance, table.bins[9].shown), (1, 0.1875, 1));
    /// ```
    pub fn record(&mut self, probability: f64, accepted: bool) {
        let bin = &mut self.bins[((probability * 10.0) as usize).min(9)];
        bin.shown += 1;
        bin.accepted += u64::from(accepted);
        bin.expected += probability;
        bin.variance += probability * (1.0 - probability);
    }

    /// The expected calibration error: by how much a bin's share of acceptances differs from what was predicted, over all
    /// items shown; 0 if none was.
    pub fn expected_calibration_error(&self) -> f64 {
        let shown: u64 = self.bins.iter().map(|bin| bin.shown).sum();
        let off: f64 = self.bins.iter().map(|bin| (bin.accepted as f64 - bin.expected).abs()).sum();
        off / shown.max(1) as f64
    }

    /// By how many standard errors the bin farthest from what was predicted is off.
    pub fn max_z_score(&self) -> f64 {
        self.bins.iter().map(|bin| bin.z_score().abs()).fold(0.0, f64::max)
    }
}

impl ReliabilityBin {
    /// By how many standard errors the acceptances are more than expected; 0 where nothing was left to chance.
    pub fn z_score(&self) -> f64 {
        if self.variance > 0.0 { (self.accepted as f64 - self.expected) / libm::sqrt(self.variance) } else { 0.0 }
    }
}

impl AddAssign<&Self> for Reliability {
    fn add_assign(&mut self, other: &Self) {
        for (bin, other) in self.bins.iter_mut().zip(&other.bins) {
            bin.shown += other.shown;
            bin.accepted += other.accepted;
            bin.expected += other.expected;
            bin.variance += other.variance;
        }
    }
}
