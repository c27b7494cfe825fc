use crate::support::{Desk, checksum};

#[test]
fn a_world_has_the_tensors_and_ids_that_python_expects() {
    let desk = Desk::new();
    desk.good("new w --users 30 --items 90 --clusters 4 --dim 6 --list 12 --seed 3");
    let tensors = desk.tensors("w");
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
    let about = desk.about("w");
    assert_eq!(about["user_ids"][0], "U1");
    assert_eq!(about["user_ids"][29], "U30");
    assert_eq!(about["item_ids"][89], "I90");
    assert_eq!(about["provenance"]["seed"], 3);
}

#[test]
fn the_checksums_are_those_of_the_files() {
    let desk = Desk::new();
    desk.good("new w --users 5 --items 50");
    let about = desk.about("w");
    let tensors = std::fs::read(desk.path("w/world.safetensors")).unwrap();
    assert_eq!(about["checksums"]["world.safetensors"], checksum(&tensors));
    let own = about["checksums"]["world.json"].as_str().unwrap();
    let text = std::fs::read_to_string(desk.path("w/world.json")).unwrap();
    assert_eq!(checksum(text.replace(own, &"0".repeat(64)).as_bytes()), own);
}

#[test]
fn a_seed_gives_the_same_files_for_any_number_of_threads() {
    let desk = Desk::new();
    desk.good("new a --users 200 --items 300 --threads 1");
    desk.good("new b --users 200 --items 300 --threads 3");
    desk.good("new c --users 200 --items 300 --seed 1");
    let bytes = |file: &str| std::fs::read(desk.path(file)).unwrap();
    assert_eq!(bytes("a/world.safetensors"), bytes("b/world.safetensors"));
    assert_eq!(bytes("a/world.json"), bytes("b/world.json"));
    assert_ne!(bytes("a/world.safetensors"), bytes("c/world.safetensors"));
}

#[test]
fn force_replaces_a_world_and_leaves_nothing_else() {
    let desk = Desk::new();
    desk.good("new w --users 5 --items 50");
    desk.good("new w --users 6 --items 50 --force");
    assert_eq!(desk.tensors("w").shape("user.belief"), [6, 5]);
    assert_eq!(desk.files().len(), 3, "the folder and its two files");
}

#[test]
fn folders_above_are_made_and_empty_ones_used() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("empty")).unwrap();
    desk.good("new empty --users 5 --items 50");
    desk.good("new above/below --users 5 --items 50");
    desk.good("info above/below");
}

#[cfg(unix)]
#[test]
fn the_folder_one_stands_in_and_a_link_to_one_serve_as_well() {
    let desk = Desk::new();
    desk.good("new . --users 5 --items 50");
    desk.good("new . --users 6 --items 50 --force");
    let desk = Desk::new();
    std::fs::create_dir(desk.path("far")).unwrap();
    std::os::unix::fs::symlink("far", desk.path("link")).unwrap();
    desk.good("new link --users 5 --items 50");
    desk.good("new link --users 6 --items 50 --force");
    assert_eq!(desk.tensors("far").shape("user.belief"), [6, 5]);
    assert!(desk.path("link").is_symlink());
}

#[test]
fn info_describes_a_world_in_words_and_in_json() {
    let desk = Desk::new();
    assert_eq!(desk.good("new w --users 40 --items 100 --quiet"), "");
    assert_eq!(desk.good("info w --quiet"), "", "it is in order, and nobody wants to know more");
    let text = desk.good("info w");
    assert!(text.starts_with("w: 40 users, 100 items of 64 dimensions, lists of 40\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&desk.good("info w --json")).unwrap();
    assert_eq!(json["users"], 40);
    let shares = json["clusters"].as_array().unwrap().iter().map(|cluster| cluster["items"].as_u64().unwrap());
    assert_eq!(shares.collect::<Vec<_>>(), [70, 7, 8, 7, 8]);
    assert_eq!(json["checksums"], desk.about("w")["checksums"]);
}

#[test]
fn lists_hold_all_items_where_there_are_few() {
    let desk = Desk::new();
    desk.good("new w --users 3 --items 20 -q");
    assert_eq!(desk.tensors("w").shape("user.pretrained"), [3, 20]);
}
