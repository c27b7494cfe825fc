//! `recsim world`, as a person uses it.

mod assemble;
mod bad_input;
mod damaged;
mod generated;
mod import;
mod support;
