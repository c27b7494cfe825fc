//! The agent's side on the CPU.
