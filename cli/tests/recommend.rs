//! `recsim recommend`: what an agent shows is what it showed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{TestDir, floats, json, stderr, stdout, tensor};
use serde_json::Value;

/// A run whose agent neither learns nor explores, with the trace of all its users.
const AS_IT_BEGAN: &[&str] = &[
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

fn recommended(dir: &TestDir, more: &[&str]) -> Value {
    let output = dir.run(&[&["recommend", "--json", "--run", "run"], more].concat());
    assert!(output.status.success(), "{more:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn a_slate_is_the_one_that_the_run_showed_first() {
    let dir = TestDir::new();
    let policys = slates_are_those_of_the_run(&dir, &[]);
    let critics = slates_are_those_of_the_run(&dir, &["--set", "td3.candidates=5", "--force"]);
    assert_ne!(policys, critics, "a critic that changes nothing would prove nothing");
    // Whoever asks the critic must have it.
    std::fs::remove_file(dir.path("run/models/critic_1.safetensors")).unwrap();
    let output = dir.run(&["recommend", "--run", "run", "--user", "U1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("critic_1.safetensors"), "{}", stderr(&output));
}

/// Compares what a run recommends with what it showed first, and gives that.
fn slates_are_those_of_the_run(dir: &TestDir, more: &[&str]) -> Vec<String> {
    dir.train("run", &[AS_IT_BEGAN, more].concat());
    let trace = std::fs::read(dir.path("trace.safetensors")).unwrap();
    let (shape, slates) = tensor(&trace, "slate");
    assert_eq!(shape, [8, 40, 8]);
    let slates: Vec<String> = slates
        .chunks_exact(4)
        .map(|item| format!("I{}", u32::from_le_bytes(item.try_into().unwrap()) + 1))
        .collect();
    let (_, beliefs) = floats(&trace, "belief_before");
    for user in [0, 17, 39] {
        let answer = recommended(dir, &["--user", &format!("U{}", user + 1)]);
        let shown = answer["slate"].as_array().unwrap();
        let items: Vec<&str> = shown.iter().map(|shown| shown["item"].as_str().unwrap()).collect();
        assert_eq!(items, slates[8 * user..][..8]);
        let by: Vec<&str> = shown.iter().map(|shown| shown["by"].as_str().unwrap()).collect();
        assert_eq!(by, [["agent"; 4], ["list"; 4]].concat());
        let likeness: Vec<f64> = shown.iter().map(|shown| shown["similarity"].as_f64().unwrap()).collect();
        assert!(likeness[..4].is_sorted_by(|a, b| a >= b) && likeness.iter().all(|x| x.abs() <= 1.000_001));
        // Acceptance by the formula, with the defaults.
        for shown in shown {
            let belief = beliefs[3 * user + shown["cluster"].as_u64().unwrap() as usize];
            let near = 1.0 - shown["distance"].as_f64().unwrap() / 5.0;
            let due = near / (1.0 + f64::exp(-10_000.0 * f64::from(belief))) + 0.1;
            assert!((shown["acceptance_probability"].as_f64().unwrap() - due.min(1.0)).abs() < 1e-5, "{shown}");
        }
        // The agent alone, and on another backend.
        let best = recommended(dir, &["--user", &format!("U{}", user + 1), "--top", "3", "--backend", "reference"]);
        let best: Vec<&str> =
            best["slate"].as_array().unwrap().iter().map(|shown| shown["item"].as_str().unwrap()).collect();
        assert_eq!(best, items[..3]);
    }
    slates
}

#[test]
fn an_agent_that_goes_by_dot_products_shows_them() {
    let dir = TestDir::new();
    let dot = [AS_IT_BEGAN, &["--set", "recommendation.similarity_metric=dot", "--world", "world"]].concat();
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
        "--dim",
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
    let answer = recommended(&dir, &["--user", "U18", "--world", "world"]);
    for shown in answer["slate"].as_array().unwrap() {
        let item: usize = shown["item"].as_str().unwrap()[1..].parse().unwrap();
        let factors = items[(item - 1) * dimensions..][..dimensions].iter().zip(&actions[17 * dimensions..]);
        let due: f64 = factors.map(|(&x, &a)| f64::from(x) * f64::from(a)).sum();
        assert!((shown["similarity"].as_f64().unwrap() - due).abs() < 1e-5, "{shown} and not {due}");
    }
}

#[test]
fn people_get_tables() {
    let dir = TestDir::new();
    dir.train("run", &["-q"]);
    let output = dir.run(&["recommend", "--run", "run", "--user", "U7"]);
    let printed = stdout(&output);
    for said in ["U7", "belief", "target", "item", "chosen by", "similarity", "accepted", "list", "%"] {
        assert!(printed.contains(said), "`{said}` is missing in {printed}");
    }
    assert!(output.status.success() && !printed.contains('\x1b'));
}

#[test]
fn whoever_is_not_there_is_refused_with_a_remedy() {
    let dir = TestDir::new();
    dir.train("run", &["-q"]);
    let cases: &[(&[&str], &[&str])] = &[
        (&["--run", "run", "--user", "U41"], &["`U41`", "40 users are U1 to U40", "world.json"]),
        (&["--run", "run", "--user", "U1", "--top", "121"], &["120 items", "121", "at most 120"]),
        (&["--run", "run", "--user", "U1", "--top", "0"], &["--top"]),
        (&["--run", "elsewhere", "--user", "U1"], &["elsewhere"]),
        (&["--run", "run"], &["--user"]),
    ];
    for (arguments, said) in cases {
        let output = dir.run(&[&["recommend"], *arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        for said in *said {
            assert!(stderr(&output).contains(said), "{arguments:?}: `{said}` is missing in {}", stderr(&output));
        }
    }
    assert!(json(&dir.path("run/summary.json")).is_object(), "the run is as it was");
}

#[test]
fn a_model_that_is_not_as_it_was_written_shows_nobody_anything() {
    let dir = TestDir::new();
    dir.train("run", &["-q"]);
    let path = "run/models/actor.safetensors";
    let whole = std::fs::read(dir.path(path)).unwrap();
    let is_refused = |said: &str| {
        for command in [
            &["recommend", "--run", "run", "--user", "U7"][..],
            &["eval", "--config", "tiny.yaml", "--policies", "actor:run", "--seeds", "1", "-q"],
        ] {
            let output = dir.run(command);
            let told = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {told}");
            assert!(told.contains(path) && told.contains(said) && told.contains("help: "), "{told}");
            assert!(stdout(&output).is_empty() && !told.contains("panicked"), "{told}");
        }
    };
    // The header's length, its text, the tensors' first bytes, and their last.
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for at in [0, 7, 8, 8 + header / 2, 8 + header, (8 + header + whole.len()) / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 7);
        dir.write(path, changed);
        is_refused("damaged");
        dir.write(path, &whole[..at]);
        is_refused("damaged");
    }
    dir.write(path, &whole);
    // Nor does it act by settings that are not its own.
    let config = std::fs::read_to_string(dir.path("run/config.yaml")).unwrap();
    let other = config.replace("max_action: 1.0", "max_action: 1.5");
    assert_ne!(other, config);
    dir.write("run/config.yaml", other);
    is_refused("has `max_action` 1.0, where the run's settings ask for 1.5");
    dir.write("run/config.yaml", config);
    recommended(&dir, &["--user", "U7"]);
}
