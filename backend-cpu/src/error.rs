//! Errors of the CPU backend.

use std::fmt;

use rayon::ThreadPoolBuildError;
use recsim_core::backend::{BackendError, ErrorKind};

use crate::InstructionSet;

/// An error of the CPU backend.
#[derive(Debug)]
#[non_exhaustive]
pub enum CpuError {
    /// The threads of the pool could not be started.
    Threads(ThreadPoolBuildError),
    /// This machine does not have the instruction set.
    InstructionSet(InstructionSet),
    /// An array does not fit into memory.
    Memory {
        /// What the array holds.
        array: &'static str,
        /// Its number of elements.
        elements: usize,
    },
    /// The policy's action for a user has a component that is not finite.
    Action {
        /// The user's index in the world.
        user: usize,
    },
}

impl BackendError for CpuError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Threads(_) | Self::InstructionSet(_) => ErrorKind::Unavailable,
            Self::Memory { .. } => ErrorKind::OutOfMemory,
            Self::Action { .. } => ErrorKind::NotFinite,
        }
    }
}

impl std::error::Error for CpuError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Threads(cause) => Some(cause),
            Self::InstructionSet(_) | Self::Memory { .. } | Self::Action { .. } => None,
        }
    }
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads(_) => f.write_str("cannot start the threads of the CPU backend: request fewer threads"),
            Self::InstructionSet(set) => write!(f, "this machine does not have the instruction set {set}"),
            Self::Memory { array, elements } => {
                write!(f, "out of memory: cannot allocate the {array} ({elements} elements)")
            }
            Self::Action { user } => write!(f, "the policy's action for user {user} is not finite"),
        }
    }
}

/// An array of `elements` copies of `value`.
///
/// # Errors
/// [`CpuError::Memory`] with the array's name if it does not fit into memory.
pub(crate) fn filled<T: Clone>(name: &'static str, elements: usize, value: T) -> Result<Vec<T>, CpuError> {
    let mut array = Vec::new();
    resize(name, &mut array, elements, value)?;
    Ok(array)
}

/// An array of zeros. The operating system may provide its memory only as it is written to.
///
/// # Errors
/// [`CpuError::Memory`] with the array's name if its address space cannot be reserved.
pub(crate) fn zeroed<T: Clone + Default>(name: &'static str, elements: usize) -> Result<Vec<T>, CpuError> {
    // `vec!` aborts the program when it fails, so the allocation is tried here first.
    Vec::<T>::new().try_reserve_exact(elements).map_err(|_| CpuError::Memory { array: name, elements })?;
    Ok(vec![T::default(); elements])
}

/// Resizes an array to `elements` elements. Existing elements stay; new ones are copies of `value`.
///
/// # Errors
/// [`CpuError::Memory`] with the array's name if it does not fit into memory.
pub(crate) fn resize<T: Clone>(
    name: &'static str,
    array: &mut Vec<T>,
    elements: usize,
    value: T,
) -> Result<(), CpuError> {
    let missing = elements.saturating_sub(array.len());
    array.try_reserve_exact(missing).map_err(|_| CpuError::Memory { array: name, elements })?;
    array.resize(elements, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocation_larger_than_memory_is_an_error_that_names_the_array() {
        let error = filled("transitions", usize::MAX / 8, 0.0_f32).expect_err("no machine has that much memory");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("transitions"));
    }
}
