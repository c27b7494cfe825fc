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
//! | all measures of all policies, and how sure they are | [`Study`], [`Metrics`], [`resample`] |

pub mod breakdown;
pub mod catalogue;
pub mod curve;
mod episode;
mod evaluator;
mod metrics;
mod middle;
pub mod policy;
pub mod reliability;
pub mod resample;
pub mod slates;
mod study;

pub use episode::{Column, Episode};
pub use evaluator::Evaluator;
pub use metrics::Metrics;
pub use middle::{Ranked, improvement};
pub use study::{Curves, Findings, Study};
