//! The CPU backend does what every backend must, whatever its threads and its instruction set.

use recsim_backend_cpu::{Cpu, InstructionSet};
use recsim_conformance::suite;

#[test]
fn the_cpu_conforms_on_one_thread() {
    suite::in_float32(|| Cpu::new(Some(1)).expect("threads start"));
}

#[test]
fn the_cpu_conforms_on_every_instruction_set_on_three_threads() {
    for set in InstructionSet::available() {
        suite::in_float32(|| Cpu::on(set, Some(3)).expect("threads start"));
    }
}
