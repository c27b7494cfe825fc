use std::fmt::Write;

use crate::support::WorldDir;

/// A log of two groups: twenty users with seven of the items 0 to 9 each, and ten users with seven of the items 10 to
/// 19.
fn two_groups() -> String {
    let mut log = String::from("user_id:token\titem_id:token\trating:float\ttimestamp:float\n");
    for user in 0..30 {
        let first = if user < 20 { 0 } else { 10 };
        for n in 0..7 {
            let item = first + (user * 3 + n) % 10;
            writeln!(log, "u{user}\ti{item}\t4\t{user}").unwrap();
        }
    }
    log
}

#[test]
fn clusters_separate_two_groups_and_lists_contain_new_items_of_the_group() {
    let dir = WorldDir::new();
    dir.write("log.inter", two_groups());
    dir.succeed(
        "import w --ratings log.inter --clusters 2 --dimensions 4 --pretrained-len 3 --max-cluster-distance 7",
    );
    let (info, tensors) = (dir.info("w"), dir.tensors("w"));
    let item = |index: u32| info["item_ids"][index as usize].as_str().unwrap()[1..].parse::<u32>().unwrap();
    let clusters = tensors.u32("item.cluster");
    let of_first: Vec<bool> = (0..20).map(|index| item(index) < 10).collect();
    assert!((0..20).all(|a| (0..20).all(|b| (clusters[a] == clusters[b]) == (of_first[a] == of_first[b]))));
    assert_eq!(tensors.f32("target"), [0.5, 0.5]);
    assert_eq!(tensors.f32("item.distance").into_iter().fold(0.0, f32::max), 7.0);

    let beliefs = tensors.f32("user.belief");
    let lists = tensors.u32("user.pretrained");
    for user in 0..30 {
        let first = if user < 20 { 0 } else { 10 };
        let own = clusters[of_first.iter().position(|&is_first| is_first == (first == 0)).unwrap()] as usize;
        assert_eq!(beliefs[2 * user + own], 7.0 / 20.0);
        assert_eq!(beliefs[2 * user + 1 - own], 0.0);
        let mut listed: Vec<u32> = lists[3 * user..3 * user + 3].iter().map(|&index| item(index)).collect();
        listed.sort_unstable();
        let mut new: Vec<u32> = (7..10).map(|n| first + (user as u32 * 3 + n) % 10).collect();
        new.sort_unstable();
        assert_eq!(listed, new, "user {user}: the three items of the group that the user has not seen");
    }
}

#[test]
fn import_does_not_depend_on_the_threads() {
    let dir = WorldDir::new();
    dir.write("log", two_groups());
    dir.succeed("import a --ratings log --dimensions 8 --threads 1");
    dir.succeed("import b --ratings log --dimensions 8 --threads 3");
    let bytes = |file: &str| std::fs::read(dir.path(file)).unwrap();
    assert_eq!(bytes("a/world.safetensors"), bytes("b/world.safetensors"));
    assert_eq!(bytes("a/world.json"), bytes("b/world.json"));
}

#[test]
fn user_with_all_items_has_known_items_in_the_list_and_the_target_as_beliefs() {
    let dir = WorldDir::new();
    let all: String = (0..7).map(|item| format!("reader,{item}\n")).collect();
    dir.write("log.csv", format!("user_id,item_id\n{all}other,3\n"));
    dir.succeed("import w --ratings log.csv --clusters 3 --dimensions 16");
    let tensors = dir.tensors("w");
    assert_eq!(tensors.shape("user.pretrained"), [2, 7], "as long as the catalogue, which is shorter than 40");
    let mut list = tensors.u32("user.pretrained")[..7].to_vec();
    list.sort_unstable();
    assert_eq!(list, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(tensors.u32("user.pretrained")[13], 3, "the one known item comes last");
    assert_eq!(tensors.f32("user.belief")[..3], tensors.f32("target"));
}

#[test]
fn left_out_rows_are_counted() {
    let dir = WorldDir::new();
    dir.write("log.csv", "who,what,stars\na,x,5\na,y,1\nb,x,4\na,x,3\nb,z,5\nc,x,2\nc,z,1\n");
    dir.write("items.csv", "what,title\nx,\"An X, first\"\nnever,Never\ny,Why\n");
    let columns = "--user-column who --item-column what --rating-column stars";
    dir.succeed(&format!(
        "import w --ratings log.csv --items items.csv --min-rating 3 --clusters 2 --dimensions 2 {columns}"
    ));
    let info = dir.info("w");
    assert_eq!(info["item_ids"], serde_json::json!(["x", "z"]));
    assert_eq!(info["names"]["items"], serde_json::json!(["An X, first", "z"]));
    let provenance = &info["provenance"];
    assert_eq!(provenance["rows"], 7);
    assert_eq!(provenance["rows_below_min_rating"], 3);
    assert_eq!(provenance["rows_repeated"], 1);
    assert_eq!(provenance["interactions"], 3);
    assert_eq!(provenance["items_left_out"], 2, "y, rated too low, and never");
    assert_eq!(provenance["users_left_out"], 1, "c, who rated nothing high enough");
    assert!(dir.succeed("info w").contains("users left out"));
}
