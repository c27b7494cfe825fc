//! The ring of transitions on the CPU.

/// The ring of transitions.
#[derive(Debug)]
pub struct Replay {}
