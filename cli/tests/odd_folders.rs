//! Runs' folders as no run leaves them: cut short before their first checkpoint, moved, with somebody else's files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{TestDir, json, skipped, stderr, tree};

const BACKEND: [&str; 2] = ["--backend", "reference"];

/// The command where no file may be longer than 512 bytes; the signal that says so is ignored.
fn without_space(dir: &TestDir, line: &str) -> Output {
    let full = format!("trap '' XFSZ; ulimit -f 1; exec \"$0\" {line}");
    let mut command = Command::new("sh");
    command.args(["-c", &full, env!("CARGO_BIN_EXE_recsim")]).current_dir(dir.path("."));
    command.stdin(Stdio::null()).output().unwrap()
}

fn expect(output: &Output, code: i32, told: &[&str]) {
    let all = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{all}");
    told.iter().for_each(|words| assert!(all.contains(words), "{words} in: {all}"));
    assert!(!all.contains("panicked"), "{all}");
}

/// A run that was killed before its first checkpoint.
fn cut_short(dir: &TestDir, run: &str) {
    dir.train(run, &[&BACKEND[..], &["--set", "td3.tau=0.03"]].concat());
    for gone in ["summary.json", "rounds.jsonl", "episodes.jsonl"] {
        fs::remove_file(dir.path(run).join(gone)).unwrap();
    }
    for gone in ["checkpoints", "models", "results", "tensorboard"] {
        fs::remove_dir_all(dir.path(run).join(gone)).unwrap();
    }
}

#[test]
fn a_full_disk_does_not_take_the_settings_of_a_run_without_a_checkpoint() {
    let dir = TestDir::new();
    cut_short(&dir, "run");
    let before = tree(&dir.path("run"));
    expect(&without_space(&dir, "train --resume run"), 1, &["config.yaml", "free some space"]);
    assert_eq!(tree(&dir.path("run")), before);
    expect(&dir.run(&["train", "--resume", "run"]), 0, &["left no checkpoint: it begins anew"]);
    assert!(fs::read_to_string(dir.path("run/config.yaml")).unwrap().contains("tau: 0.03"));
}

#[test]
fn a_full_disk_does_not_take_the_run_that_was_to_be_replaced() {
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
fn a_replacement_killed_at_any_call_leaves_what_can_be_gone_on_with() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skipped("there is no strace");
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
                    return skipped("strace may not look");
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

/// A run that does not end by itself, some time after its first line of metrics.
fn endless(dir: &TestDir, more: &[&str]) -> Child {
    let endless = ["train", "-q", "--config", "tiny.yaml", "--out", "run", "--episodes", "1000000"];
    let endless = [&endless[..], &BACKEND, more].concat();
    let mut run = dir.command(&endless).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while fs::metadata(dir.path("run/rounds.jsonl")).map_or(0, |file| file.len()) == 0 {
        assert!(run.try_wait().unwrap().is_none(), "the run has ended");
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(100));
    run
}

fn signal(run: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &run.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_run_whose_folder_was_moved_stops_and_leaves_whoever_took_its_place_alone() {
    let dir = TestDir::new();
    // It is learning for nearly all of its time, and not writing. One is asked to stop, and would make a checkpoint.
    let slow = ["--set", "td3.gradient_steps=20000"];
    for asked in [false, true] {
        let moved = endless(&dir, &slow);
        signal(&moved, "-STOP");
        fs::rename(dir.path("run"), dir.path("moved")).unwrap();
        let mut other = endless(&dir, &["--seed", "6"]);
        if asked {
            signal(&moved, "-INT");
        }
        signal(&moved, "-CONT");
        let output = moved.wait_with_output().unwrap();
        expect(&output, 1, &["run is another folder than the run began in"]);
        assert!(!stderr(&output).contains("go on from there"), "it would be the other run: {}", stderr(&output));
        let rounds = || fs::read(dir.path("run/rounds.jsonl")).unwrap().len();
        let before = rounds();
        while rounds() < before + 10_000 {
            assert!(other.try_wait().unwrap().is_none(), "the run has ended");
            sleep(Duration::from_millis(5));
        }
        signal(&other, "-INT");
        expect(&other.wait_with_output().unwrap(), 130, &[]);
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
fn what_only_has_a_checkpoints_name_stays_and_stops_nobody() {
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
    assert!(!checkpoints.join("000002").exists(), "checkpoints are still removed");
    fs::write(checkpoints.join("4294967295"), "mine").unwrap();
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "5"]), 1, &["`4294967295` leaves no number"]);
}

#[test]
fn a_folder_of_somebody_is_no_checkpoint_of_a_run_that_has_none() {
    let dir = TestDir::new();
    cut_short(&dir, "run");
    fs::create_dir_all(dir.path("run/checkpoints/000007")).unwrap();
    dir.write("run/checkpoints/000007/precious", "mine");
    expect(&dir.run(&["train", "--resume", "run"]), 0, &["left no checkpoint: it begins anew"]);
    assert!(dir.path("run/checkpoints/000007/precious").exists());
}

#[test]
fn a_record_that_is_damaged_is_not_written_over_unseen() {
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
fn nobody_waits_for_what_is_no_file() {
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
            // `timeout` ends with 124 where it must end the command.
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
fn a_line_without_end_is_refused() {
    let dir = TestDir::new();
    dir.train("run", &BACKEND);
    for file in ["run/rounds.jsonl", "run/episodes.jsonl"] {
        let whole = fs::read(dir.path(file)).unwrap();
        // Four GiB that take no room on the disk.
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
