//! Any bytes as a `.npy` or `.safetensors` array: they are refused with a message, or become embeddings of a world.
#![no_main]

mod fuzz_dir;

use std::sync::LazyLock;

use fuzz_dir::FuzzDir;
use libfuzzer_sys::fuzz_target;

static DIR: LazyLock<FuzzDir> = LazyLock::new(FuzzDir::new);

fuzz_target!(|bytes: &[u8]| {
    let ending = if bytes.starts_with(b"\x93NUMPY") { "npy" } else { "safetensors" };
    let file = DIR.write(&format!("array.{ending}"), bytes).display().to_string();
    let words =
        ["recsim", "world", "assemble", "never-written", "--item-embedding", &file, "--user-embedding", &file];
    if let Err(error) =
        recsim_cli::fuzzing::build_world(&[&words[..], &["--clusters", "1", "--list", "1"]].concat())
    {
        assert!(!error.to_string().is_empty());
    }
});
