//! Why a shadowed stage failed.

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
    /// They differ.
    Differ(Difference),
}

impl<A: fmt::Display, B: fmt::Display> fmt::Display for ShadowError<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First(error) => write!(f, "on the first backend: {error}"),
            Self::Second(error) => write!(f, "on the second backend: {error}"),
            Self::Differ(difference) => {
                write!(f, "two backends differ: {difference}")?;
                if difference.stage == "refine" {
                    f.write_str(
                        " (where the critic values two candidates nearly alike, rounding may decide: see whether they agree \
                         with more users in a batch)",
                    )?;
                }
                if difference.stage == "losses" {
                    // Whether it did is seen by going without.
                    f.write_str(
                        " (where a batch's rows are nearly alike, BatchNorm magnifies rounding beyond any tolerance: \
                         see whether they agree with `td3.batch_norm: false`)",
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
