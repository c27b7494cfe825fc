//! What a person is told when something is wrong, and the code the command ends with.

use std::{fmt, io};

/// Something the user gave that cannot be: where it stands, what is wrong with it, and what to do.
#[derive(Clone, Debug)]
pub(crate) struct BadInput {
    /// `file`, `file:line` or a flag.
    pub(crate) place: String,
    /// What is wrong, naming the key or column and what was expected.
    pub(crate) problem: String,
    /// What would put it right.
    pub(crate) remedy: String,
}

impl BadInput {
    pub(crate) fn new(place: impl fmt::Display, problem: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { place: place.to_string(), problem: problem.to_string(), remedy: remedy.to_string() }
    }
}

impl std::error::Error for BadInput {}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  help: {}", self.place, self.problem, self.remedy)
    }
}

/// A person or a supervisor asked the run to stop, and it did, having saved what it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted {
    /// The code to exit with: 128 and the signal's number.
    pub(crate) code: u8,
}

impl std::error::Error for Interrupted {}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

/// The exit code for an error: 2 for usage and input, 130 for an interrupt, 143 for termination, 1 for the rest.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(<dyn std::error::Error>::is::<BadInput>) {
        2
    } else {
        error
            .chain()
            .find_map(|cause| cause.downcast_ref::<Interrupted>())
            .map_or(1, |interrupted| interrupted.code)
    }
}

/// What may help against an error of the system's, where something may.
pub(crate) fn remedy(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Some("free some space there, or write to another disk")
        }
        _ => None,
    }
}

/// The same, of whatever caused an error.
pub(crate) fn remedy_of(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| cause.downcast_ref().and_then(remedy))
}

/// The reader of standard output has stopped reading, and need not be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NobodyReads;

impl std::error::Error for NobodyReads {}

impl fmt::Display for NobodyReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_a_failure_that_space_would_cure() {
        let full =
            anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull)).context("could not write a file");
        assert!(exit_code(&full) == 1 && remedy_of(&full).is_some_and(|remedy| remedy.contains("space")));
        assert_eq!(remedy(&io::Error::from(io::ErrorKind::PermissionDenied)), None);
    }

    #[test]
    fn a_broken_pipe_in_a_file_is_a_failure() {
        let error =
            anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("could not write a file");
        assert!(!error.is::<NobodyReads>() && exit_code(&error) == 1);
    }
}
