//! A model file, damaged: refused, unless its checksum was put right, and then refused or a network of finite numbers.
#![no_main]

mod damage;
mod place;
mod run;

use std::sync::LazyLock;

use damage::Damage;
use libfuzzer_sys::fuzz_target;
use run::Run;

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    damage: Damage,
    sealed: bool,
}

static RUN: LazyLock<(Run, Vec<u8>)> = LazyLock::new(|| {
    let run = Run::new();
    let whole = std::fs::read(run.path().join("models/actor.safetensors")).expect("a model");
    assert!(run.experiment.actor(&whole).expect("a whole model is read"));
    (run, whole)
});

fuzz_target!(|input: Input| {
    let (run, whole) = &*RUN;
    let mut now = input.damage.to(whole);
    if input.sealed {
        recsim_cli::fuzzing::seal_model(&mut now);
    }
    // A file of the format without a checksum is read as it is.
    if let Ok(has_checksum) = run.experiment.actor(&now) {
        assert!(input.sealed || !has_checksum || now == *whole, "damage is accepted");
    }
});
