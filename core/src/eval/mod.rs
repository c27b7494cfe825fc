//! How good a policy is: an episode under it, measured, and what many of them come to (`spec` section 8).
//!
//! | to find | look in |
//! |---|---|
//! | an episode under a policy | [`Evaluator`], which gives an [`Episode`] |
//! | a measure of one slate | [`slates`] |
//! | a measure of what was shown of the catalogue | [`catalogue`] |
//! | what was shown and accepted, by cluster, round and distance | [`breakdown`] |
//! | a measure of how distances fall | [`curve`] |
//! | whether probabilities are what happens | [`reliability`] |
//! | all measures of all policies, and how sure they are | [`Comparison`], [`PolicyMetrics`], [`resample`] |

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
