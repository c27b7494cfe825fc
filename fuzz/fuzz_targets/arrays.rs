//! Any bytes as an array, `.npy` or `.safetensors`: refused with a message, or embeddings of a world.
#![no_main]

mod place;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use place::Place;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

fuzz_target!(|bytes: &[u8]| {
    let ending = if bytes.starts_with(b"\x93NUMPY") { "npy" } else { "safetensors" };
    let file = PLACE.write(&format!("array.{ending}"), bytes).display().to_string();
    let words =
        ["recsim", "world", "assemble", "never-written", "--item-embedding", &file, "--user-embedding", &file];
    if let Err(error) = recsim_cli::fuzzing::make(&[&words[..], &["--clusters", "1", "--list", "1"]].concat()) {
        assert!(!error.to_string().is_empty());
    }
});
