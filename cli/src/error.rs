//! Errors of the command, and the exit code for each.

use std::{fmt, io};

/// An error in the user's input: where it is, what is wrong, and what to do.
#[derive(Clone, Debug)]
pub(crate) struct BadInput {
    /// A file, `file:line`, or a flag.
    pub(crate) location: String,
    /// What is wrong: the key or column, its value, and what was expected.
    pub(crate) problem: String,
    /// How to correct it.
    pub(crate) remedy: String,
}

impl BadInput {
    pub(crate) fn new(location: impl fmt::Display, problem: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { location: location.to_string(), problem: problem.to_string(), remedy: remedy.to_string() }
    }
}

impl std::error::Error for BadInput {}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  help: {}", self.location, self.problem, self.remedy)
    }
}

/// A signal asked the run to stop. The run saved its state and stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted {
    /// The exit code: 128 plus the signal's number.
    pub(crate) code: u8,
}

impl std::error::Error for Interrupted {}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

/// The exit code for an error: 2 for an error in the input, 130 for SIGINT, 143 for SIGTERM, 1 for any other error.
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

/// The remedy for an input or output error, if there is one.
pub(crate) fn remedy(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Some("free some space there, or write to another disk")
        }
        _ => None,
    }
}

/// The remedy for the input or output error among the causes of `error`, if there is one.
pub(crate) fn remedy_of(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| cause.downcast_ref().and_then(remedy))
}

/// The reader of standard output closed it. This is not an error: the command exits with code 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputClosed;

impl std::error::Error for OutputClosed {}

impl fmt::Display for OutputClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output was closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_has_exit_code_1_and_a_remedy() {
        let full =
            anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull)).context("could not write a file");
        assert!(exit_code(&full) == 1 && remedy_of(&full).is_some_and(|remedy| remedy.contains("space")));
        assert_eq!(remedy(&io::Error::from(io::ErrorKind::PermissionDenied)), None);
    }

    #[test]
    fn broken_pipe_in_a_file_has_exit_code_1() {
        let error =
            anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("could not write a file");
        assert!(!error.is::<OutputClosed>() && exit_code(&error) == 1);
    }
}
