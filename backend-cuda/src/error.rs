//! The errors of the CUDA backend.

use std::fmt;
use std::ops::Range;

use recsim_core::backend::{BackendError, ErrorKind};

/// Why the CUDA backend failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum CudaError {
    /// The driver, a library or a GPU is missing or cannot be used.
    Unavailable {
        /// What is missing, and how to get it.
        reason: String,
    },
    /// A buffer does not fit into the device's memory.
    OutOfMemory {
        /// What the buffer would contain.
        buffer: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A unit of kernels could not be compiled.
    Compile {
        /// The unit's file name.
        unit: &'static str,
        /// The compiler's log.
        log: String,
    },
    /// A size is beyond the kernels' limit.
    SizeLimit {
        /// What there are too many of.
        what: &'static str,
        /// How many there are.
        actual: usize,
        /// The limit.
        max: usize,
    },
    /// An action has a component that is not a finite number.
    NonFiniteAction {
        /// The batch with the action: its users, by index in the world.
        users: Range<usize>,
    },
    /// A call of the driver or of a CUDA library failed.
    Driver {
        /// What the call was to do.
        operation: &'static str,
        /// The library's message.
        message: String,
    },
}

impl BackendError for CudaError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::OutOfMemory { .. } => ErrorKind::OutOfMemory,
            Self::NonFiniteAction { .. } => ErrorKind::NotFinite,
            Self::Compile { .. } | Self::SizeLimit { .. } | Self::Driver { .. } => ErrorKind::Failed,
        }
    }
}

impl std::error::Error for CudaError {}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { reason } => f.write_str(reason),
            Self::OutOfMemory { buffer, bytes } => write!(
                f,
                "the GPU's memory has no space for the {buffer} ({bytes} bytes): use fewer users or a smaller replay \
                 buffer"
            ),
            Self::Compile { unit, log } => write!(f, "the kernels of {unit} cannot be compiled: {log}"),
            Self::SizeLimit { what, actual, max } => {
                write!(f, "{actual} {what} are too many for the GPU's kernels: the limit is {max}")
            }
            Self::NonFiniteAction { users } => {
                write!(f, "the action of a user in {users:?} is not a finite number")
            }
            Self::Driver { operation, message } => write!(f, "CUDA failed while {operation}: {message}"),
        }
    }
}
