//! Reliability: whether users accept as often as the acceptance formula predicts.

use core::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// A reliability diagram as a table: the items shown, grouped by their acceptance probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Ten bins of width 0.1: `[0, 0.1)`, `[0.1, 0.2)`, to `[0.9, 1]`.
    pub bins: [ReliabilityBin; 10],
}

/// The items of one range of acceptance probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Items shown.
    pub shown: u64,
    /// Items accepted.
    pub accepted: u64,
    /// The expected number of acceptances, `sum p` over the items shown.
    pub expected: f64,
    /// The variance of the number of acceptances, `sum p (1 - p)`, as draws are independent.
    pub variance: f64,
}

impl Reliability {
    /// Adds one shown item with this acceptance probability, in `[0, 1]`.
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

    /// The expected calibration error (ECE), in `[0, 1]`; 0 if no item was shown. Source: Naeini, Cooper and
    /// Hauskrecht, 2015.
    ///
    /// ```text
    /// ECE = sum over bins of |accepted - expected| / sum over bins of shown
    /// ```
    ///
    /// ```
    /// let mut table = recsim_core::eval::reliability::Reliability::default();
    /// table.record(0.75, true);
    /// table.record(0.25, false);
    /// assert_eq!(table.expected_calibration_error(), 0.25);
    /// ```
    pub fn expected_calibration_error(&self) -> f64 {
        let shown: u64 = self.bins.iter().map(|bin| bin.shown).sum();
        let error: f64 = self.bins.iter().map(|bin| (bin.accepted as f64 - bin.expected).abs()).sum();
        error / shown.max(1) as f64
    }

    /// The largest magnitude of a bin's [`z_score`](ReliabilityBin::z_score), in standard errors; at least 0.
    pub fn max_z_score(&self) -> f64 {
        self.bins.iter().map(|bin| bin.z_score().abs()).fold(0.0, f64::max)
    }
}

impl ReliabilityBin {
    /// `(accepted - expected) / sqrt(variance)`: by how many standard errors the acceptances exceed the expectation. 0
    /// if the variance is 0.
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
