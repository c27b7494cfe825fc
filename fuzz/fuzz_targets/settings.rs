//! Any text as a configuration file: it is refused with a message, or its settings are printed and can be read back.
#![no_main]

mod fuzz_dir;

use std::sync::LazyLock;

use fuzz_dir::FuzzDir;
use libfuzzer_sys::fuzz_target;

static DIR: LazyLock<FuzzDir> = LazyLock::new(FuzzDir::new);

fuzz_target!(|text: &[u8]| {
    let read = |text: &[u8]| recsim_cli::fuzzing::settings(&DIR.write("settings.yaml", text));
    match read(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(printed) => assert_eq!(read(printed.as_bytes()).expect("what is printed can be read"), printed),
    }
});
