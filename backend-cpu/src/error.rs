//! What can go wrong on the CPU.

use std::fmt;

use rayon::ThreadPoolBuildError;
use recsim_core::backend::{BackendError, ErrorKind};

use crate::InstructionSet;

/// Why a stage could not be done.
#[derive(Debug)]
#[non_exhaustive]
pub enum CpuError {
    /// The threads could not be started.
    Threads(ThreadPoolBuildError),
    /// The machine has not this instruction set.
    InstructionSet(InstructionSet),
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
            Self::Threads(_) => f.write_str("the threads could not be started"),
            Self::InstructionSet(set) => write!(f, "this machine has no {set}"),
            Self::Memory { table, elements } => {
                write!(f, "no memory for the {table}: {elements} elements")
            }
            Self::Action { user } => write!(f, "the action for user {user} is not a finite number"),
        }
    }
}

/// A table of `elements` copies of `value`, or the error that says which table was too large.
pub(crate) fn table<T: Clone>(name: &'static str, elements: usize, value: T) -> Result<Vec<T>, CpuError> {
    let mut table = Vec::new();
    resize(name, &mut table, elements, value)?;
    Ok(table)
}

/// A table of zeros, of which a system need lend no more memory than is written to.
pub(crate) fn zeroed<T: Clone + Default>(name: &'static str, elements: usize) -> Result<Vec<T>, CpuError> {
    // What cannot be had would end the program below.
    Vec::<T>::new().try_reserve_exact(elements).map_err(|_| CpuError::Memory { table: name, elements })?;
    Ok(vec![T::default(); elements])
}

/// Makes `table` hold `elements` elements: the first it has, and copies of `value`.
pub(crate) fn resize<T: Clone>(
    name: &'static str,
    table: &mut Vec<T>,
    elements: usize,
    value: T,
) -> Result<(), CpuError> {
    let missing = elements.saturating_sub(table.len());
    table.try_reserve_exact(missing).map_err(|_| CpuError::Memory { table: name, elements })?;
    table.resize(elements, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_larger_than_memory_is_an_error_that_names_it() {
        let error = table("transitions", usize::MAX / 8, 0.0_f32).expect_err("no machine has it");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("transitions"));
    }
}
