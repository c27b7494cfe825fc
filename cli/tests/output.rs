//! The output of the commands: tables, JSON, and closed pipes.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

mod common;

use std::process::Stdio;

use common::{TestDir, stderr, stdout};
use serde_json::Value;

#[test]
fn piped_output_has_no_escape_codes_and_one_line_per_episode() {
    let dir = TestDir::new();
    let output = dir.train("run", &["--backend", "reference"]);
    for text in [stdout(&output), stderr(&output)] {
        assert!(!text.is_empty() && !text.contains(['\x1b', '\r']), "{text:?}");
    }
    for episode in ["episode 1/2: acceptance", "episode 2/2: acceptance"] {
        assert!(stderr(&output).contains(episode));
    }
}

#[test]
fn quiet_is_silent_and_json_is_one_line() {
    let dir = TestDir::new();
    let output = dir.train("run", &["--backend", "reference", "-q"]);
    assert_eq!((stdout(&output), stderr(&output)), (String::new(), String::new()));
    let output = dir.train("other", &["--backend", "reference", "-q", "--json"]);
    let trained: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let shown: Value = serde_json::from_str(&stdout(&dir.run(&["show", "other", "--json"]))).unwrap();
    assert_eq!(trained, shown);
    assert_eq!(trained["episodes"].as_array().unwrap().len(), 2);
    assert_eq!(trained["end"]["status"], "finished");
}

#[test]
fn show_prints_the_summary_of_train() {
    let dir = TestDir::new();
    let trained = stdout(&dir.train("run", &["--backend", "reference"]));
    let shown = stdout(&dir.run(&["show", "run"]));
    assert_eq!(trained.trim(), shown.trim());
    for file in ["config.yaml", "rounds.jsonl", "results/current_user_beliefs.json", "models"] {
        assert!(shown.contains(&format!("run/{file}")), "{shown}");
    }
}

#[test]
fn printed_default_configuration_reads_back() {
    let dir = TestDir::new();
    let printed = stdout(&dir.run(&["config"]));
    dir.write("default.yaml", &printed);
    assert_eq!(stdout(&dir.run(&["config", "--config", "default.yaml"])), printed);
    let defaults: Value = serde_json::from_str(&stdout(&dir.run(&["config", "--json"]))).unwrap();
    assert_eq!(defaults, serde_json::to_value(recsim_core::session::config::Config::default()).unwrap());
    let keys: usize = defaults.as_object().unwrap().values().map(|group| group.as_object().unwrap().len()).sum();
    assert_eq!(printed.lines().filter(|line| line.starts_with("  ") && line.contains("  # ")).count(), keys);
}

#[test]
fn flags_override_set_which_overrides_the_file() {
    let dir = TestDir::new();
    let seed = |options: &[&str]| {
        let arguments = [&["config", "--json", "--config", "tiny.yaml"], options].concat();
        serde_json::from_str::<Value>(&stdout(&dir.run(&arguments))).unwrap()["experiment"]["seed"].clone()
    };
    assert_eq!(seed(&[]), 5);
    assert_eq!(seed(&["--set", "experiment.seed=6"]), 6);
    assert_eq!(seed(&["--set", "experiment.seed=6", "--seed", "18446744073709551615"]), u64::MAX);
}

#[test]
fn closed_output_is_not_an_error() {
    let dir = TestDir::new();
    for arguments in
        [&["config"][..], &["completions", "bash"], &["train", "--config", "tiny.yaml", "--backend", "reference"]]
    {
        let mut command = dir.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert!(child.wait().unwrap().success(), "{arguments:?}");
    }
}

#[test]
fn completions_exist_for_every_shell() {
    let dir = TestDir::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(stdout(&dir.run(&["completions", shell])).contains("completions"), "{shell}");
    }
}

#[test]
fn bench_prints_one_json_line_per_phase() {
    let dir = TestDir::new();
    let phases = ["actor", "topk", "step", "round", "td3_update", "experiment"];
    let arguments = ["bench", "--config", "tiny.yaml", "--backend", "reference", "--reps", "2", "--json"];
    let output = dir.run(&arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["phase"], &lines[0]["peer"]), (&"setup".into(), &"recsim".into()));
    let actual: Vec<&str> = lines[1..].iter().map(|line| line["phase"].as_str().unwrap()).collect();
    assert_eq!(actual, phases);
    for line in &lines[1..6] {
        let number = |key: &str| line[key].as_f64().unwrap();
        assert!(number("min_ms") > 0.0 && number("min_ms") <= number("median_ms") && number("first_ms") > 0.0);
    }
    assert_eq!((&lines[1]["n"], &lines[5]["n"]), (&2.into(), &2.into()));
    // 8 rounds, with a training session after the third and the sixth.
    assert_eq!((&lines[6]["rounds_total"], &lines[6]["sessions"]), (&8.into(), &2.into()));

    let short = ["--phases", "experiment", "--run-rounds", "1"];
    let output = dir.run(&[&arguments[..], &short].concat());
    let line: Value = serde_json::from_str(stdout(&output).lines().nth(1).unwrap()).unwrap();
    assert_eq!((&line["sessions"], &line["extrapolated_s"]), (&0.into(), &Value::Null), "two sessions remain");
    assert!(stdout(&dir.run(&[&arguments[..5], &short].concat())).contains("no session was run"));
    // The warm-up is longer than the run: no session remains, so that no time is unknown.
    let never = ["--set", "training.warmup_transitions=1000"];
    let output = dir.run(&[&arguments[..], &short, &never].concat());
    let line: Value = serde_json::from_str(stdout(&output).lines().nth(1).unwrap()).unwrap();
    assert!(line["extrapolated_s"].as_f64().unwrap() > 0.0, "{line}");
    let output = dir.run(&[&arguments[..], &["--set", "td3.gradient_steps=0"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("`td3.gradient_steps` is 0"), "{}", stderr(&output));

    let text =
        stdout(&dir.run(&["bench", "--config", "tiny.yaml", "--backend", "reference", "--phases", "topk,step"]));
    assert!(text.contains("topk") && text.contains("step") && !text.contains("actor"), "{text}");
}

#[test]
fn doctor_reports_every_backend() {
    let dir = TestDir::new();
    let findings: Value = serde_json::from_str(&stdout(&dir.run(&["doctor", "--json"]))).unwrap();
    let printed = stdout(&dir.run(&["doctor"]));
    let backends = [("cpu", cfg!(feature = "cpu")), ("cuda", cfg!(feature = "cuda")), ("reference", true)];
    for (finding, (backend, built)) in findings.as_array().unwrap().iter().zip(backends) {
        assert_eq!(finding["backend"], backend);
        assert!(printed.contains(finding["found"].as_str().unwrap()), "{printed}");
        assert_eq!(finding["found"].as_str().unwrap().contains("built without"), !built);
    }
    assert_eq!(findings[0]["usable"], cfg!(feature = "cpu"));
}
