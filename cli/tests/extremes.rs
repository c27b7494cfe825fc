//! Runs every command on the smallest worlds, and on worlds with many clusters and dimensions.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

mod common;

use common::{TestDir, json, json_lines, stderr, stdout};
use serde_json::Value;

/// Users, items, clusters, dimensions and slate length.
const WORLDS: [[u32; 5]; 8] = [
    [1, 1, 1, 1, 1],
    [40, 1, 1, 3, 1],
    [1, 90, 5, 3, 4],
    [1, 64, 64, 1, 64],
    [20, 200, 1, 1, 3],
    [20, 200, 64, 5, 20],
    [3, 12, 1, 1024, 6],
    [2, 70, 64, 1024, 5],
];

#[test]
fn every_command_works_on_extreme_worlds() {
    for sizes in WORLDS {
        let dir = TestDir::new();
        let run = |line: &str| {
            let output = dir.run(&line.split_whitespace().collect::<Vec<_>>());
            let (message, code) = (stderr(&output), output.status.code());
            assert!(code == Some(0) && !message.contains("panicked"), "{sizes:?}: {line}: {code:?}: {message}");
            stdout(&output)
        };
        let [users, items, clusters, dimensions, slate_len] = sizes;
        let counts = format!("--users {users} --items {items} --clusters {clusters} --dimensions {dimensions}");
        run(&format!("world new world {counts} --pretrained-len {slate_len} -q"));
        let info: Value = serde_json::from_str(&run("world info world --json")).unwrap();
        assert_eq!((&info["users"], &info["items"]), (&users.into(), &items.into()));
        assert_eq!(
            (info["clusters"].as_array().unwrap().len(), &info["pretrained_len"]),
            (clusters as usize, &slate_len.into())
        );
        let settings = format!(
            "training: {{episodes: 2, rounds_per_episode: 3, warmup_transitions: 1, train_frequency: 2}}\n\
             td3: {{hidden_sizes: [6, 5], batch_size: 8, gradient_steps: 3, buffer_size: 50}}\n\
             recommendation: {{rl_list_size: {}, total_recommendations: {slate_len}}}\n",
            slate_len.div_ceil(2)
        );
        dir.write("settings.yaml", settings);
        let backend = if cfg!(feature = "cpu") { "" } else { "--backend reference" };
        run(&format!("train --config settings.yaml --world world {backend} --out run --trace trace -q"));
        if cfg!(feature = "cpu") {
            // Every stage is checked against the reference. Without BatchNorm: with equal rows, its results are mostly
            // rounding errors.
            let checked = "--shadow reference --set td3.batch_norm=false --out checked -q";
            run(&format!("train --config settings.yaml --world world {checked}"));
        }
        let rounds = json_lines(&dir.path("run/rounds.jsonl"));
        assert_eq!((rounds.len(), &rounds[5]["users"]), (6, &users.into()), "{sizes:?}");
        assert!(rounds.iter().any(|round| round["updates"].as_u64() > Some(0)), "{sizes:?}");
        for number in rounds.iter().flat_map(|round| ["average_reward", "mean_distance"].map(|key| &round[key])) {
            assert!(number.as_f64().is_some_and(f64::is_finite), "{sizes:?}: {number}");
        }
        assert!(run("show run").contains("run (finished)"));
        run("train --resume run --episodes 3 -q");
        assert_eq!(json(&dir.path("run/summary.json"))["status"], "finished");

        let policies =
            "--policies actor:run,random,popular,pretrained,greedy,anti,random-full,greedy-full --seeds 1";
        let evaluate = format!("eval --config settings.yaml --world world {backend} {policies} --json -q");
        let policies: Vec<Value> = serde_json::from_str(&run(&evaluate)).unwrap();
        assert_eq!(policies.len(), 8, "{sizes:?}");
        for area in policies.iter().map(|policy| &policy["area"]["mean"]) {
            assert!(area.as_f64().is_some_and(|area| area.is_finite() && area >= 0.0), "{sizes:?}: {area}");
        }
        let answer: Value =
            serde_json::from_str(&run(&format!("recommend --run run --user U{users} {backend} --json"))).unwrap();
        let mut slate: Vec<&str> =
            answer["slate"].as_array().unwrap().iter().map(|entry| entry["item"].as_str().unwrap()).collect();
        slate.sort_unstable();
        slate.dedup();
        assert_eq!(
            (slate.len(), answer["beliefs"].as_array().unwrap().len()),
            (slate_len as usize, clusters as usize)
        );
        run(&format!("recommend --run run --user U1 {backend}"));
    }
}

#[test]
fn sizes_above_the_maximum_are_refused() {
    let dir = TestDir::new();
    let cases = [
        ("world new w --users 4294967296", "--users"),
        ("world new w --items 4294967296", "--items"),
        ("world new w --dimensions 4294967296", "--dimensions"),
        ("world new w --clusters 4294967296", "--clusters"),
        ("world new w --pretrained-len 4294967296", "--pretrained-len"),
        ("world new w --items 64 --clusters 65 --pretrained-len 1", "65 clusters are more than the 64 items"),
        (
            "world new w --items 1 --clusters 1 --pretrained-len 2",
            "2 entries of a pre-trained list are more than the 1 items",
        ),
        ("world new w --threads 1025", "--threads"),
        ("config --set experiment.threads=1025", "from 1 to 1024"),
        ("config --set td3.buffer_size=4294967296", "from 1 to 4294967295"),
        ("config --set td3.hidden_sizes=[65537]", "each from 1 to 65536"),
        ("config --set td3.hidden_sizes=[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "at most 16 widths"),
        ("config --set training.episodes=4294967296", "from 0 to 4294967295"),
        ("config --set experiment.seed=18446744073709551616", "from 0 to 18446744073709551615"),
        ("config --set recommendation.rl_list_size=21", "at least `recommendation.rl_list_size` (21)"),
        ("eval --seeds 1001", "--seeds"),
        (
            "eval --seed 18446744073709551615 --seeds 2",
            "2 seeds from 18446744073709551615 on exceed 18446744073709551615",
        ),
        ("bench --reps 0", "--reps"),
    ];
    for (line, expected) in cases {
        let output = dir.run(&line.split(' ').collect::<Vec<_>>());
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{line}: {message}");
        let is_expected = message.contains(expected) && !message.contains("panicked");
        assert!(is_expected, "{line}: `{expected}` is missing in {message}");
    }
    assert!(!dir.path("w").exists());
}
