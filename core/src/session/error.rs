//! Errors of a session.

use core::fmt;

use crate::session::state::StateError;

/// Why a session could not be created or a round not be finished.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionError<E> {
    /// The backend failed.
    Backend(E),
    /// A loss, a gradient norm or a weight is NaN or infinite.
    Diverged {
        /// Updates made in the run so far. The value became non-finite in one of them.
        updates: u64,
    },
    /// [`Session::resume`](crate::session::Session::resume) got a state that no session of its plan can have.
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
            Self::State(_) => f.write_str("the session cannot be resumed from this state"),
            Self::Backend(_) => f.write_str("the backend failed"),
            Self::Diverged { updates } => write!(
                f,
                "learning diverged: a loss, a gradient or a weight is NaN or infinite after update {updates}; try a \
                 smaller `td3.learning_rate` or `td3.max_grad_norm`"
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
