//! Any texts, separated by lines `%%`, as tables of items, users and a target. A text that starts with a bracket is JSON.
//! They are refused with a message, or become a world.
#![no_main]

mod fuzz_dir;

use std::sync::LazyLock;

use fuzz_dir::FuzzDir;
use libfuzzer_sys::fuzz_target;

/// Embeddings of three items and two users in two dimensions.
static DIR: LazyLock<FuzzDir> = LazyLock::new(|| {
    let dir = FuzzDir::new();
    for (name, rows) in [("items.npy", 3_usize), ("users.npy", 2)] {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 2), }}\n");
        let mut bytes =
            [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
        bytes.extend((0..2 * rows).flat_map(|number| (number as f32).to_le_bytes()));
        dir.write(name, bytes);
    }
    dir
});

fuzz_target!(|text: &str| {
    let arrays = ["items.npy", "users.npy"].map(|name| DIR.path(name).display().to_string());
    let mut words = vec!["recsim", "world", "assemble", "never-written"];
    words.extend(["--item-embedding", &arrays[0], "--user-embedding", &arrays[1]]);
    let tables: Vec<(&str, String)> = ["--items", "--users", "--target"]
        .into_iter()
        .zip(text.split("\n%%\n"))
        .filter(|(_, table)| !table.is_empty())
        .map(|(flag, table)| {
            let ending = if table.trim_start().starts_with('[') { "json" } else { "csv" };
            (flag, DIR.write(&format!("table{flag}.{ending}"), table).display().to_string())
        })
        .collect();
    words.extend(tables.iter().flat_map(|(flag, path)| [*flag, path]));
    if let Err(error) = recsim_cli::fuzzing::build_world(&words) {
        assert!(!error.to_string().is_empty());
    }
});
