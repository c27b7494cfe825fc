//! Any command line: it is refused with a message, or its options are resolved. Nothing is run or written.
#![no_main]

mod fuzz_dir;

use std::sync::LazyLock;

use fuzz_dir::FuzzDir;
use libfuzzer_sys::fuzz_target;

/// The working folder, which is empty and must stay empty.
static DIR: LazyLock<FuzzDir> = LazyLock::new(|| {
    let dir = FuzzDir::new();
    std::env::set_current_dir(dir.path("")).expect("the folder is there");
    dir
});

fuzz_target!(|text: &str| {
    let dir = &*DIR;
    // The input is one argument a line. It must not name files outside of the folder.
    if text.contains(['/', '\0']) {
        return;
    }
    let words: Vec<String> = std::iter::once("recsim").chain(text.lines()).map(str::to_owned).collect();
    if let Err(error) = recsim_cli::fuzzing::check_arguments(&words) {
        assert!(!error.to_string().is_empty());
    }
    let num_files = std::fs::read_dir(dir.path("")).expect("the folder is there").count();
    assert_eq!(num_files, 0, "{words:?} wrote a file");
});
