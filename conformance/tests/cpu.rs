//! The CPU backend does what every backend must, with one thread and with several.

use recsim_backend_cpu::Cpu;
use recsim_conformance::suite;

#[test]
fn the_cpu_conforms_on_one_thread() {
    suite::all(|| cpu(1));
}

#[test]
fn the_cpu_conforms_on_three_threads() {
    suite::all(|| cpu(3));
}

fn cpu(threads: usize) -> Cpu {
    Cpu::new(Some(threads)).expect("threads can be started")
}
