//! The `recsim` command.

mod error;

fn main() {}
