use crate::support::{WorldDir, npy};

#[test]
fn given_arrays_are_stored_unchanged() {
    let dir = WorldDir::new();
    dir.write("i.npy", npy(4, 2, |row, column| row as f32 - column as f32));
    dir.write("u.npy", npy(2, 2, |row, column| (row + column) as f32));
    dir.write("i.csv", "item_id,cluster,distance,name\na,1,0.5,A\nb,0,0,B\nc,0,2.5,C\nd,1,1,D\n");
    dir.write(
        "u.json",
        r#"[{"user_id": "x", "beliefs": [0, 0.25], "pretrained": ["d", "a"]},
        {"user_id": 7, "beliefs": [0.5, 0], "pretrained": ["b", "c"]}]"#,
    );
    // With a byte order mark, as some programs write it.
    dir.write("t.json", "\u{feff}[0.5, 0.375]");
    dir.succeed(
        "assemble w --item-embedding i.npy --user-embedding u.npy --items i.csv --users u.json --target t.json",
    );
    let (info, tensors) = (dir.info("w"), dir.tensors("w"));
    assert_eq!(tensors.f32("item.embedding"), [0.0, -1.0, 1.0, 0.0, 2.0, 1.0, 3.0, 2.0]);
    assert_eq!(tensors.u32("item.cluster"), [1, 0, 0, 1]);
    assert_eq!(tensors.f32("item.distance"), [0.5, 0.0, 2.5, 1.0]);
    assert_eq!(tensors.f32("user.belief"), [0.0, 0.25, 0.5, 0.0]);
    assert_eq!(tensors.u32("user.pretrained"), [3, 0, 1, 2]);
    assert_eq!(tensors.f32("target"), [0.5, 0.375]);
    assert_eq!(info["user_ids"], serde_json::json!(["x", "7"]));
    assert_eq!(info["names"]["items"], serde_json::json!(["A", "B", "C", "D"]));
}

#[test]
fn more_given_clusters_than_items_are_allowed() {
    let dir = WorldDir::new();
    dir.write("i.npy", npy(2, 2, |row, column| (row + column) as f32));
    dir.write("u.npy", npy(1, 2, |_, column| column as f32));
    dir.write("i.csv", "cluster\n3\n0\n");
    dir.write("t.json", "[0.25, 0.25, 0.25, 0.25]");
    let arrays = "--item-embedding i.npy --user-embedding u.npy --items i.csv";
    dir.succeed(&format!("assemble given {arrays} --target t.json"));
    assert_eq!(dir.tensors("given").f32("target"), [0.25; 4]);
    dir.succeed(&format!("assemble counted {arrays} --clusters 5"));
    assert_eq!(dir.tensors("counted").f32("target"), [0.5, 0.0, 0.0, 0.5, 0.0]);
}

#[test]
fn missing_arrays_are_derived() {
    let dir = WorldDir::new();
    dir.write("i.npy", npy(6, 1, |row, _| [0.0, 1.0, 10.0, 11.0, 12.0, 13.0][row]));
    dir.write("u.npy", npy(2, 1, |row, _| [1.0, -1.0][row]));
    dir.succeed("assemble w --item-embedding i.npy --user-embedding u.npy --clusters 2 --pretrained-len 2");
    let tensors = dir.tensors("w");
    assert_eq!(tensors.u32("item.cluster"), [1, 1, 0, 0, 0, 0]);
    let distances = tensors.f32("item.distance");
    let expected = [0.5, 0.5, 1.5, 0.5, 0.5, 1.5].map(|distance: f32| distance / 1.5 * 5.0);
    assert!(
        distances.iter().zip(expected).all(|(actual, expected)| (actual - expected).abs() < 1e-6),
        "{distances:?}"
    );
    assert_eq!(tensors.f32("target"), [4.0 / 6.0, 2.0 / 6.0]);
    assert_eq!(tensors.f32("user.belief"), [0.0; 4]);
    assert_eq!(tensors.u32("user.pretrained"), [5, 4, 0, 1]);
}

#[test]
fn tensors_of_a_world_are_embeddings() {
    let dir = WorldDir::new();
    dir.succeed("new a --users 8 --items 60 --dimensions 3");
    dir.succeed("assemble b --item-embedding a/world.safetensors --user-embedding a/world.safetensors");
    let (a, b) = (dir.tensors("a"), dir.tensors("b"));
    for tensor in ["item.embedding", "user.embedding"] {
        assert_eq!(a.f32(tensor), b.f32(tensor));
    }
    assert_eq!(a.u32("user.pretrained"), b.u32("user.pretrained"));
}
