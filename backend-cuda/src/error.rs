//! What can go wrong on a GPU.

use std::fmt;
use std::ops::Range;

use recsim_core::backend::{BackendError, ErrorKind};

/// Why a stage could not be done.
#[derive(Debug)]
#[non_exhaustive]
pub enum CudaError {
    /// Something that the backend needs is not on this machine.
    Missing {
        /// What it is, and what would bring it.
        what: String,
    },
    /// A table does not fit into the device's memory.
    Memory {
        /// What it would hold.
        table: &'static str,
        /// Its bytes.
        bytes: usize,
    },
    /// The kernels could not be compiled.
    Compile {
        /// Which unit.
        unit: &'static str,
        /// What the compiler said.
        log: String,
    },
    /// A size is beyond what the kernels can do.
    Size {
        /// Which.
        what: &'static str,
        /// What it is.
        found: usize,
        /// The most that will do.
        most: usize,
    },
    /// An action has a component that is not a finite number.
    Action {
        /// One of these users', by index in the world.
        users: Range<usize>,
    },
    /// The driver failed.
    Driver {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        said: String,
    },
}

impl BackendError for CudaError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } => ErrorKind::Unavailable,
            Self::Memory { .. } => ErrorKind::OutOfMemory,
            Self::Action { .. } => ErrorKind::NotFinite,
            Self::Compile { .. } | Self::Size { .. } | Self::Driver { .. } => ErrorKind::Failed,
        }
    }
}

impl std::error::Error for CudaError {}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { what } => f.write_str(what),
            Self::Memory { table, bytes } => write!(f, "the device has no memory for the {table}: {bytes} bytes"),
            Self::Compile { unit, log } => write!(f, "the kernels of {unit} could not be compiled: {log}"),
            Self::Size { what, found, most } => write!(f, "{found} {what} are too many for a GPU: at most {most}"),
            Self::Action { users } => write!(f, "an action of a user in {users:?} is not a finite number"),
            Self::Driver { doing, said } => write!(f, "the GPU failed while {doing}: {said}"),
        }
    }
}
