//! Faults of the system: closed pipes, folders without write permission, full disks, clocks that go back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(target_os = "linux")]

mod common;
mod process;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use common::{TestDir, json, json_lines, skipped, stderr, stdout, tree};
use process::Process;

/// Every command that prints results, in a folder that [`dir_with_everything`] made.
const PRINTING: &[&str] = &[
    "config",
    "config --json",
    "completions bash",
    "doctor",
    "doctor --json",
    "show run",
    "show run --json",
    "train --resume run",
    "train --config tiny.yaml --backend reference --out other --force",
    "train --config tiny.yaml --backend reference --out other --force -q --json",
    "recommend --run run --user U7",
    "recommend --run run --user U7 --json",
    "eval --config tiny.yaml --backend reference --seeds 1 --rounds 1",
    "eval --config tiny.yaml --backend reference --seeds 1 --rounds 1 -q --json",
    "bench --config tiny.yaml --backend reference --reps 1 --phases topk",
    "bench --config tiny.yaml --backend reference --reps 1 --phases topk --json",
    "world info world",
    "world info world --json",
    "world new world --force --users 5 --items 50",
    "world import log-world --force --ratings log.csv --clusters 2 --dim 2 --json",
];

fn dir_with_everything() -> TestDir {
    let dir = TestDir::new();
    dir.train("run", &["--backend", "reference", "-q"]);
    dir.write("log.csv", "user_id,item_id\nu,a\nu,b\nv,b\nv,c\n");
    assert!(dir.run(&["world", "new", "world", "--users", "5", "--items", "50", "-q"]).status.success());
    dir
}

fn with_output(dir: &TestDir, line: &str, out: impl Into<Stdio>) -> Output {
    let words: Vec<&str> = line.split(' ').collect();
    dir.command(&words).stdout(out).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn closed_standard_output_is_not_an_error() {
    let dir = dir_with_everything();
    for line in PRINTING {
        // Closed before the command writes, so that every write fails.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = with_output(&dir, line, writer);
        let error = stderr(&output);
        assert!(output.status.success(), "{line}: {error}");
        assert!(!error.contains("panicked") && !error.contains("error"), "{line}: {error}");
    }
    assert_eq!(json(&dir.path("other/summary.json"))["status"], "finished");
}

#[test]
fn standard_output_on_a_full_disk_is_an_error() {
    let dir = dir_with_everything();
    for line in PRINTING {
        let output = with_output(&dir, line, File::options().write(true).open("/dev/full").unwrap());
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {error}");
        assert!(
            error.contains("could not write to standard output") && error.contains("free some space"),
            "{error}"
        );
        assert!(!error.contains("panicked"), "{line}: {error}");
    }
}

/// Runs the command as a user without write permission for `locked`: root gives up its rights. `None` where it cannot.
fn run_without_permission(dir: &TestDir, locked: &str, line: &str) -> Option<Output> {
    let plain = || {
        let mut command = Command::new("env");
        command.arg("--");
        command
    };
    let without_capabilities = || {
        let mut command = Command::new("setpriv");
        // Root's capabilities over files. Inherited ones would be granted again.
        for set in ["--bounding-set", "--inh-caps"] {
            command.arg(format!("{set}=-dac_override,-dac_read_search"));
        }
        command
    };
    let may_not_write = |command: &Command| {
        let mut probe = Command::new(command.get_program());
        probe.args(command.get_args()).args(["test", "!", "-w", locked]).current_dir(dir.path("."));
        probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let command = [plain(), without_capabilities()].into_iter().find(may_not_write);
    let mut command = command?;
    command.arg(env!("CARGO_BIN_EXE_recsim")).args(line.split(' ')).current_dir(dir.path("."));
    Some(command.stdin(Stdio::null()).output().unwrap())
}

/// Sets or clears write permission for a folder and all below it.
fn set_writable(path: &Path, is_writable: bool) {
    let mode = if is_writable { "u+w" } else { "a-w" };
    assert!(Command::new("chmod").arg("-R").arg(mode).arg(path).status().unwrap().success());
}

#[test]
fn folder_without_write_permission_is_refused_and_unchanged() {
    let dir = dir_with_everything();
    // A run that can be extended, and a world.
    dir.train("locked/run", &["--backend", "reference", "-q", "--episodes", "1"]);
    assert!(dir.run(&["world", "new", "locked/world", "--users", "40", "--items", "120", "-q"]).status.success());
    fs::create_dir(dir.path("locked/empty")).unwrap();
    set_writable(&dir.path("locked"), false);
    let before = tree(&dir.path("."));
    let cases = [
        ("train --config tiny.yaml --backend reference --out locked/new", 2),
        ("train --config tiny.yaml --backend reference --out locked/empty", 2),
        ("train --config tiny.yaml --backend reference --out locked/run --force", 2),
        ("train --config tiny.yaml --backend reference --out new --trace locked/trace", 2),
        ("train --resume locked/run --episodes 2", 2),
        ("eval --config tiny.yaml --backend reference --seeds 1 --out locked/e.json", 2),
        ("world new locked/new --users 5 --items 50", 2),
        ("world new locked/world --force --users 5 --items 50", 2),
        ("world import locked/new --ratings log.csv --clusters 2 --dim 2", 2),
        // Commands that only read.
        ("show locked/run", 0),
        ("train --resume locked/run", 0),
        ("world info locked/world", 0),
        ("recommend --run locked/run --user U7 --json", 0),
    ];
    for (line, code) in cases {
        let Some(output) = run_without_permission(&dir, "locked", line) else {
            set_writable(&dir.path("locked"), true);
            return skipped("this user may write anywhere, and setpriv is missing");
        };
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{line}: {error}");
        assert!(code == 0 || error.contains("locked") && error.contains("help: "), "{line}: {error}");
        assert!(!error.contains("panicked"), "{line}: {error}");
        assert_eq!(tree(&dir.path(".")), before, "{line} touched something");
    }
    // Only the folder of checkpoints lacks permission.
    set_writable(&dir.path("locked"), true);
    set_writable(&dir.path("locked/run/checkpoints"), false);
    let original = tree(&dir.path("locked/run/checkpoints"));
    let output =
        run_without_permission(&dir, "locked/run/checkpoints", "train --resume locked/run --episodes 2").unwrap();
    set_writable(&dir.path("locked"), true);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("locked/run/checkpoints") && error.contains("ermission denied"), "{error}");
    assert_eq!(tree(&dir.path("locked/run/checkpoints")), original);
    assert!(dir.run(&["train", "--resume", "locked/run", "--episodes", "2", "-q"]).status.success());
}

/// Runs a command where no file may be longer than 2 kB. The signal that reports it is ignored.
fn without_space(dir: &TestDir, line: &str) -> Output {
    let full = format!("trap '' XFSZ; ulimit -f 4; exec \"$0\" {line}");
    let mut command = Command::new("sh");
    command.args(["-c", &full, env!("CARGO_BIN_EXE_recsim")]).current_dir(dir.path("."));
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn full_disk_leaves_older_files_and_nothing_incomplete() {
    let dir = dir_with_everything();
    let evaluate = "eval --config tiny.yaml --backend reference --seeds 1 --rounds 2";
    assert!(dir.run(&[evaluate, "--out e.json"].join(" ").split(' ').collect::<Vec<_>>()).status.success());
    let before = tree(&dir.path("."));
    for line in [
        &format!("{evaluate} --out e.json"),
        &format!("{evaluate} --out f.json"),
        "world new world --force --users 500 --items 50",
        "world new other --users 500 --items 50",
        "world import log-world --ratings log.csv --clusters 2 --dim 200",
        "train --config tiny.yaml --backend reference --out run2 --users 100",
    ] {
        let output = without_space(&dir, line);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {error}");
        assert!(error.contains("File too large") && error.contains("free some space"), "{line}: {error}");
        assert!(!error.contains("panicked"), "{line}: {error}");
        let left = tree(&dir.path("."));
        // The files of the run that failed stay.
        let left: Vec<_> = left.into_iter().filter(|(path, _)| !path.starts_with("run2")).collect();
        assert_eq!(left, before.clone().into_iter().collect::<Vec<_>>(), "{line}");
    }
    let temporary = tree(&dir.path("run2")).into_keys().filter(|path| path.to_string_lossy().contains(".new"));
    assert_eq!(temporary.count(), 0, "temporary files are removed");
    assert!(!dir.path("run2/summary.json").exists());

    // A run that fails between two checkpoints, with transitions for the next one.
    let between = "train --config tiny.yaml --backend reference --out run3 --users 2 --episodes 50";
    let output = without_space(&dir, &format!("{between} --set experiment.checkpoint_every=100"));
    let error = stderr(&output);
    assert!(error.contains("File too large") && !error.contains("could not write a checkpoint"), "{error}");
    assert!(!dir.path("run3/checkpoints").exists(), "{error}");
}

#[test]
fn full_file_system_ends_a_run_with_a_remedy() {
    // A file system in a mount namespace of its own. It is removed when the processes in it have ended.
    let script = r#"
        mount -t tmpfs -o size=300k none small || exit 77
        "$0" train --config tiny.yaml --backend reference --out small/run --episodes 500 --set td3.buffer_size=2000
        code=$?
        find small -name '.*.new' -o -name .next | grep . && exit 78
        for checkpoint in small/run/checkpoints/*; do
            (cd $checkpoint && sha256sum --quiet -c SHA256SUMS) || exit 79
        done
        exit $code
    "#;
    let dir = TestDir::new();
    fs::create_dir(dir.path("small")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_recsim")]).current_dir(dir.path("."));
    let output = command.stdin(Stdio::null()).output();
    let Ok(output) = output else { return skipped("unshare is missing") };
    let error = stderr(&output);
    if output.status.code() == Some(77) || error.contains("unshare failed") {
        return skipped(&error);
    }
    assert_eq!(output.status.code(), Some(1), "{error}\n{}", stdout(&output));
    assert!(error.contains("No space left on device") && error.contains("free some space"), "{error}");
    assert!(!error.contains("panicked"), "{error}");
}

#[test]
fn checkpoints_are_ordered_by_number_not_by_time() {
    let dir = TestDir::new();
    dir.train("whole", &["-q"]);
    dir.train("run", &["-q", "--set", "experiment.checkpoint_every=3"]);
    fs::remove_file(dir.path("run/summary.json")).unwrap();
    let mut checkpoints: Vec<_> =
        fs::read_dir(dir.path("run/checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    checkpoints.sort();
    let [older, newer] = &checkpoints[..] else { panic!("two stay: {checkpoints:?}") };
    let date = |path: &Path, time: SystemTime| File::open(path).unwrap().set_modified(time).unwrap();
    for (path, years) in [(older, 10), (newer, 0)] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(years * 31_536_000);
        fs::read_dir(path).unwrap().for_each(|entry| date(&entry.unwrap().path(), time));
        date(path, time);
    }
    let output = dir.run(&["train", "--resume", "run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(json_lines(&dir.path("run/rounds.jsonl")).len(), 8);
    let resumed = json(&dir.path("run/run.json"))["resumed"].clone();
    assert_eq!(resumed[0]["rounds"], 8, "it resumes from the newer one, at the end of the run");
    assert_eq!(tree(&dir.path("run/models")), tree(&dir.path("whole/models")));
}

#[test]
fn clock_that_goes_back_changes_only_the_recorded_times() {
    // The library that `faketime` preloads.
    let asked = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let Some(library) = asked.ok().filter(|answer| answer.status.success()).map(|answer| stdout(&answer)) else {
        return skipped("faketime is missing");
    };
    let dir = TestDir::new();
    dir.train("whole", &["-q", "--episodes", "3"]);
    // The wall clock follows a file, so that it can go back during the run. The monotonic clock is not faked.
    let clock = dir.write("clock", "+0");
    let clocked = |arguments: &[&str]| {
        let mut command = dir.command(arguments);
        command.env("LD_PRELOAD", library.trim()).env("FAKETIME_TIMESTAMP_FILE", &clock);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    };
    let long = ["train", "--config", "tiny.yaml", "--out", "run", "--episodes", "3"];
    let mut run = Process::start(&mut clocked(&[&long[..], &["--set", "td3.gradient_steps=20000"]].concat()));
    run.wait_for("episode 1/3 round 1/");
    dir.write("clock", "-3000d");
    run.signal("INT");
    let output = run.finish();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let ended = json(&dir.path("run/summary.json"));
    let years = |text: &serde_json::Value| text.as_str().unwrap()[..4].parse::<i32>().unwrap();
    let start = years(&json(&dir.path("run/run.json"))["started"]);
    assert!(years(&ended["ended"]) < start - 7, "the clock did go back: {ended}");
    assert!(ended["wall_seconds"].as_f64().unwrap() >= 0.0, "{ended}");

    // Resumed still earlier.
    dir.write("clock", "-6000d");
    let allowed = ["--set", "td3.gradient_steps=4", "--allow-config-change", "td3.gradient_steps"];
    let output = clocked(&[&["train", "--resume", "run"], &allowed[..]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let rounds = json_lines(&dir.path("run/rounds.jsonl"));
    assert_eq!(rounds.len(), 12);
    assert!(rounds.iter().all(|round| round["seconds"]["total"].as_f64().unwrap() >= 0.0));
    assert!(json(&dir.path("run/summary.json"))["wall_seconds"].as_f64().unwrap() > 0.0);
    // The same run again, all of it long ago.
    dir.write("clock", "-9000d");
    let mut again = clocked(&["train", "--config", "tiny.yaml", "--out", "again", "--episodes", "3"]);
    assert!(again.output().unwrap().status.success());
    assert_eq!(tree(&dir.path("again/models")), tree(&dir.path("whole/models")));
    // Default folders are named by date: each run has its own.
    let train = ["train", "--config", "tiny.yaml", "--episodes", "1", "-q"];
    for offset in ["+0", "-9000d", "+0"] {
        dir.write("clock", offset);
        assert!(clocked(&train).output().unwrap().status.success());
    }
    assert_eq!(fs::read_dir(dir.path("runs")).unwrap().count(), 3);
}
