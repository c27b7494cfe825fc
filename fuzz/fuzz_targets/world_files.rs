//! A world with damaged files: it is refused. If the checksums match, it is refused or valid.
#![no_main]

mod damage;
mod fuzz_dir;

use std::sync::LazyLock;

use damage::Damage;
use fuzz_dir::FuzzDir;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, arbitrary::Arbitrary)]
struct WorldFilesInput {
    about: Damage,
    tensors: Damage,
    has_valid_checksums: bool,
}

struct WorldFixture {
    dir: FuzzDir,
    about: Vec<u8>,
    tensors: Vec<u8>,
}

static WORLD: LazyLock<WorldFixture> = LazyLock::new(|| {
    let dir = FuzzDir::new();
    let folder = dir.path("world").display().to_string();
    let sizes = ["--users", "2", "--items", "4", "--clusters", "2", "--dim", "2", "--list", "3"];
    recsim_cli::fuzzing::run(&[&["recsim", "world", "new", &folder, "-q"], &sizes[..]].concat()).expect("a world");
    let [about, tensors] =
        ["world/world.json", "world/world.safetensors"].map(|file| std::fs::read(dir.path(file)).expect("a file"));
    WorldFixture { dir, about, tensors }
});

fuzz_target!(|input: WorldFilesInput| {
    let WorldFixture { dir, about, tensors } = &*WORLD;
    let (mut damaged_about, damaged_tensors) = (input.about.apply(about), input.tensors.apply(tensors));
    if input.has_valid_checksums {
        recsim_cli::fuzzing::update_world_checksums(&mut damaged_about, &damaged_tensors);
    }
    dir.write("world/world.json", &damaged_about);
    dir.write("world/world.safetensors", &damaged_tensors);
    match recsim_cli::fuzzing::open_world(&dir.path("world")) {
        Err(error) => assert!(error.to_string().contains("world")),
        Ok(()) => assert!(
            input.has_valid_checksums || (about, tensors) == (&damaged_about, &damaged_tensors),
            "damage was accepted"
        ),
    }
});
