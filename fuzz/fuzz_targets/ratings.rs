//! Any text as an interaction log, and after a line `%%` as a table of items: it is refused with a message, or becomes a
//! world.
#![no_main]

mod fuzz_dir;

use std::sync::LazyLock;

use fuzz_dir::FuzzDir;
use libfuzzer_sys::fuzz_target;

static DIR: LazyLock<FuzzDir> = LazyLock::new(FuzzDir::new);

fuzz_target!(|text: &[u8]| {
    let separator = text.windows(4).position(|window| window == b"\n%%\n");
    let (log, items) = separator.map_or((text, None), |at| (&text[..at + 1], Some(&text[at + 4..])));
    let log = DIR.write("log", log).display().to_string();
    let mut words = vec!["recsim", "world", "import", "never-written", "--ratings", &*log];
    words.extend(["--dim", "2", "--clusters", "1", "--list", "1"]);
    let items = items.map(|items| DIR.write("items", items).display().to_string());
    words.extend(items.iter().flat_map(|items| ["--items", &**items]));
    if text.len().is_multiple_of(2) {
        words.extend(["--min-rating", "3"]);
    }
    if let Err(error) = recsim_cli::fuzzing::build_world(&words) {
        assert!(!error.to_string().is_empty());
    }
});
