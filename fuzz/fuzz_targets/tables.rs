//! Any texts as tables of items, users and a target, parted by lines `%%`, JSON where they begin with a bracket: refused
//! with a message, or a world.
#![no_main]

mod place;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use place::Place;

/// Three items and two users in two dimensions.
static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::new();
    for (name, rows) in [("items.npy", 3_usize), ("users.npy", 2)] {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 2), }}\n");
        let mut bytes =
            [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
        bytes.extend((0..2 * rows).flat_map(|number| (number as f32).to_le_bytes()));
        place.write(name, bytes);
    }
    place
});

fuzz_target!(|text: &str| {
    let arrays = ["items.npy", "users.npy"].map(|name| PLACE.path(name).display().to_string());
    let mut words = vec!["recsim", "world", "assemble", "never-written"];
    words.extend(["--item-embedding", &arrays[0], "--user-embedding", &arrays[1]]);
    let tables: Vec<(&str, String)> = ["--items", "--users", "--target"]
        .into_iter()
        .zip(text.split("\n%%\n"))
        .filter(|(_, table)| !table.is_empty())
        .map(|(flag, table)| {
            let ending = if table.trim_start().starts_with('[') { "json" } else { "csv" };
            (flag, PLACE.write(&format!("table{flag}.{ending}"), table).display().to_string())
        })
        .collect();
    words.extend(tables.iter().flat_map(|(flag, path)| [*flag, path]));
    if let Err(error) = recsim_cli::fuzzing::make(&words) {
        assert!(!error.to_string().is_empty());
    }
});
