//! Errors of the `Shadow` backend.

use std::error::Error;
use std::fmt;

use recsim_core::backend::{BackendError, ErrorKind};

use crate::compare::Difference;

/// One of two backends failed, or they differ.
#[derive(Debug)]
#[non_exhaustive]
pub enum ShadowError<A, B> {
    /// The first backend failed.
    First(A),
    /// The second backend failed.
    Second(B),
    /// Both succeeded, and their results differ.
    Differ(Difference),
}

impl<A: fmt::Display, B: fmt::Display> fmt::Display for ShadowError<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First(error) => write!(f, "the first backend failed: {error}"),
            Self::Second(error) => write!(f, "the second backend failed: {error}"),
            Self::Differ(difference) => {
                write!(f, "the two backends differ: {difference}")?;
                if difference.stage == "rerank" {
                    f.write_str(
                        " (the critics may disagree where two candidates have nearly equal values; see whether the \
                         backends agree with more users in a batch)",
                    )?;
                }
                if difference.stage == "losses" {
                    f.write_str(
                        " (BatchNorm amplifies rounding where the rows of a minibatch are nearly equal; see whether \
                         the backends agree with `td3.batch_norm: false`)",
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl<A: Error + 'static, B: Error + 'static> Error for ShadowError<A, B> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::First(error) => error.source(),
            Self::Second(error) => error.source(),
            Self::Differ(_) => None,
        }
    }
}

impl<A: BackendError, B: BackendError> BackendError for ShadowError<A, B> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::First(error) => error.kind(),
            Self::Second(error) => error.kind(),
            Self::Differ(_) => ErrorKind::Failed,
        }
    }
}

impl<A, B> From<Difference> for ShadowError<A, B> {
    fn from(difference: Difference) -> Self {
        Self::Differ(difference)
    }
}
