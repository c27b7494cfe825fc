//! What can go wrong on the CPU.

use std::fmt;

use rayon::ThreadPoolBuildError;
use recsim_core::backend::{BackendError, ErrorKind};

/// Why a stage could not be done.
#[derive(Debug)]
#[non_exhaustive]
pub enum CpuError {
    /// The threads could not be started.
    Threads(ThreadPoolBuildError),
    /// A table does not fit into memory.
    Memory {
        /// What it would hold.
        table: &'static str,
        /// Its elements.
        elements: usize,
    },
    /// The policy's action for a user is not a finite number.
    Action {
        /// The user's index in the world.
        user: usize,
    },
}

impl BackendError for CpuError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Threads(_) => ErrorKind::Unavailable,
            Self::Memory { .. } => ErrorKind::OutOfMemory,
            Self::Action { .. } => ErrorKind::NotFinite,
        }
    }
}

impl std::error::Error for CpuError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Threads(cause) => Some(cause),
            Self::Memory { .. } | Self::Action { .. } => None,
        }
    }
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads(_) => f.write_str("the threads could not be started"),
            Self::Memory { table, elements } => {
                write!(f, "no memory for the {table}: {elements} elements")
            }
            Self::Action { user } => write!(f, "the action for user {user} is not a finite number"),
        }
    }
}

/// A table of `elements` copies of `value`, or the error that says which table was too large.
pub(crate) fn table<T: Clone>(table: &'static str, elements: usize, value: T) -> Result<Vec<T>, CpuError> {
    let mut values = Vec::new();
    values.try_reserve_exact(elements).map_err(|_| CpuError::Memory { table, elements })?;
    values.resize(elements, value);
    Ok(values)
}
