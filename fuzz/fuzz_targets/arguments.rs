//! Any command line: refused with a message, or settled without anything being done.
#![no_main]

mod place;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use place::Place;

/// Words, a line each, behind `recsim`. They are settled in an empty folder, which they leave empty.
static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::new();
    std::env::set_current_dir(place.path("")).expect("the folder is there");
    place
});

fuzz_target!(|text: &str| {
    let place = &*PLACE;
    // Files elsewhere are none of a fuzzer's business.
    if text.contains(['/', '\0']) {
        return;
    }
    let words: Vec<String> = std::iter::once("recsim").chain(text.lines()).map(str::to_owned).collect();
    if let Err(error) = recsim_cli::fuzzing::settle(&words) {
        assert!(!error.to_string().is_empty());
    }
    let left = std::fs::read_dir(place.path("")).expect("the folder is there").count();
    assert_eq!(left, 0, "{words:?} left something behind");
});
