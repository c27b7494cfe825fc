//! The conformance suite over the CPU backend, on every instruction set and with several threads.

use recsim_backend_cpu::{Cpu, InstructionSet};
use recsim_conformance::suite;

#[test]
fn cpu_conforms_on_one_thread() {
    suite::in_float32(|| Cpu::new(Some(1)).expect("threads start"));
}

#[test]
fn cpu_conforms_on_every_instruction_set_on_three_threads() {
    for set in InstructionSet::available() {
        suite::in_float32(|| Cpu::on(set, Some(3)).expect("threads start"));
    }
}
