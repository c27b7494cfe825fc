use crate::support::{WorldDir, checksum};

#[test]
fn world_has_the_documented_tensors_and_ids() {
    let dir = WorldDir::new();
    dir.succeed("new w --users 30 --items 90 --clusters 4 --dimensions 6 --pretrained-len 12 --seed 3");
    let tensors = dir.tensors("w");
    for (name, shape) in [
        ("item.embedding", vec![90, 6]),
        ("item.cluster", vec![90]),
        ("item.distance", vec![90]),
        ("user.belief", vec![30, 4]),
        ("user.embedding", vec![30, 6]),
        ("user.pretrained", vec![30, 12]),
        ("target", vec![4]),
    ] {
        assert_eq!(tensors.shape(name), shape, "{name}");
    }
    assert!(tensors.u32("item.cluster").iter().all(|&cluster| cluster < 4));
    assert!(tensors.u32("user.pretrained").iter().all(|&item| item < 90));
    assert!(tensors.f32("target").iter().sum::<f32>() <= 1.0);
    let info = dir.info("w");
    assert_eq!(info["user_ids"][0], "U1");
    assert_eq!(info["user_ids"][29], "U30");
    assert_eq!(info["item_ids"][89], "I90");
    assert_eq!(info["provenance"]["seed"], 3);
}

#[test]
fn checksums_are_those_of_the_files() {
    let dir = WorldDir::new();
    dir.succeed("new w --users 5 --items 50");
    let info = dir.info("w");
    let tensors = std::fs::read(dir.path("w/world.safetensors")).unwrap();
    assert_eq!(info["checksums"]["world.safetensors"], checksum(&tensors));
    let own = info["checksums"]["world.json"].as_str().unwrap();
    let text = std::fs::read_to_string(dir.path("w/world.json")).unwrap();
    assert_eq!(checksum(text.replace(own, &"0".repeat(64)).as_bytes()), own);
}

#[test]
fn files_depend_on_the_seed_and_not_on_the_threads() {
    let dir = WorldDir::new();
    dir.succeed("new a --users 200 --items 300 --threads 1");
    dir.succeed("new b --users 200 --items 300 --threads 3");
    dir.succeed("new c --users 200 --items 300 --seed 1");
    let bytes = |file: &str| std::fs::read(dir.path(file)).unwrap();
    assert_eq!(bytes("a/world.safetensors"), bytes("b/world.safetensors"));
    assert_eq!(bytes("a/world.json"), bytes("b/world.json"));
    assert_ne!(bytes("a/world.safetensors"), bytes("c/world.safetensors"));
}

#[test]
fn force_replaces_a_world() {
    let dir = WorldDir::new();
    dir.succeed("new w --users 5 --items 50");
    dir.succeed("new w --users 6 --items 50 --force");
    assert_eq!(dir.tensors("w").shape("user.belief"), [6, 5]);
    assert_eq!(dir.files().len(), 3, "the folder and its two files");
}

#[test]
fn parent_folders_are_created_and_empty_folders_are_used() {
    let dir = WorldDir::new();
    std::fs::create_dir(dir.path("empty")).unwrap();
    dir.succeed("new empty --users 5 --items 50");
    dir.succeed("new above/below --users 5 --items 50");
    dir.succeed("info above/below");
}

#[cfg(unix)]
#[test]
fn current_folder_and_links_are_accepted() {
    let dir = WorldDir::new();
    dir.succeed("new . --users 5 --items 50");
    dir.succeed("new . --users 6 --items 50 --force");
    let dir = WorldDir::new();
    std::fs::create_dir(dir.path("target")).unwrap();
    std::os::unix::fs::symlink("target", dir.path("link")).unwrap();
    dir.succeed("new link --users 5 --items 50");
    dir.succeed("new link --users 6 --items 50 --force");
    assert_eq!(dir.tensors("target").shape("user.belief"), [6, 5]);
    assert!(dir.path("link").is_symlink());
}

#[test]
fn info_describes_a_world_as_tables_and_json() {
    let dir = WorldDir::new();
    assert_eq!(dir.succeed("new w --users 40 --items 100 --quiet"), "");
    assert_eq!(dir.succeed("info w --quiet"), "", "quiet prints nothing for a valid world");
    let text = dir.succeed("info w");
    assert!(text.starts_with("w: 40 users, 100 items of 64 dimensions, lists of 40\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&dir.succeed("info w --json")).unwrap();
    assert_eq!(json["users"], 40);
    let shares = json["clusters"].as_array().unwrap().iter().map(|cluster| cluster["items"].as_u64().unwrap());
    assert_eq!(shares.collect::<Vec<_>>(), [70, 7, 8, 7, 8]);
    assert_eq!(json["checksums"], dir.info("w")["checksums"]);
}

#[test]
fn lists_contain_all_items_of_a_small_catalogue() {
    let dir = WorldDir::new();
    dir.succeed("new w --users 3 --items 20 -q");
    assert_eq!(dir.tensors("w").shape("user.pretrained"), [3, 20]);
}
