//! Confidence intervals by the bootstrap (`docs/spec.md`, section 8.4).
//!
//! Every policy serves the same users with the same evaluation seeds: a crossed design. A resample draws as many seeds
//! as there are and, independently, as many blocks of users as there are, both with replacement. A user in a drawn
//! block counts with every drawn seed (the pigeonhole bootstrap: Owen, 2007). All policies and metrics share the
//! resamples, so differences between policies are paired. Users are drawn in at most [`MAX_BLOCKS`] blocks, so that a
//! resample costs little.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::model::rng::{Key, Purpose, index};

/// The largest number of blocks of users. There are `min(users, MAX_BLOCKS)` blocks, and user `u` is in block `u %
/// blocks`.
pub const MAX_BLOCKS: usize = 256;

/// The number of resamples of an evaluation.
pub const RESAMPLE_COUNT: usize = 1000;

/// How often each seed and each block of users counts: user `u` under seed `s` counts `seeds[s] * blocks[u % blocks]`
/// times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResampleWeights {
    /// `[seeds]`; sums to the number of seeds.
    pub seeds: Vec<u32>,
    /// `[blocks]`; sums to the number of blocks.
    pub blocks: Vec<u32>,
}

impl ResampleWeights {
    /// Weights of 1: they give the estimates themselves.
    pub fn uniform(seeds: usize, blocks: usize) -> Self {
        Self { seeds: vec![1; seeds], blocks: vec![1; blocks] }
    }

    /// Resample number `number`, from 0, of an evaluation whose first seed is `seed`. The weights are a pure function
    /// of the arguments.
    ///
    /// ```
    /// use recsim_core::eval::resample::ResampleWeights;
    /// let weights = ResampleWeights::resample(7, 0, 3, 256);
    /// assert_eq!((weights.seeds.iter().sum::<u32>(), weights.blocks.iter().sum::<u32>()), (3, 256));
    /// ```
    pub fn resample(seed: u64, number: u64, seeds: usize, blocks: usize) -> Self {
        let key = Key::new(seed, Purpose::Resample).fold_in(number);
        let draw_weights = |key: Key, count: usize| {
            let mut weights = vec![0; count];
            (0..count as u64).for_each(|draw| weights[index(key.fold_in(draw), count as u64) as usize] += 1);
            weights
        };
        Self { seeds: draw_weights(key.fold_in(0), seeds), blocks: draw_weights(key.fold_in(1), blocks) }
    }
}

/// An estimate with its 95 % percentile interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate from all seeds and users; `None` where the metric is undefined.
    pub mean: Option<f64>,
    /// The lower end, the 2.5th percentile of the resamples; `None` if it falls on a resample in which the metric is
    /// undefined.
    pub low: Option<f64>,
    /// The upper end, the 97.5th percentile; `None` as for the lower end.
    pub high: Option<f64>,
}

impl Interval {
    /// The interval with this estimate and these resamples. The p-th percentile of n values is number `ceil(p n /
    /// 100)`, from 1, of the sorted ones. A resample with an undefined value sorts last, as a number of rounds that was
    /// never reached is larger than any that was.
    ///
    /// ```
    /// use recsim_core::eval::resample::Interval;
    /// let interval = Interval::from_resamples(Some(50.0), (0..100).map(|n| Some(f64::from(n))));
    /// assert_eq!((interval.low, interval.high), (Some(2.0), Some(97.0)));
    /// ```
    pub fn from_resamples(mean: Option<f64>, resamples: impl Iterator<Item = Option<f64>>) -> Self {
        let mut sorted: Vec<f64> = resamples.map(|value| value.unwrap_or(f64::INFINITY)).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let percentile = |share: f64| {
            let index = (libm::ceil(share * sorted.len() as f64) as usize).max(1) - 1;
            sorted.get(index).copied().filter(|value| value.is_finite())
        };
        Self { mean, low: percentile(0.025), high: percentile(0.975) }
    }

    /// As [`from_resamples`](Self::from_resamples), for a metric whose undefined value is neither large nor small: both
    /// ends are `None` if any resample is undefined.
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
