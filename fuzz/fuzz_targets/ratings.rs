//! Any text as a log of interactions, and behind a line `%%` as a table of items: refused with a message, or a world.
#![no_main]

mod place;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use place::Place;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

fuzz_target!(|text: &[u8]| {
    let between = text.windows(4).position(|window| window == b"\n%%\n");
    let (log, items) = between.map_or((text, None), |at| (&text[..at + 1], Some(&text[at + 4..])));
    let log = PLACE.write("log", log).display().to_string();
    let mut words = vec!["recsim", "world", "import", "never-written", "--ratings", &*log];
    words.extend(["--dim", "2", "--clusters", "1", "--list", "1"]);
    let items = items.map(|items| PLACE.write("items", items).display().to_string());
    words.extend(items.iter().flat_map(|items| ["--items", &**items]));
    if text.len().is_multiple_of(2) {
        words.extend(["--min-rating", "3"]);
    }
    if let Err(error) = recsim_cli::fuzzing::make(&words) {
        assert!(!error.to_string().is_empty());
    }
});
