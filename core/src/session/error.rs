//! Why a session cannot go on.

use core::fmt;

use crate::session::state::StateError;

/// Why a round could not be finished.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionError<E> {
    /// The device failed.
    Backend(E),
    /// Learning made a number that is not finite, by this update at the latest.
    Diverged {
        /// Updates made so far in the run.
        updates: u64,
    },
    /// What a session is to go on from cannot be.
    State(StateError),
}

impl<E> From<E> for SessionError<E> {
    fn from(error: E) -> Self {
        Self::Backend(error)
    }
}

impl<E: fmt::Display> fmt::Display for SessionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(_) => f.write_str("the session cannot go on from there"),
            Self::Backend(_) => f.write_str("the backend failed"),
            Self::Diverged { updates } => write!(
                f,
                "learning diverged: a loss, a gradient or a weight is not a finite number by update {updates}; \
                 a smaller `td3.learning_rate` or `td3.max_grad_norm` may help"
            ),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for SessionError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Backend(error) => Some(error),
            Self::State(error) => Some(error),
            Self::Diverged { .. } => None,
        }
    }
}
