//! Evaluation: episodes under a policy, their metrics, and confidence intervals (`docs/spec.md`, section 8).
//!
//! ```text
//!   Policy ──► Evaluator::episode ──► Episode ──► Comparison::estimates ──► PolicyMetrics, RoundCurves ──► Interval
//!              (one evaluation seed)              (policies x seeds)        (one resample)
//! ```
//!
//! | to find | look in |
//! |---|---|
//! | policies, and the trait that they implement | [`policy`] |
//! | an episode under a policy | [`Evaluator`], which returns an [`Episode`] |
//! | metrics of one slate: diversity, entropy, calibration | [`slates`] |
//! | metrics of what was shown of the catalogue: coverage, Gini | [`catalogue`] |
//! | items shown and accepted by cluster, round and distance | [`breakdown`] |
//! | metrics of the distance curve: area, rounds to 10 % | [`curve`] |
//! | whether users accept as often as the formula predicts | [`reliability`] |
//! | all metrics of all policies | [`Comparison`], [`PolicyMetrics`] |
//! | interquartile mean, probability of improvement | [`RankedValues`], [`probability_of_improvement`] |
//! | bootstrap and confidence intervals | [`resample`] |

pub mod breakdown;
pub mod catalogue;
mod comparison;
pub mod curve;
mod episode;
mod evaluator;
mod metrics;
pub mod policy;
pub mod reliability;
pub mod resample;
mod robust;
pub mod slates;

pub use comparison::{Comparison, Estimates, RoundCurves};
pub use episode::{Episode, Measure};
pub use evaluator::Evaluator;
pub use metrics::PolicyMetrics;
pub use robust::{RankedValues, probability_of_improvement};
