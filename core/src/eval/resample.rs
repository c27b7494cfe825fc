//! How sure a mean is: the bootstrap.
//!
//! Every policy is tried with the same users and the same seeds: a crossed design. So a resample draws as many seeds as
//! there are, and, apart from that, as many users, each with replacement, and every user it draws goes with every seed it
//! draws (the pigeonhole bootstrap: Owen, 2007). All policies share a resample, so that differences are paired. Users are
//! drawn in [`BLOCKS`] blocks, which makes a resample cheap.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::model::rng::{Key, Purpose, index};

/// Blocks of users: user `u` is in block `u % BLOCKS`. Fewer users are a block each.
pub const MAX_BLOCKS: usize = 256;

/// Resamples of an evaluation.
pub const RESAMPLE_COUNT: usize = 1000;

/// How often each seed and each block of users counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResampleWeights {
    /// `[seeds]`
    pub seeds: Vec<u32>,
    /// `[blocks]`
    pub blocks: Vec<u32>,
}

impl ResampleWeights {
    /// Everybody once: what was found.
    pub fn uniform(seeds: usize, blocks: usize) -> Self {
        Self { seeds: vec![1; seeds], blocks: vec![1; blocks] }
    }

    /// Resample number `number` of an evaluation whose first seed is `seed`.
    ///
    /// ```
    /// use recsim_core::eval::resample::ResampleWeights;
    /// let weights = ResampleWeights::resample(7, 0, 3, 256);
    /// assert_eq!((weights.seeds.iter().sum::<u32>(), weights.blocks.iter().sum::<u32>()), (3, 256));
    /// ```
    pub fn resample(seed: u64, number: u64, seeds: usize, blocks: usize) -> Self {
        let key = Key::new(seed, Purpose::Resample).fold_in(number);
        let drawn = |key: Key, count: usize| {
            let mut weights = vec![0; count];
            (0..count as u64).for_each(|draw| weights[index(key.fold_in(draw), count as u64) as usize] += 1);
            weights
        };
        Self { seeds: drawn(key.fold_in(0), seeds), blocks: drawn(key.fold_in(1), blocks) }
    }
}

/// What was found, and between what 95 of 100 resamples lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// What was found; none where there is no such thing.
    pub mean: Option<f64>,
    /// The lower end; none where there is no such thing in so many resamples.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

impl Interval {
    /// The percentiles 2.5 and 97.5 of resamples: the smallest of them that many are not above. One in which there is no
    /// such thing counts as above all others.
    ///
    /// ```
    /// use recsim_core::eval::resample::Interval;
    /// let interval = Interval::from_resamples(Some(50.0), (0..100).map(|n| Some(f64::from(n))));
    /// assert_eq!((interval.low, interval.high), (Some(2.0), Some(97.0)));
    /// ```
    pub fn from_resamples(mean: Option<f64>, resamples: impl Iterator<Item = Option<f64>>) -> Self {
        let mut sorted: Vec<f64> = resamples.map(|value| value.unwrap_or(f64::INFINITY)).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (libm::ceil(share * sorted.len() as f64) as usize).max(1) - 1;
            sorted.get(place).copied().filter(|value| value.is_finite())
        };
        Self { mean, low: at(0.025), high: at(0.975) }
    }

    /// The same of something that is neither large nor small where it is missing: there are no ends if a resample lacks it.
    ///
    /// ```
    /// use recsim_core::eval::resample::Interval;
    /// let interval = Interval::from_complete_resamples(Some(1.0), [Some(0.0), None, Some(2.0)].into_iter());
    /// assert_eq!((interval.mean, interval.low, interval.high), (Some(1.0), None, None));
    /// ```
    pub fn from_complete_resamples(mean: Option<f64>, resamples: impl Iterator<Item = Option<f64>>) -> Self {
        match resamples.collect::<Option<Vec<f64>>>() {
            Some(values) => Self::from_resamples(mean, values.into_iter().map(Some)),
            None => Self { mean, low: None, high: None },
        }
    }
}
