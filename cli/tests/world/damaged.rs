#![expect(clippy::ptr_arg, reason = "all kinds of damage have one type")]

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{WorldDir, update_checksums};

#[test]
fn other_folders_than_worlds_are_refused() {
    let dir = WorldDir::new();
    std::fs::create_dir(dir.path("empty")).unwrap();
    dir.refuse("info nowhere", &["nowhere: is not a world", "recsim world new"]);
    dir.refuse("info empty", &["empty: is not a world", "recsim world new"]);
}

/// Damage that the checksums detect.
#[test]
fn changed_files_are_refused() {
    let tensors = "world.safetensors";
    for (file, damage, expected) in [
        (tensors, truncate as fn(&mut Vec<u8>), "world.safetensors: was changed or damaged"),
        (tensors, flip_last, "world.safetensors: was changed or damaged"),
        (tensors, Vec::clear, "world.safetensors: "),
        ("world.json", truncate, "world.json: is not the description of a world"),
        ("world.json", Vec::clear, "world.json: is not the description of a world"),
        ("world.json", rename_a_user, "world.json: was changed or damaged"),
    ] {
        let (dir, path) = world();
        let path = path.join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        dir.refuse("info w", &[expected, "help"]);
    }
    let (dir, path) = world();
    std::fs::remove_file(path.join(tensors)).unwrap();
    dir.refuse("info w", &["world.safetensors: cannot be read", "help"]);
}

#[test]
fn any_changed_bit_is_detected() {
    for file in ["world.json", "world.safetensors"] {
        let (dir, path) = world();
        let path = path.join(file);
        let whole = std::fs::read(&path).unwrap();
        for offset in (0..whole.len()).step_by(whole.len() / 40) {
            let mut bytes = whole.clone();
            bytes[offset] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            dir.refuse("info w", &["w/world.", "help"]);
        }
    }
}

/// Impossible contents with correct checksums.
#[test]
fn impossible_contents_are_refused() {
    for (change, expected) in [
        (("/version", json!(2)), "`recsim-world` 2"),
        (("/shape/users", json!(4)), "`user_ids` has 3 entries, and `shape` asks for 4"),
        (("/shape/dimensions", json!(3)), "`item.embedding` is F32 [50, 2]"),
        (("/shape/dimensions", json!(u64::MAX)), "`item.embedding` is F32 [50, 2]"),
        (("/user_ids/1", json!("U1")), "`user_ids` contains `U1` twice"),
        (("/names/clusters", json!([])), "`names.clusters` has 0 entries"),
        (("/item_ids", json!("none")), "does not describe a world"),
    ] {
        let (dir, path) = world();
        let (pointer, value) = change;
        let json = path.join("world.json");
        let mut info: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        *info.pointer_mut(pointer).unwrap() = value;
        std::fs::write(&json, info.to_string()).unwrap();
        update_checksums(&path);
        dir.refuse("info w", &[expected, "help"]);
    }
    for (damage, expected) in [
        (huge_header as fn(&mut Vec<u8>), "is not a safetensors file"),
        (huge_shape, "is not a safetensors file"),
        (no_target, "has no tensor `target`"),
        (nan_embedding, "`user.embedding` is not a finite number at row 2, column 1"),
        (unknown_item, "`user.pretrained` is 4294967295 at row 2, column 39"),
        (truncate, "is not a safetensors file"),
    ] {
        let (dir, path) = world();
        let tensors = path.join("world.safetensors");
        let mut bytes = std::fs::read(&tensors).unwrap();
        damage(&mut bytes);
        std::fs::write(&tensors, bytes).unwrap();
        update_checksums(&path);
        dir.refuse("info w", &["world.safetensors: ", expected, "help"]);
    }
}

fn world() -> (WorldDir, std::path::PathBuf) {
    let dir = WorldDir::new();
    dir.succeed("new w --users 3 --items 50 --dimensions 2 -q");
    let path = dir.path("w");
    assert!(Path::new(&path).is_dir());
    (dir, path)
}

fn truncate(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() / 2);
}

fn flip_last(bytes: &mut Vec<u8>) {
    *bytes.last_mut().unwrap() ^= 1;
}

fn rename_a_user(bytes: &mut Vec<u8>) {
    *bytes = String::from_utf8(bytes.clone()).unwrap().replace("U2", "UX").into_bytes();
}

fn huge_header(bytes: &mut Vec<u8>) {
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
}

fn huge_shape(bytes: &mut Vec<u8>) {
    replace(bytes, "[50,2]", "[9999999999999999999,2]");
}

fn no_target(bytes: &mut Vec<u8>) {
    replace(bytes, "\"target\"", "\"tarjet\"");
}

/// The embedding of the last user precedes the two integer tensors: the items' clusters and the pre-trained lists.
fn nan_embedding(bytes: &mut Vec<u8>) {
    let end = bytes.len() - 4 * (50 + 3 * 40);
    bytes[end - 4..end].copy_from_slice(&f32::NAN.to_le_bytes());
}

fn unknown_item(bytes: &mut Vec<u8>) {
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
}

/// Replaces text in the header, and updates the header's length.
fn replace(bytes: &mut Vec<u8>, from: &str, to: &str) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    assert!(header.contains(from), "{header}");
    let header = header.replace(from, to);
    let data = bytes.split_off(8 + length);
    bytes.clear();
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
}
