//! Any text as a file of settings: refused with a message, or settings that are printed, and read again as they were.
#![no_main]

mod place;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use place::Place;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

fuzz_target!(|text: &[u8]| {
    let read = |text: &[u8]| recsim_cli::fuzzing::settings(&PLACE.write("settings.yaml", text));
    match read(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(printed) => assert_eq!(read(printed.as_bytes()).expect("what is printed can be read"), printed),
    }
});
