//! A damaged model file: it is refused. If its checksum matches, it is refused or becomes a network of finite weights.
#![no_main]

mod damage;
mod fuzz_dir;
mod run_fixture;

use std::sync::LazyLock;

use damage::Damage;
use libfuzzer_sys::fuzz_target;
use run_fixture::RunFiles;

#[derive(Debug, arbitrary::Arbitrary)]
struct ModelInput {
    damage: Damage,
    has_valid_checksum: bool,
}

static RUN: LazyLock<(RunFiles, Vec<u8>)> = LazyLock::new(|| {
    let run = RunFiles::new();
    let undamaged = std::fs::read(run.path().join("models/actor.safetensors")).expect("a model");
    assert!(run.run.read_actor(&undamaged).expect("an undamaged model is accepted"));
    (run, undamaged)
});

fuzz_target!(|input: ModelInput| {
    let (run, undamaged) = &*RUN;
    let mut model = input.damage.apply(undamaged);
    if input.has_valid_checksum {
        recsim_cli::fuzzing::update_model_checksum(&mut model);
    }
    // A file without a checksum is accepted as it is.
    if let Ok(has_checksum) = run.run.read_actor(&model) {
        assert!(input.has_valid_checksum || !has_checksum || model == *undamaged, "damage was accepted");
    }
});
