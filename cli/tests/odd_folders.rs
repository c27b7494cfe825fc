//! Unusual folders of runs: without a checkpoint, moved, damaged, with other files or pipes in them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

mod common;
mod process;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{TestDir, json, skipped, stderr, tree};
use process::Process;

const BACKEND: [&str; 2] = ["--backend", "reference"];

/// Runs the command where no file may be longer than 512 bytes. The signal that reports it is ignored.
fn without_space(dir: &TestDir, line: &str) -> Output {
    let full = format!("trap '' XFSZ; ulimit -f 1; exec \"$0\" {line}");
    let mut command = Command::new("sh");
    command.args(["-c", &full, env!("CARGO_BIN_EXE_recsim")]).current_dir(dir.path("."));
    command.stdin(Stdio::null()).output().unwrap()
}

/// Asserts the exit code, and the texts that standard error contains.
fn expect(output: &Output, code: i32, texts: &[&str]) {
    let actual = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{actual}");
    texts.iter().for_each(|text| assert!(actual.contains(text), "{text} in: {actual}"));
    assert!(!actual.contains("panicked"), "{actual}");
}

/// A run that was killed before its first checkpoint.
fn start_without_checkpoint(dir: &TestDir, run: &str) {
    dir.train(run, &[&BACKEND[..], &["--set", "td3.tau=0.03"]].concat());
    for file in ["summary.json", "rounds.jsonl", "episodes.jsonl"] {
        fs::remove_file(dir.path(run).join(file)).unwrap();
    }
    for folder in ["checkpoints", "models", "results", "tensorboard"] {
        fs::remove_dir_all(dir.path(run).join(folder)).unwrap();
    }
}

#[test]
fn full_disk_leaves_the_settings_of_a_run_without_a_checkpoint() {
    let dir = TestDir::new();
    start_without_checkpoint(&dir, "run");
    let before = tree(&dir.path("run"));
    expect(&without_space(&dir, "train --resume run"), 1, &["config.yaml", "free some space"]);
    assert_eq!(tree(&dir.path("run")), before);
    expect(&dir.run(&["train", "--resume", "run"]), 0, &["left no checkpoint: it starts again"]);
    assert!(fs::read_to_string(dir.path("run/config.yaml")).unwrap().contains("tau: 0.03"));
}

#[test]
fn full_disk_leaves_the_run_that_force_would_replace() {
    let dir = TestDir::new();
    dir.train("run", &BACKEND);
    let before = tree(&dir.path("run"));
    let line = "train --config tiny.yaml --backend reference --out run --force --seed 6";
    expect(&without_space(&dir, line), 1, &["config.yaml", "free some space"]);
    assert_eq!(tree(&dir.path("run")), before);
    expect(&dir.run(&line.split(' ').collect::<Vec<_>>()), 0, &[]);
    assert_eq!(json(&dir.path("run/run.json"))["seed"], 6);
}

#[test]
fn force_killed_at_any_removal_leaves_a_resumable_run() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skipped("strace is missing");
    }
    let dir = TestDir::new();
    dir.train("base", &BACKEND);
    let force = ["train", "-q", "--config", "tiny.yaml", "--out", "run", "--force", "--seed", "6"];
    let mut killed = 0;
    for call in ["unlink", "unlinkat", "rename", "rmdir"] {
        for number in 1..=14 {
            copy(&dir.path("base"), &dir.path("run"));
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let traced = Command::new("strace")
                .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject])
                .arg(env!("CARGO_BIN_EXE_recsim"))
                .args(force)
                .args(BACKEND)
                .current_dir(dir.path("."))
                .output()
                .unwrap();
            if traced.status.signal() != Some(9) {
                if !traced.status.success() {
                    return skipped("strace may not trace");
                }
                fs::remove_dir_all(dir.path("run")).unwrap();
                break;
            }
            killed += 1;
            expect(&dir.run(&["train", "-q", "--resume", "run"]), 0, &[]);
            expect(&dir.run(&["show", "run"]), 0, &[]);
            assert!(dir.path("run/models/actor.safetensors").exists(), "{call} {number}");
            fs::remove_dir_all(dir.path("run")).unwrap();
        }
    }
    println!("killed {killed} times");
    assert!(killed > 20, "killed {killed} times");
}

/// A run without an end, after its first round.
fn start_endless(dir: &TestDir, more: &[&str]) -> Process {
    let endless = ["train", "--config", "tiny.yaml", "--out", "run", "--episodes", "1000000"];
    let mut run = Process::start(&mut dir.command(&[&endless[..], &BACKEND, more].concat()));
    run.wait_for("episode 1/1000000 round 1/");
    run
}

#[test]
fn moved_run_stops_and_leaves_the_run_in_its_old_folder_alone() {
    let dir = TestDir::new();
    // Until the fourth round it writes to open files only, and learning after the third takes long: it does not write
    // by path before it is stopped. The interrupted run would make a checkpoint.
    let slow = ["--set", "td3.gradient_steps=20000", "--set", "experiment.checkpoint_every=0"];
    for is_interrupted in [false, true] {
        let mut moved = start_endless(&dir, &slow);
        moved.signal("STOP");
        fs::rename(dir.path("run"), dir.path("moved")).unwrap();
        let mut other = start_endless(&dir, &["--seed", "6"]);
        if is_interrupted {
            moved.signal("INT");
        }
        moved.signal("CONT");
        let output = moved.finish();
        expect(&output, 1, &["run is not the folder that the run started in"]);
        assert!(!stderr(&output).contains("resume from it"), "it would be the other run: {}", stderr(&output));
        other.wait_for("episode 20/");
        other.signal("INT");
        expect(&other.finish(), 130, &[]);
        for entry in fs::read_dir(dir.path("run/checkpoints")).unwrap() {
            let checkpoint = entry.unwrap().path();
            let sums =
                Command::new("sha256sum").args(["-c", "--quiet", "SHA256SUMS"]).current_dir(checkpoint).output();
            assert!(sums.unwrap().status.success());
        }
        expect(&dir.run(&["show", "run"]), 0, &[]);
        fs::remove_dir_all(dir.path("run")).unwrap();
        fs::remove_dir_all(dir.path("moved")).unwrap();
    }
}

#[test]
fn foreign_files_with_the_name_of_a_checkpoint_stay() {
    let dir = TestDir::new();
    dir.train("run", &BACKEND);
    let checkpoints = dir.path("run/checkpoints");
    for folder in ["000001", "999999"] {
        fs::create_dir_all(checkpoints.join(folder)).unwrap();
        fs::write(checkpoints.join(folder).join("precious"), "mine").unwrap();
    }
    fs::write(checkpoints.join("1000000"), "mine").unwrap();
    for unfinished in [".next", ".old"] {
        fs::write(checkpoints.join(unfinished), "not even a folder").unwrap();
    }
    let output = dir.run(&["train", "--resume", "run", "--episodes", "4"]);
    expect(&output, 0, &[]);
    assert!(!stderr(&output).contains("warning: "), "{}", stderr(&output));
    for mine in ["000001/precious", "999999/precious", "1000000"] {
        assert_eq!(fs::read_to_string(checkpoints.join(mine)).unwrap(), "mine", "{mine}");
    }
    assert!(checkpoints.join("1000001/SHA256SUMS").exists() && checkpoints.join("1000002/SHA256SUMS").exists());
    assert!(!checkpoints.join(".next").exists() && !checkpoints.join(".old").exists());
    assert!(!checkpoints.join("000002").exists(), "old checkpoints are removed");
    fs::write(checkpoints.join("4294967295"), "mine").unwrap();
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "5"]), 1, &["`4294967295` leaves no number"]);
}

#[test]
fn numbered_foreign_folder_is_not_a_checkpoint() {
    let dir = TestDir::new();
    start_without_checkpoint(&dir, "run");
    fs::create_dir_all(dir.path("run/checkpoints/000007")).unwrap();
    dir.write("run/checkpoints/000007/precious", "mine");
    expect(&dir.run(&["train", "--resume", "run"]), 0, &["left no checkpoint: it starts again"]);
    assert!(dir.path("run/checkpoints/000007/precious").exists());
}

#[test]
fn damaged_run_record_is_refused_and_not_overwritten() {
    let dir = TestDir::new();
    dir.train("run", &BACKEND);
    let whole = fs::read(dir.path("run/run.json")).unwrap();
    for damaged in ["", "{}", "garbage"] {
        dir.write("run/run.json", damaged);
        expect(
            &dir.run(&["train", "--resume", "run", "--episodes", "3"]),
            2,
            &["run.json: this is damaged", "help: "],
        );
    }
    dir.write("run/run.json", whole);
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "3"]), 0, &[]);
}

#[test]
fn pipe_in_place_of_a_file_is_refused_without_waiting() {
    let dir = TestDir::new();
    dir.train("whole", &BACKEND);
    let checkpoint = fs::read_dir(dir.path("whole/checkpoints")).unwrap().next().unwrap().unwrap().file_name();
    let checkpoint = checkpoint.to_string_lossy();
    for file in ["run.json", "rounds.jsonl", "episodes.jsonl", "summary.json"].map(str::to_owned).into_iter().chain(
        ["SHA256SUMS", "checkpoint.json", "agent.safetensors"]
            .map(|file| format!("checkpoints/{checkpoint}/{file}")),
    ) {
        copy(&dir.path("whole"), &dir.path("run"));
        fs::remove_file(dir.path("run").join(&file)).unwrap();
        let fifo = Command::new("mkfifo").arg(dir.path("run").join(&file)).status().unwrap();
        assert!(fifo.success());
        for line in
            [&["show", "run"][..], &["report", "run"], &["train", "--resume", "run", "--episodes", "3", "-q"]]
        {
            // `timeout` exits with 124 if the command hangs.
            let mut command = Command::new("timeout");
            command.args(["20", env!("CARGO_BIN_EXE_recsim")]).args(line).current_dir(dir.path("."));
            let output = command.stdin(Stdio::null()).output().unwrap();
            let code = output.status.code();
            assert!(matches!(code, Some(0..=2)), "{file}: {line:?}: {code:?}: {}", stderr(&output));
            assert!(!stderr(&output).contains("panicked"), "{file}: {line:?}: {}", stderr(&output));
        }
        fs::remove_dir_all(dir.path("run")).unwrap();
    }
}

#[test]
fn endless_line_is_refused() {
    let dir = TestDir::new();
    dir.train("run", &BACKEND);
    for file in ["run/rounds.jsonl", "run/episodes.jsonl"] {
        let whole = fs::read(dir.path(file)).unwrap();
        // A sparse file of 4 GiB.
        fs::File::options().write(true).open(dir.path(file)).unwrap().set_len(1 << 32).unwrap();
        expect(&dir.run(&["show", "run"]), 2, &[file, "the line is too long"]);
        dir.write(file, whole);
    }
}

fn copy(from: &Path, to: &Path) {
    for (name, bytes) in tree(from) {
        fs::create_dir_all(to.join(&name).parent().unwrap()).unwrap();
        fs::write(to.join(name), bytes).unwrap();
    }
}
