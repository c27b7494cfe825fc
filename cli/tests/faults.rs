//! What the world outside a run does to it: readers that go away, folders that nobody may write to, full disks, clocks
//! that go back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use common::{TestDir, json, json_lines, skipped, stderr, stdout, tree};

/// Every command that prints results, in a dir that [`place_with_everything`] made.
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

fn place_with_everything() -> TestDir {
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
fn whoever_reads_no_results_need_not_be_told() {
    let dir = place_with_everything();
    for line in PRINTING {
        // Closed before there is anything to read, so that every write fails.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = with_output(&dir, line, writer);
        let told = stderr(&output);
        assert!(output.status.success(), "{line}: {told}");
        assert!(!told.contains("panicked") && !told.contains("error"), "{line}: {told}");
    }
    assert_eq!(json(&dir.path("other/summary.json"))["status"], "finished");
}

#[test]
fn results_that_do_not_fit_on_the_disk_are_an_error() {
    let dir = place_with_everything();
    for line in PRINTING {
        let output = with_output(&dir, line, File::options().write(true).open("/dev/full").unwrap());
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {told}");
        assert!(told.contains("could not write to standard output") && told.contains("free some space"), "{told}");
        assert!(!told.contains("panicked"), "{line}: {told}");
    }
}

/// The command as somebody who may not write into `locked`, whose permissions say so: root may do anything. None where
/// nobody can be made so.
fn bound_by_permissions(dir: &TestDir, locked: &str, line: &str) -> Option<Output> {
    let plain = || {
        let mut command = Command::new("env");
        command.arg("--");
        command
    };
    let without_powers = || {
        let mut command = Command::new("setpriv");
        // Root's powers over files; what is inherited would be given back.
        for powers in ["--bounding-set", "--inh-caps"] {
            command.arg(format!("{powers}=-dac_override,-dac_read_search"));
        }
        command
    };
    let is_bound = |command: &Command| {
        let mut probe = Command::new(command.get_program());
        probe.args(command.get_args()).args(["test", "!", "-w", locked]).current_dir(dir.path("."));
        probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let found = [plain(), without_powers()].into_iter().find(is_bound);
    let mut command = found?;
    command.arg(env!("CARGO_BIN_EXE_recsim")).args(line.split(' ')).current_dir(dir.path("."));
    Some(command.stdin(Stdio::null()).output().unwrap())
}

/// Takes from everybody, or gives again, the right to write into a folder and those below.
fn permit(path: &Path, writing: bool) {
    let mode = if writing { "u+w" } else { "a-w" };
    assert!(Command::new("chmod").arg("-R").arg(mode).arg(path).status().unwrap().success());
}

#[test]
fn a_folder_that_nobody_may_write_to_is_refused_and_left_alone() {
    let dir = place_with_everything();
    // One that can be gone on with, and one that others have.
    dir.train("locked/run", &["--backend", "reference", "-q", "--episodes", "1"]);
    assert!(dir.run(&["world", "new", "locked/world", "--users", "40", "--items", "120", "-q"]).status.success());
    fs::create_dir(dir.path("locked/empty")).unwrap();
    permit(&dir.path("locked"), false);
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
        // What only reads is done.
        ("show locked/run", 0),
        ("train --resume locked/run", 0),
        ("world info locked/world", 0),
        ("recommend --run locked/run --user U7 --json", 0),
    ];
    for (line, code) in cases {
        let Some(output) = bound_by_permissions(&dir, "locked", line) else {
            permit(&dir.path("locked"), true);
            return skipped("no permission binds this user, and there is no setpriv");
        };
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{line}: {told}");
        assert!(code == 0 || told.contains("locked") && told.contains("help: "), "{line}: {told}");
        assert!(!told.contains("panicked"), "{line}: {told}");
        assert_eq!(tree(&dir.path(".")), before, "{line} touched something");
    }
    // The folder may be written to, and that of its checkpoints may not.
    permit(&dir.path("locked"), true);
    permit(&dir.path("locked/run/checkpoints"), false);
    let kept = tree(&dir.path("locked/run/checkpoints"));
    let output =
        bound_by_permissions(&dir, "locked/run/checkpoints", "train --resume locked/run --episodes 2").unwrap();
    permit(&dir.path("locked"), true);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("locked/run/checkpoints") && told.contains("ermission denied"), "{told}");
    assert_eq!(tree(&dir.path("locked/run/checkpoints")), kept);
    assert!(dir.run(&["train", "--resume", "locked/run", "--episodes", "2", "-q"]).status.success());
}

/// Runs a command where no file may be longer than 2 kB; the signal that says so is ignored.
fn without_space(dir: &TestDir, line: &str) -> Output {
    let full = format!("trap '' XFSZ; ulimit -f 4; exec \"$0\" {line}");
    let mut command = Command::new("sh");
    command.args(["-c", &full, env!("CARGO_BIN_EXE_recsim")]).current_dir(dir.path("."));
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_full_disk_leaves_what_there_was_and_nothing_half_written() {
    let dir = place_with_everything();
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
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {told}");
        assert!(told.contains("File too large") && told.contains("free some space"), "{line}: {told}");
        assert!(!told.contains("panicked"), "{line}: {told}");
        let left = tree(&dir.path("."));
        // A run that was begun keeps what it has; it says that it did not end.
        let left: Vec<_> = left.into_iter().filter(|(path, _)| !path.starts_with("run2")).collect();
        assert_eq!(left, before.clone().into_iter().collect::<Vec<_>>(), "{line}");
    }
    let unnamed = tree(&dir.path("run2")).into_keys().filter(|path| path.to_string_lossy().contains(".new"));
    assert_eq!(unnamed.count(), 0, "what could not be finished is gone");
    assert!(!dir.path("run2/summary.json").exists());

    // One that fails between two checkpoints, with transitions for the next.
    let between = "train --config tiny.yaml --backend reference --out run3 --users 2 --episodes 50";
    let output = without_space(&dir, &format!("{between} --set experiment.checkpoint_every=100"));
    let told = stderr(&output);
    assert!(told.contains("File too large") && !told.contains("could not write a checkpoint"), "{told}");
    assert!(!dir.path("run3/checkpoints").exists(), "{told}");
}

#[test]
fn a_disk_that_is_really_full_ends_a_run_in_words() {
    // A file system of its own, which no other program sees, and which goes when its programs have ended.
    let script = r#"
        mount -t tmpfs -o size=300k none small || exit 77
        "$0" train --config tiny.yaml --backend reference --out small/run --episodes 500 --set td3.buffer_size=2000
        code=$?
        find small -name '.*.new' -o -name .next | grep . && exit 78
        for checkpoint in small/run/checkpoints/*; do (cd $checkpoint && sha256sum --quiet -c SHA256SUMS) || exit 79; done
        exit $code
    "#;
    let dir = TestDir::new();
    fs::create_dir(dir.path("small")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_recsim")]).current_dir(dir.path("."));
    let output = command.stdin(Stdio::null()).output();
    let Ok(output) = output else { return skipped("there is no unshare") };
    let told = stderr(&output);
    if output.status.code() == Some(77) || told.contains("unshare failed") {
        return skipped(&told);
    }
    assert_eq!(output.status.code(), Some(1), "{told}\n{}", stdout(&output));
    assert!(told.contains("No space left on device") && told.contains("free some space"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn checkpoints_are_in_the_order_of_their_numbers_whatever_the_files_times_are() {
    let dir = TestDir::new();
    dir.train("whole", &["-q"]);
    dir.train("run", &["-q", "--set", "experiment.checkpoint_every=3"]);
    fs::remove_file(dir.path("run/summary.json")).unwrap();
    let mut checkpoints: Vec<_> =
        fs::read_dir(dir.path("run/checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    checkpoints.sort();
    let [older, newer] = &checkpoints[..] else { panic!("two are kept: {checkpoints:?}") };
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
    assert_eq!(resumed[0]["rounds"], 8, "it goes on from the newer one, at the end of the run");
    assert_eq!(tree(&dir.path("run/models")), tree(&dir.path("whole/models")));
}

#[test]
fn a_clock_that_goes_back_changes_nothing_but_the_times_that_are_told() {
    // What `faketime` has its programs begin with: a library that tells them the time.
    let asked = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let Some(library) = asked.ok().filter(|answer| answer.status.success()).map(|answer| stdout(&answer)) else {
        return skipped("there is no faketime");
    };
    let dir = TestDir::new();
    dir.train("whole", &["-q", "--episodes", "3"]);
    // While it is running: the clock that tells the date follows a file; the one that only counts cannot go back.
    let clock = dir.write("clock", "+0");
    let clocked = |arguments: &[&str]| {
        let mut command = dir.command(arguments);
        command.env("LD_PRELOAD", library.trim()).env("FAKETIME_TIMESTAMP_FILE", &clock);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let long = ["train", "--config", "tiny.yaml", "--out", "run", "--episodes", "3"];
    let mut run = clocked(&[&long[..], &["--set", "td3.gradient_steps=20000"]].concat()).spawn().unwrap();
    while !fs::read_to_string(dir.path("run/rounds.jsonl")).is_ok_and(|text| text.lines().count() >= 2) {
        assert!(run.try_wait().unwrap().is_none(), "it should go on");
        std::thread::sleep(Duration::from_millis(2));
    }
    dir.write("clock", "-3000d");
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let ended = json(&dir.path("run/summary.json"));
    let years = |text: &serde_json::Value| text.as_str().unwrap()[..4].parse::<i32>().unwrap();
    let began = years(&json(&dir.path("run/run.json"))["started"]);
    assert!(years(&ended["ended"]) < began - 7, "the clock did go back: {ended}");
    assert!(ended["wall_seconds"].as_f64().unwrap() >= 0.0, "{ended}");

    // Going on still earlier.
    dir.write("clock", "-6000d");
    let allowed = ["--set", "td3.gradient_steps=4", "--may-change", "td3.gradient_steps"];
    let output = clocked(&[&["train", "--resume", "run"], &allowed[..]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let rounds = json_lines(&dir.path("run/rounds.jsonl"));
    assert_eq!(rounds.len(), 12);
    assert!(rounds.iter().all(|round| round["seconds"]["total"].as_f64().unwrap() >= 0.0));
    assert!(json(&dir.path("run/summary.json"))["wall_seconds"].as_f64().unwrap() > 0.0);
    // The same run from a whole one's settings, all of it long ago.
    dir.write("clock", "-9000d");
    let mut again = clocked(&["train", "--config", "tiny.yaml", "--out", "again", "--episodes", "3"]);
    assert!(again.status().unwrap().success());
    assert_eq!(tree(&dir.path("again/models")), tree(&dir.path("whole/models")));
    // Folders that name themselves by the date: each has its own, whichever date comes first.
    let unnamed = ["train", "--config", "tiny.yaml", "--episodes", "1", "-q"];
    for offset in ["+0", "-9000d", "+0"] {
        dir.write("clock", offset);
        assert!(clocked(&unnamed).status().unwrap().success());
    }
    assert_eq!(fs::read_dir(dir.path("runs")).unwrap().count(), 3);
}
