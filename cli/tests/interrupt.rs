//! Ctrl-C and termination finish the round or suspend it, save, and exit with 130 or 143.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{TestDir, json, json_lines, stderr, stdout, tensor};

#[test]
fn a_signal_leaves_every_file_whole_and_exits_with_its_code() {
    for signal in ["INT", "TERM"] {
        let dir = TestDir::new();
        let run = start(&dir, &["--trace", "trace.safetensors", "--trace-users", "3"], 5);
        send(&run, signal);
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(if signal == "TERM" { 143 } else { 130 }), "{}", stderr(&output));
        let told = stderr(&output);
        assert!(told.contains("go on with: recsim train --resume run"), "{told}");

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
        assert_eq!(tensor(&trace, "reward").0, [rounds.len(), 3], "a trace holds the rounds done");
        let shown = stdout(&dir.run(&["show", "run"]));
        assert!(shown.contains("interrupted after episode 1 round"), "{shown}");
    }
}

#[test]
fn two_signals_at_once_are_one_and_a_later_one_ends_the_program() {
    let dir = TestDir::new();
    let run = start(&dir, &[], 5);
    send(&run, "TERM");
    send(&run, "TERM");
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
    assert_eq!(json(&dir.path("run/summary.json"))["status"], "interrupted");

    // A round of a million users takes longer than anybody waits who sends another one.
    let dir = TestDir::new();
    let long = ["train", "--users", "1000000", "--backend", "reference", "--set", "world.items=20", "--out", "run"];
    let mut command = dir.command(&long);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !dir.path("run/run.json").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    send(&run, "TERM");
    std::thread::sleep(Duration::from_secs(1));
    let ended = Instant::now();
    send(&run, "TERM");
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(143));
    assert!(ended.elapsed() < Duration::from_secs(20) && !dir.path("run/summary.json").exists());
}

#[test]
fn a_signal_is_heard_in_the_midst_of_learning() {
    let dir = TestDir::new();
    let run = start(&dir, &["--set", "td3.gradient_steps=4294967295"], 2);
    // The third round ends with a learning session that would take days.
    std::thread::sleep(Duration::from_millis(300));
    send(&run, "TERM");
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
    let rounds = json_lines(&dir.path("run/rounds.jsonl"));
    let progress = json(&dir.path("run/checkpoints/000001/checkpoint.json"))["header"]["progress"].clone();
    let [updates, left] = [&progress["updates"], &progress["suspended"]["updates"]].map(|n| n.as_u64().unwrap());
    assert!(updates > 0 && updates + left == 4_294_967_295, "{progress}");
    assert_eq!((rounds.len(), &progress["rounds"]), (2, &3.into()), "a round is reported when it is done");
    assert!(stderr(&output).contains("before episode 1 round 3, of which"), "{}", stderr(&output));
}

/// A run that would take for ever, some rounds in.
fn start(dir: &TestDir, more: &[&str], rounds: usize) -> Child {
    let arguments =
        ["train", "--config", "tiny.yaml", "--out", "run", "--rounds", "100000000", "--backend", "reference"];
    let mut command = dir.command(&[&arguments, more].concat());
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    let lines = || std::fs::read_to_string(dir.path("run/rounds.jsonl")).map_or(0, |text| text.lines().count());
    while lines() < rounds {
        if began.elapsed() > Duration::from_secs(60) {
            run.kill().unwrap();
            panic!("no round was done");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    run
}

fn send(run: &Child, signal: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &run.id().to_string()]).status().unwrap();
    assert!(sent.success());
}
