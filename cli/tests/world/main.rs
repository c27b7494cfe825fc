//! `recsim world`: the command line, the files, and the errors.
#![expect(clippy::unwrap_used, reason = "all of this is test code, its helpers too")]

mod assemble;
mod bad_input;
mod damaged;
mod generated;
mod import;
mod support;
