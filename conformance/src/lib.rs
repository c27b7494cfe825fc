//! What every backend must do: one test suite over any of them, and two run as one, each checked by the other.
//!
//! | to find | look in |
//! |---|---|
//! | the facts that hold of any backend | [`suite`] |
//! | a backend that runs two and compares them after every stage | [`shadow`] |
//! | where two rounds differ | [`compare`] |
//! | TD3 held to PyTorch | [`td3`] |

pub mod compare;
pub mod shadow;
#[cfg(feature = "suite")]
pub mod suite;
#[cfg(feature = "suite")]
pub mod td3;
