//! Conformance tests for backends: one suite over any backend, a comparison of TD3 with PyTorch, and the `Shadow`
//! backend.
//!
//! | to find | look in |
//! |---|---|
//! | the tests that every backend must pass | [`suite`] |
//! | TD3 compared with PyTorch | [`td3`] |
//! | a backend that runs two backends and compares them after every stage | [`shadow`] |
//! | the comparison of two rounds | [`compare`] |
//!
//! The feature `suite` (default) contains [`suite`] and [`td3`].

pub mod compare;
pub mod shadow;
#[cfg(feature = "suite")]
pub mod suite;
#[cfg(feature = "suite")]
pub mod td3;
