//! SIGINT and SIGTERM complete or pause the round, save, and end the process with exit code 130 or 143.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

mod common;
mod process;

use std::process::Command;

use common::{TestDir, json, json_lines, stderr, stdout, tensor};
use process::Process;

#[test]
fn signal_leaves_every_file_complete_and_sets_the_exit_code() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let dir = TestDir::new();
        let mut run = start(&dir, &["--trace", "trace.safetensors", "--trace-users", "3"]);
        run.signal(signal);
        let output = run.finish();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains("resume with: recsim train --resume run"), "{}", stderr(&output));

        let rounds = json_lines(&dir.path("run/rounds.jsonl"));
        assert!(!rounds.is_empty());
        let beliefs = json(&dir.path("run/results/current_user_beliefs.json"));
        assert_eq!(beliefs["user_beliefs"].as_object().unwrap().len(), 40);
        assert_eq!(json(&dir.path("run/summary.json"))["status"], "interrupted");
        for network in ["actor", "critic_1", "critic_2"] {
            for suffix in ["", "_target"] {
                let model = std::fs::read(dir.path(&format!("run/models/{network}{suffix}.safetensors"))).unwrap();
                tensor(&model, &format!("{network}{suffix}.0.weight"));
            }
        }
        let trace = std::fs::read(dir.path("trace.safetensors")).unwrap();
        assert_eq!(tensor(&trace, "reward").0, [rounds.len(), 3], "a trace has the completed rounds");
        let shown = stdout(&dir.run(&["show", "run"]));
        assert!(shown.contains("interrupted after episode 1 round"), "{shown}");
    }
}

/// As `timeout` sends them, to the process and to its group.
#[test]
fn two_signals_at_once_count_as_one() {
    let dir = TestDir::new();
    let mut run = start(&dir, &[]);
    let id = run.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id, &id]).status().unwrap().success());
    let output = run.finish();
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
    assert_eq!(json(&dir.path("run/summary.json"))["status"], "interrupted");
}

#[test]
fn later_signal_ends_the_process_at_once() {
    let dir = TestDir::new();
    // The run writes its summary to this pipe first. Nothing reads it, so that the run saves for ever.
    std::fs::create_dir(dir.path("run")).unwrap();
    let pipe = dir.path("run/.summary.json.new");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut run = start(&dir, &[]);
    run.signal("TERM");
    run.wait_for("finishing what was begun");
    while run.is_running() {
        run.signal("TERM");
    }
    let output = run.finish();
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
    assert!(!dir.path("run/summary.json").exists());
    assert!(!stderr(&output).contains("resume with"), "{}", stderr(&output));
}

#[test]
fn signal_pauses_learning() {
    let dir = TestDir::new();
    // Learning after the third round would take days. The line comes after 10 s of it.
    let mut run = start(&dir, &["--set", "td3.gradient_steps=4294967295"]);
    run.wait_for("learning: ");
    run.signal("TERM");
    let output = run.finish();
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
    let rounds = json_lines(&dir.path("run/rounds.jsonl"));
    let progress = json(&dir.path("run/checkpoints/000001/checkpoint.json"))["header"]["progress"].clone();
    let [done, remaining] =
        [&progress["updates"], &progress["paused"]["remaining_updates"]].map(|count| count.as_u64().unwrap());
    assert!(done > 0 && done + remaining == 4_294_967_295, "{progress}");
    assert_eq!((rounds.len(), &progress["rounds"]), (2, &3.into()), "a paused round is not reported");
    assert!(stderr(&output).contains("before episode 1 round 3, of which"), "{}", stderr(&output));
}

/// A run without an end, after its first round.
fn start(dir: &TestDir, more: &[&str]) -> Process {
    let arguments =
        ["train", "--config", "tiny.yaml", "--out", "run", "--rounds", "100000000", "--backend", "reference"];
    let mut run = Process::start(&mut dir.command(&[&arguments, more].concat()));
    run.wait_for("episode 1/2 round 1/");
    run
}
