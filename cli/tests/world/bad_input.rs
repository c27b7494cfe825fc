use crate::support::{WorldDir, npy};

#[test]
fn impossible_sizes_are_refused() {
    let dir = WorldDir::new();
    for (arguments, expected) in [
        ("--users 0", "--users"),
        ("--items 0", "--items"),
        ("--clusters 0", "--clusters"),
        ("--dimensions 0", "--dimensions"),
        ("--pretrained-len 0", "--pretrained-len"),
        ("--users 5000000000", "--users"),
        ("--users many", "--users"),
        ("--items 4 --pretrained-len 2", "5 clusters"),
        ("--items 30 --pretrained-len 40", "40 entries of a pre-trained list"),
        ("--items 30 --pretrained-len 40", "a smaller one to --pretrained-len"),
        ("--users 2000000000", "GiB of it for the world"),
        ("--dimensions 4294967295", "`--dimensions`"),
    ] {
        dir.refuse(&format!("new w {arguments}"), &[expected]);
    }
}

#[test]
fn unusable_folder_is_refused() {
    let dir = WorldDir::new();
    dir.write("file", "");
    std::fs::create_dir(dir.path("full")).unwrap();
    dir.write("full/config.yaml", "a run's");
    dir.succeed("new world --users 3 --items 50 -q");
    for (arguments, expected) in [
        ("world", ["world: contains a world already", "--force"]),
        ("file", ["file: exists already", "new folder"]),
        ("full", ["full: is a folder that contains other files", "empty"]),
        ("full --force", ["full: is a folder that contains other files", "empty"]),
        ("file/below", ["file/below: cannot be written: not a directory", "may write"]),
    ] {
        dir.refuse(&format!("new {arguments} --users 3 --items 50"), &expected);
    }
}

#[test]
fn wrong_log_is_refused_with_its_line() {
    let dir = WorldDir::new();
    let ten = (0..10).map(|n| format!("u,i{n},3,1\n")).collect::<String>();
    dir.write("names.csv", "item_id,name\ni1,One\ni2,Two\ni1,Again\n");
    for (log, arguments, expected) in [
        ("", "", ["log: is empty", "header"]),
        ("user_id,item_id\n", "", ["log: contains no interactions", "interaction"]),
        ("user,item_id\nu,i\n", "", ["log:1: has no column `user_id`", "--user-column"]),
        ("user_id,item_id,rating\nu,i,3\nu,j,good\n", "", ["log:3: `rating` is `good`", "correct"]),
        ("user_id,item_id,rating\nu,i,\n", "", ["log:2: `rating` is ``", "correct"]),
        ("user_id,item_id,rating\nu,i,NaN\n", "", ["log:2: `rating` is `NaN`", "correct"]),
        ("user_id,item_id,rating\nu,i,inf\n", "", ["log:2: `rating` is `inf`", "correct"]),
        ("user_id\titem_id\ttimestamp\nu\ti\tnoon\n", "", ["log:2: `timestamp` is `noon`", "correct"]),
        ("user_id,item_id\nu,i,3\n", "", ["log:2: has 3 fields, and the header has 2", "correct"]),
        ("user_id,item_id\nu,\n", "", ["log:2: `item_id` is empty", "id"]),
        ("user_id,item_id\nu,i\nu,\"j\nu,k\n", "", ["log:3: a quotation mark is opened", "close"]),
        ("user_id,item_id\nu,i\nu,\"j", "", ["log:3: a quotation mark is opened", "close"]),
        ("user_id,item_id,rating\nu,i,1\nu,\"j,2\nu,k,3\n", "", ["log:3: a quotation mark is opened", "close"]),
        ("user_id,item_id,user_id\nu,i,v\n", "", ["log: has two columns `user_id`", "different name"]),
        ("user_id,item_id\nu,i\n", "--rating-column stars", ["log:1: has no column `stars`", "--rating-column"]),
        ("user_id,item_id\nu,i\n", "--min-rating 3", ["log:1: has no column `rating`", "--min-rating"]),
        (
            "user_id,item_id,rating\nu,i,3\n",
            "--min-rating 4",
            ["log: contains no interaction with a high", "--min-rating"],
        ),
        ("user_id,item_id\nu,i\n", "", ["log: its 1 items are fewer than the 5 clusters", "--clusters 1"]),
        (
            &format!("user_id,item_id,rating,timestamp\n{ten}"),
            "--pretrained-len 11",
            ["10 items are fewer", "--pretrained-len 10"],
        ),
        (
            &format!("user_id,item_id,rating,timestamp\n{ten}"),
            "--items names.csv",
            ["names.csv:4: `i1` occurs twice", "remove"],
        ),
    ] {
        dir.write("log", log);
        dir.refuse(&format!("import w --ratings log {arguments}"), &expected);
    }
    dir.write("crlf", "user_id,item_id,rating\r\nu,i,3\r\n\r\nu,j,good\r\n");
    dir.refuse("import w --ratings crlf", &["crlf:4: `rating` is `good`"]);
    dir.write("log", b"user_id,item_id\nu,\xff\n");
    dir.refuse("import w --ratings log", &["log:2: is not UTF-8", "correct"]);
    dir.write("ten", format!("user_id,item_id,rating,timestamp\n{ten}"));
    dir.refuse("import w --ratings ten --dimensions 4294967295", &["memory: ", "`--dimensions`"]);
    dir.refuse(
        "import w --ratings ten --dimensions 10000000",
        &["memory: ", "the factorization", "`--dimensions`"],
    );
    dir.refuse("import w --ratings nowhere", &["nowhere: cannot be read", "CSV"]);
    dir.refuse("import w --ratings log --max-cluster-distance NaN", &["--max-cluster-distance"]);
}

#[test]
fn wrong_arrays_are_refused_with_their_location() {
    let dir = WorldDir::new();
    let valid = |row: usize, column: usize| (row * 2 + column) as f32;
    dir.write("i.npy", npy(3, 2, valid));
    dir.write("u.npy", npy(2, 2, valid));
    dir.write("wide.npy", npy(2, 3, valid));
    dir.write("none.npy", npy(0, 2, valid));
    dir.write("nan.npy", npy(3, 2, |row, column| if (row, column) == (1, 1) { f32::NAN } else { 1.0 }));
    dir.write("text.npy", "1 2 3");
    dir.write("long.npy", npy(3, 2, |row, _| [0.0, 1e30, 1.0][row]));
    let whole = npy(3, 2, valid);
    dir.write("short.npy", &whole[..whole.len() - 4]);
    dir.write("cut.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{");
    for (items, users, expected) in [
        ("nan.npy", "u.npy", "nan.npy: is not a finite 32-bit number at row 1, column 1"),
        ("i.npy", "wide.npy", "wide.npy: has 3 dimensions, and i.npy has 2"),
        ("none.npy", "u.npy", "none.npy: "),
        ("i.npy", "none.npy", "none.npy: is empty"),
        ("text.npy", "u.npy", "text.npy: is neither"),
        ("short.npy", "u.npy", "short.npy: has 20 bytes"),
        ("cut.safetensors", "u.npy", "cut.safetensors: is not a safetensors file"),
        ("nowhere.npy", "u.npy", "nowhere.npy: cannot be read"),
        ("long.npy", "long.npy", "long.npy: row 1 and row 1 of long.npy are so long"),
    ] {
        dir.refuse(
            &format!("assemble w --clusters 2 --item-embedding {items} --user-embedding {users}"),
            &[expected, "help"],
        );
    }
    dir.write("many.npy", npy(1000, 2, valid));
    dir.write("c.csv", "cluster\n0\n1\n1\n");
    dir.refuse(
        "assemble w --clusters 4294967295 --items c.csv --item-embedding i.npy --user-embedding many.npy",
        &["memory: ", "the clusters"],
    );
    for (flag, file, contents, expected) in [
        ("items", "t.csv", "item_id\na\nb\n", "t.csv: has 2 items, and there are 3 embeddings"),
        ("items", "t.csv", "item_id\na\nb\n\"c\n", "t.csv:4: a quotation mark is opened"),
        ("items", "t.csv", "item_id\na\nb\na\n", "t.csv: `item_ids` contains `a` twice"),
        ("items", "t.csv", "cluster\n0\n1\nred\n", "t.csv:4: `cluster` is `red`"),
        ("items", "t.csv", "\"cluster\"\r\n\"0\"\r\n\"1\"\r\n\"red\"\r\n", "t.csv:4: `cluster` is `red`"),
        ("items", "t.csv", "id,kind\na,0\nb,0\nc,0\n", "t.csv: has none of the fields `item_id`, `name`"),
        ("items", "t.csv", "item_id,Cluster\na,0\nb,0\nc,0\n", "t.csv: has a field `Cluster`, which is ignored"),
        ("users", "t.json", r#"[{"id": "a"}, {"id": "b"}]"#, "its fields are `id`"),
        ("items", "t.csv", "cluster\n0\n1\n2\n", "t.csv: `item.cluster` is 2 at row 2"),
        ("items", "t.csv", "distance\n0\n-1\n2\n", "t.csv: `item.distance` is -1 at row 1"),
        ("items", "t.json", r#"[{"name": "A"}, {}, {}]"#, "t.json, record 1: `name` is missing in some"),
        ("items", "t.json", "[1]", "t.json: does not contain an array of objects"),
        ("users", "t.csv", "beliefs\n0 0\n0\n", "t.csv:3: `beliefs` has 1 entries"),
        ("users", "t.csv", "beliefs\n0 0\n0 x\n", "t.csv:3: `beliefs` is `x`"),
        ("users", "t.csv", "beliefs\n0 0\n0 1\n", "t.csv: `user.belief` is 1 at row 1, column 1"),
        ("users", "t.csv", "pretrained\nI1 I2\nI1 I9\n", "t.csv:3: `pretrained` names the item `I9`"),
        ("users", "t.csv", "pretrained\nI1 I2\nI1 I1\n", "t.csv: `user.pretrained` names item 0 twice at row 1"),
        ("users", "t.json", r#"[{"user_id": "a"}, {"user_id": "a"}]"#, "t.json: `user_ids` contains `a` twice"),
        (
            "target",
            "t.csv",
            "cluster,target\n1,0.5\n0,0.4\n",
            "t.csv:2: has the `cluster` 1, and cluster 0 is expected",
        ),
        ("target", "t.json", "[0.5, 0.6]", "t.json: `target` sums to"),
        ("target", "t.json", "[]", "t.json: has no cluster"),
        ("target", "t.csv", "target\n", "t.csv: has no cluster"),
        ("target", "t.json", "[0.5, \"x\"]", "t.json: does not contain an array of numbers"),
        ("target", "t.csv", "target\n0.5\n-0.1\n", "t.csv: `target` is -0.1"),
        ("target", "t.csv", "target\n0.5\n", "t.csv: `target` has 1 elements"),
    ] {
        dir.write(file, contents);
        let arrays = "--clusters 2 --item-embedding i.npy --user-embedding u.npy";
        dir.refuse(&format!("assemble w {arrays} --{flag} {file}"), &[expected, "help"]);
    }
}
