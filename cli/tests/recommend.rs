//! `recsim recommend` shows the slates that the run showed.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

mod common;

use common::{TestDir, floats, json, stderr, stdout, tensor};
use serde_json::Value;

/// Options of a run whose agent neither trains nor explores, with a trace of all users.
const UNTRAINED: &[&str] = &[
    "--set",
    "training.warmup_transitions=1000",
    "--set",
    "td3.exploration_noise=0",
    "--set",
    "td3.item_epsilon=0",
    "--trace",
    "trace.safetensors",
    "-q",
];

fn recommend(dir: &TestDir, options: &[&str]) -> Value {
    let output = dir.run(&[&["recommend", "--json", "--run", "run"], options].concat());
    assert!(output.status.success(), "{options:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn recommended_slate_is_the_first_of_the_run() {
    let dir = TestDir::new();
    let without_reranking = checked_slates(&dir, &[]);
    let reranked = checked_slates(&dir, &["--set", "td3.candidates=5", "--force"]);
    assert_ne!(without_reranking, reranked, "re-ranking must change a slate to be tested");
    // Re-ranking needs the critic's file.
    std::fs::remove_file(dir.path("run/models/critic_1.safetensors")).unwrap();
    let output = dir.run(&["recommend", "--run", "run", "--user", "U1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("critic_1.safetensors"), "{}", stderr(&output));
}

/// Trains, and compares the slates that `recsim recommend` prints with the first ones in the run's trace. Returns the
/// latter.
fn checked_slates(dir: &TestDir, options: &[&str]) -> Vec<String> {
    dir.train("run", &[UNTRAINED, options].concat());
    let trace = std::fs::read(dir.path("trace.safetensors")).unwrap();
    let (shape, slates) = tensor(&trace, "slate");
    assert_eq!(shape, [8, 40, 8]);
    let slates: Vec<String> = slates
        .chunks_exact(4)
        .map(|item| format!("I{}", u32::from_le_bytes(item.try_into().unwrap()) + 1))
        .collect();
    let (_, beliefs) = floats(&trace, "belief_before");
    for user in [0, 17, 39] {
        let answer = recommend(dir, &["--user", &format!("U{}", user + 1)]);
        let slate = answer["slate"].as_array().unwrap();
        let items: Vec<&str> = slate.iter().map(|entry| entry["item"].as_str().unwrap()).collect();
        assert_eq!(items, slates[8 * user..][..8]);
        let by: Vec<&str> = slate.iter().map(|entry| entry["by"].as_str().unwrap()).collect();
        assert_eq!(by, [["agent"; 4], ["list"; 4]].concat());
        let similarity: Vec<f64> = slate.iter().map(|entry| entry["similarity"].as_f64().unwrap()).collect();
        assert!(similarity[..4].is_sorted_by(|a, b| a >= b) && similarity.iter().all(|x| x.abs() <= 1.000_001));
        // The acceptance formula with the default settings.
        for entry in slate {
            let belief = beliefs[3 * user + entry["cluster"].as_u64().unwrap() as usize];
            let nearness = 1.0 - entry["distance"].as_f64().unwrap() / 5.0;
            let expected = nearness / (1.0 + f64::exp(-10_000.0 * f64::from(belief))) + 0.1;
            assert!(
                (entry["acceptance_probability"].as_f64().unwrap() - expected.min(1.0)).abs() < 1e-5,
                "{entry}"
            );
        }
        // Only the agent's items, on another backend.
        let best = recommend(dir, &["--user", &format!("U{}", user + 1), "--top", "3", "--backend", "reference"]);
        let best: Vec<&str> =
            best["slate"].as_array().unwrap().iter().map(|entry| entry["item"].as_str().unwrap()).collect();
        assert_eq!(best, items[..3]);
    }
    slates
}

#[test]
fn dot_similarity_is_the_dot_product() {
    let dir = TestDir::new();
    let dot = [UNTRAINED, &["--set", "recommendation.similarity_metric=dot", "--world", "world"]].concat();
    let made = dir.run(&[
        "world",
        "new",
        "world",
        "--users",
        "40",
        "--items",
        "60",
        "--clusters",
        "3",
        "--dimensions",
        "4",
        "-q",
    ]);
    assert!(made.status.success(), "{}", stderr(&made));
    dir.train("run", &dot);
    let trace = std::fs::read(dir.path("trace.safetensors")).unwrap();
    let (shape, actions) = floats(&trace, "action");
    let world = std::fs::read(dir.path("world/world.safetensors")).unwrap();
    let (_, items) = floats(&world, "item.embedding");
    let dimensions = *shape.last().unwrap();
    let answer = recommend(&dir, &["--user", "U18", "--world", "world"]);
    for entry in answer["slate"].as_array().unwrap() {
        let item: usize = entry["item"].as_str().unwrap()[1..].parse().unwrap();
        let factors = items[(item - 1) * dimensions..][..dimensions].iter().zip(&actions[17 * dimensions..]);
        let expected: f64 = factors.map(|(&x, &a)| f64::from(x) * f64::from(a)).sum();
        assert!((entry["similarity"].as_f64().unwrap() - expected).abs() < 1e-5, "{entry}, expected {expected}");
    }
}

#[test]
fn output_is_a_table_without_json() {
    let dir = TestDir::new();
    dir.train("run", &["-q"]);
    let output = dir.run(&["recommend", "--run", "run", "--user", "U7"]);
    let printed = stdout(&output);
    for text in ["U7", "belief", "target", "item", "selected by", "similarity", "accepted", "list", "%"] {
        assert!(printed.contains(text), "`{text}` is missing in {printed}");
    }
    assert!(output.status.success() && !printed.contains('\x1b'));
}

#[test]
fn wrong_arguments_are_refused_with_a_remedy() {
    let dir = TestDir::new();
    dir.train("run", &["-q"]);
    let cases: &[(&[&str], &[&str])] = &[
        (&["--run", "run", "--user", "U41"], &["`U41`", "40 users are U1 to U40", "world.json"]),
        (&["--run", "run", "--user", "U1", "--top", "121"], &["120 items", "121", "at most 120"]),
        (&["--run", "run", "--user", "U1", "--top", "0"], &["--top"]),
        (&["--run", "elsewhere", "--user", "U1"], &["elsewhere"]),
        (&["--run", "run"], &["--user"]),
    ];
    for (arguments, expected) in cases {
        let output = dir.run(&[&["recommend"], *arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        for text in *expected {
            assert!(stderr(&output).contains(text), "{arguments:?}: `{text}` is missing in {}", stderr(&output));
        }
    }
    assert!(json(&dir.path("run/summary.json")).is_object(), "the run is unchanged");
}

#[test]
fn damaged_model_assert_refused() {
    let dir = TestDir::new();
    dir.train("run", &["-q"]);
    let path = "run/models/actor.safetensors";
    let whole = std::fs::read(dir.path(path)).unwrap();
    let assert_refused = |expected: &str| {
        for command in [
            &["recommend", "--run", "run", "--user", "U7"][..],
            &["eval", "--config", "tiny.yaml", "--policies", "actor:run", "--seeds", "1", "-q"],
        ] {
            let output = dir.run(command);
            let message = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {message}");
            let is_expected = message.contains(path) && message.contains(expected) && message.contains("help: ");
            assert!(is_expected, "{message}");
            assert!(stdout(&output).is_empty() && !message.contains("panicked"), "{message}");
        }
    };
    // In the header's length, in its text, and in the first, middle and last bytes of the tensors.
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for offset in [0, 7, 8, 8 + header / 2, 8 + header, (8 + header + whole.len()) / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[offset] ^= 1 << (offset % 7);
        dir.write(path, changed);
        assert_refused("damaged");
        dir.write(path, &whole[..offset]);
        assert_refused("damaged");
    }
    dir.write(path, &whole);
    // The model must agree with the settings of the run.
    let config = std::fs::read_to_string(dir.path("run/config.yaml")).unwrap();
    let other = config.replace("max_action: 1.0", "max_action: 1.5");
    assert_ne!(other, config);
    dir.write("run/config.yaml", other);
    assert_refused("has `max_action` 1.0, where the run's settings ask for 1.5");
    dir.write("run/config.yaml", config);
    recommend(&dir, &["--user", "U7"]);
}
