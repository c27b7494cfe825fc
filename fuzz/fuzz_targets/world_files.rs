//! A world's files, damaged: refused, unless the checksums were put right, and then refused or in order.
#![no_main]

mod damage;
mod place;

use std::sync::LazyLock;

use damage::Damage;
use libfuzzer_sys::fuzz_target;
use place::Place;

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    about: Damage,
    tensors: Damage,
    sealed: bool,
}

struct World {
    place: Place,
    about: Vec<u8>,
    tensors: Vec<u8>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let place = Place::new();
    let folder = place.path("world").display().to_string();
    let sizes = ["--users", "2", "--items", "4", "--clusters", "2", "--dim", "2", "--list", "3"];
    recsim_cli::fuzzing::run(&[&["recsim", "world", "new", &folder, "-q"], &sizes[..]].concat()).expect("a world");
    let [about, tensors] = ["world/world.json", "world/world.safetensors"]
        .map(|file| std::fs::read(place.path(file)).expect("a file"));
    World { place, about, tensors }
});

fuzz_target!(|input: Input| {
    let World { place, about, tensors } = &*WORLD;
    let (mut about_now, tensors_now) = (input.about.to(about), input.tensors.to(tensors));
    if input.sealed {
        recsim_cli::fuzzing::seal_world(&mut about_now, &tensors_now);
    }
    place.write("world/world.json", &about_now);
    place.write("world/world.safetensors", &tensors_now);
    match recsim_cli::fuzzing::open_world(&place.path("world")) {
        Err(error) => assert!(error.to_string().contains("world")),
        Ok(()) => assert!(input.sealed || (about, tensors) == (&about_now, &tensors_now), "damage is accepted"),
    }
});
