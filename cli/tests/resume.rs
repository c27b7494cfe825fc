//! A run that was stopped, by whatever and wherever, goes on and ends as one that never was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{TestDir, json, json_lines, stderr, stdout, tree};
use serde_json::Value;

/// Some checkpoints fall on an episode's end, some in its midst; the ring overflows.
const EVERY: [&str; 6] = [
    "--set",
    "experiment.checkpoint_every=3",
    "--set",
    "td3.buffer_size=100",
    "--set",
    "training.warmup_transitions=40",
];

#[test]
fn a_run_killed_anywhere_ends_as_if_it_never_was() {
    // More of them with RECSIM_SOAK=200, as docs/reliability.md has it.
    let kills = std::env::var("RECSIM_SOAK").map_or(6, |number| number.parse().unwrap());
    let dir = TestDir::new();
    let long = [&EVERY[..], &["--episodes", "12"]].concat();
    dir.train("whole", &long);
    let took = json(&dir.path("whole/summary.json"))["wall_seconds"].as_f64().unwrap();
    let whole = what_is_left(&dir.path("whole"));
    let (mut number, mut killed, mut damaged) = (9_u64, 0, 0);
    while killed < kills {
        let begin = [&["train", "--config", "tiny.yaml", "--out", "run"], &long[..]].concat();
        let mut arguments = begin.clone();
        loop {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let share = (number >> 40) as f64 / f64::from(1 << 24);
            let mut run = dir.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            sleep(Duration::from_secs_f64(1.5 * took * share));
            if let Some(status) = run.try_wait().unwrap() {
                assert!(status.success());
                break;
            }
            run.kill().unwrap();
            run.wait().unwrap();
            killed += 1;
            damaged += u64::from(dir.path("run/checkpoints/.next").exists());
            let [threads, batch] = [1 + number % 3, 1 + number % 50].map(|number| number.to_string());
            let batch = format!("training.batch_size={batch}");
            let resume = ["train", "--resume", "run", "--threads", &threads, "--set", &batch].map(str::to_owned);
            // Killed before its settings were written, nothing is there to go on with.
            arguments = if dir.path("run/config.yaml").exists() {
                Vec::leak(resume.into()).iter().map(|argument| &**argument).collect()
            } else {
                begin.clone()
            };
        }
        assert_eq!(what_is_left(&dir.path("run")), whole, "after {killed} kills");
        fs::remove_dir_all(dir.path("run")).unwrap();
    }
    println!("{killed} kills, {damaged} of them while a checkpoint was being written");
}

#[test]
fn a_run_interrupted_anywhere_ends_as_if_it_never_was() {
    let dir = TestDir::new();
    let whole_run = ["--set", "td3.gradient_steps=1500", "--episodes", "3"];
    dir.train("whole", &whole_run);
    let whole = what_is_left(&dir.path("whole"));
    let begin = [&["train", "--config", "tiny.yaml", "--out", "run"], &whole_run[..]].concat();
    let (mut arguments, mut suspended, mut stops) = (begin, 0, 0);
    loop {
        let mut run = dir.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        sleep(Duration::from_millis(40 + 13 * stops));
        let signal = if stops % 2 == 0 { "TERM" } else { "INT" };
        let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &run.id().to_string()]).output();
        assert!(sent.is_ok());
        let finished = run.wait().unwrap();
        if finished.success() {
            break;
        }
        if dir.path("run/summary.json").exists() {
            stops += 1;
            assert_eq!(finished.code(), Some(if signal == "TERM" { 143 } else { 130 }));
            let last = newest_checkpoint(&dir.path("run"));
            let progress = json(&last.join("checkpoint.json"))["header"]["progress"].clone();
            suspended += i32::from(!progress["suspended"].is_null());
            arguments = vec!["train", "--resume", "run"];
        }
    }
    assert_eq!(what_is_left(&dir.path("run")), whole);
    assert_eq!(json(&dir.path("run/run.json"))["resumed"].as_array().unwrap().len() as u64, stops);
    assert!(stops > 0 && suspended > 0, "{stops} stops, {suspended} in the midst of learning");
}

#[test]
fn a_finished_run_says_so_and_can_be_made_longer() {
    let dir = TestDir::new();
    dir.train("whole", &["--episodes", "3"]);
    dir.train("run", &[]);
    let before = tree(&dir.path("run"));
    let again = dir.run(&["train", "--resume", "run"]);
    assert!(again.status.success() && stderr(&again).contains("has come to its end"), "{}", stderr(&again));
    assert!(stdout(&again).contains("run (finished)"));
    assert_eq!(tree(&dir.path("run")), before, "nothing is touched");
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "3"]), 0, &[]);
    assert_eq!(what_is_left(&dir.path("run")), what_is_left(&dir.path("whole")));
}

#[test]
fn a_ring_that_holds_less_than_comes_between_two_checkpoints_goes_on() {
    let dir = TestDir::new();
    // A transition a round, of which the ring holds 64, and a file of them two: what lies between is written by nobody, and
    // a file that is half full is not gone on with behind it.
    let short = ["--users", "1", "--rounds", "422"];
    let ring = ["--set", "td3.buffer_size=64", "--set", "experiment.checkpoint_every=141"];
    dir.train("whole", &[&short[..], &ring, &["--episodes", "2"]].concat());
    dir.train("run", &[&short[..], &ring, &["--episodes", "1"]].concat());
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "2"]), 0, &[]);
    let [run, whole] = ["run", "whole"].map(|name| {
        let mut left = what_is_left(&dir.path(name));
        // Its files may hold some that are in the ring no longer.
        let ring = left.get_mut("ring").unwrap();
        ring.drain(..ring.len() - 64 * 4 * (2 * 3 + 6 + 2));
        left
    });
    assert_eq!(run, whole);
}

#[test]
fn a_warning_that_was_given_is_not_given_again() {
    let dir = TestDir::new();
    let begun = dir.train("run", &["--episodes", "3", "--set", "td3.learning_rate=0.5"]);
    assert!(stderr(&begun).contains("components lie at their bounds"), "{}", stderr(&begun));
    let output = dir.run(&["train", "--resume", "run", "--episodes", "5"]);
    expect(&output, 0, &["episode 5/5"]);
    assert!(!stderr(&output).contains("lie at their bounds"), "{}", stderr(&output));
    assert!(stdout(&output).contains("lie at their bounds"), "the summary says how it is");
}

#[test]
fn a_run_does_not_end_before_where_it_is() {
    let dir = TestDir::new();
    interrupt(&dir, &["--episodes", "1000000", "--set", "td3.gradient_steps=50"], 5);
    let before = tree(&dir.path("run"));
    expect(
        &dir.run(&["train", "--resume", "run", "--episodes", "1"]),
        2,
        &["--episodes: the run has come to round", "and would end with round 4"],
    );
    assert_eq!(tree(&dir.path("run")), before);
}

#[test]
fn a_checkpoint_that_counts_other_rounds_than_were_reported_is_refused() {
    let dir = TestDir::new();
    dir.train("run", &[]);
    fs::remove_file(dir.path("run/summary.json")).unwrap();
    let rounds = fs::read_to_string(dir.path("run/rounds.jsonl")).unwrap();
    let fewer: String = rounds.split_inclusive('\n').take(7).collect();
    dir.write("fewer", &fewer);
    let sum = std::process::Command::new("sha256sum").arg(dir.path("fewer")).output().unwrap();
    for entry in fs::read_dir(dir.path("run/checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        let mut about = json(&path.join("checkpoint.json"));
        let log = &mut about["logs"][0][1];
        if log["bytes"].as_u64().unwrap() > fewer.len() as u64 {
            (log["bytes"], log["sha256"]) = (fewer.len().into(), stdout(&sum)[..64].into());
        } else {
            about["version"] = 99.into();
        }
        fs::write(path.join("checkpoint.json"), about.to_string()).unwrap();
        seal(&path);
    }
    expect(&dir.run(&["train", "--resume", "run"]), 2, &["says that 8 rounds were done, and that 7 were reported"]);
}

#[test]
fn checkpoints_can_be_had_on_interruption_only() {
    let dir = TestDir::new();
    let none = ["--set", "experiment.checkpoint_every=0"];
    dir.train("whole", &none);
    assert!(!dir.path("whole/checkpoints").exists());
    expect(&dir.run(&["train", "--resume", "whole"]), 0, &["has come to its end"]);
    let longer = dir.run(&["train", "--resume", "whole", "--episodes", "3"]);
    expect(&longer, 2, &["whole: this run was ended, and left no checkpoint to go on from"]);
    // Killed without a word, it has nothing to lose.
    fs::remove_file(dir.path("whole/summary.json")).unwrap();
    let whole = what_is_left(&dir.path("whole"));
    let other = dir.run(&["train", "--resume", "whole", "--set", "td3.tau=0.5"]);
    expect(&other, 2, &["`td3.tau` is 0.5, and the run was begun with 0.005"]);
    expect(&dir.run(&["train", "--resume", "whole"]), 0, &["left no checkpoint: it begins anew"]);
    assert_eq!(what_is_left(&dir.path("whole")), whole);

    // One that was interrupted, and finished then, is not gone on with from where it was interrupted.
    let slow = ["--set", "td3.gradient_steps=3000"];
    interrupt(&dir, &[&none[..], &slow].concat(), 1);
    expect(&dir.run(&["train", "--resume", "run"]), 0, &[]);
    let before = tree(&dir.path("run"));
    expect(&dir.run(&["train", "--resume", "run"]), 0, &["has come to its end"]);
    assert_eq!(tree(&dir.path("run")), before);
}

#[test]
fn what_was_allowed_to_change_stays_allowed_and_nothing_else_is_touched() {
    let dir = TestDir::new();
    dir.train("run", &["--episodes", "1"]);
    let resumed = || json(&dir.path("run/run.json"))["resumed"].as_array().map_or(0, Vec::len);
    // Killed after the change was written down and before a checkpoint has it.
    let killed = |arguments: &[&str]| {
        let before = resumed();
        let mut run = dir.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while resumed() == before {
            assert!(run.try_wait().unwrap().is_none(), "it should go on: {arguments:?}");
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(100));
        run.kill().unwrap();
        run.wait().unwrap();
    };
    let slow = ["train", "--resume", "run", "--episodes", "2", "--set", "td3.gradient_steps=100000000"];
    killed(&[&slow[..], &["--may-change", "td3.gradient_steps"]].concat());
    assert!(!dir.path("run/summary.json").exists(), "a run that goes on has not ended");
    // What a dead program left, and what is somebody else's.
    let checkpoints = dir.path("run/checkpoints");
    for (folder, file) in [(".next", "old.rows"), ("2024", "notes.txt")] {
        fs::create_dir_all(checkpoints.join(folder)).unwrap();
        fs::write(checkpoints.join(folder).join(file), b"mine").unwrap();
    }
    fs::write(checkpoints.join("9"), b"mine").unwrap();
    fs::write(newest_checkpoint(&dir.path("run")).join(".DS_Store"), b"").unwrap();
    killed(&["train", "--resume", "run"]);
    expect(&dir.run(&["train", "--resume", "run", "--set", "td3.gradient_steps=4"]), 0, &[]);
    assert!(checkpoints.join("2024/notes.txt").is_file() && checkpoints.join("9").is_file());
    whole_checkpoints(&dir.path("run"));
}

#[test]
fn going_on_elsewhere_and_back_keeps_the_instruction_set() {
    let dir = TestDir::new();
    dir.train("run", &["--isa", "portable", "--episodes", "1"]);
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "2", "--backend", "reference"]), 0, &[]);
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "3", "--backend", "cpu"]), 0, &[]);
    let resumed = json(&dir.path("run/run.json"))["resumed"].clone();
    assert_eq!((&resumed[1]["backend"], &resumed[1]["instruction_set"]), (&"cpu".into(), &"portable".into()));
}

#[test]
fn a_trace_begins_with_the_first_round_that_it_saw() {
    let dir = TestDir::new();
    interrupt(&dir, &["--episodes", "1", "--set", "td3.gradient_steps=20000"], 2);
    assert_eq!(json_lines(&dir.path("run/rounds.jsonl")).len(), 2, "the third is suspended");
    expect(&dir.run(&["train", "--resume", "run", "--trace", "trace.st", "--trace-users", "3"]), 0, &[]);
    let trace = fs::read(dir.path("trace.st")).unwrap();
    assert_eq!(common::tensor(&trace, "reward").0, [1, 3], "the fourth round, and not the third");
    let before = common::floats(&trace, "belief_before").1;
    assert!(before.iter().any(|&belief| belief > 0.0));
}

/// A run that is stopped some time after so many rounds, in the midst of learning if that takes long.
fn interrupt(dir: &TestDir, more: &[&str], rounds: usize) {
    let arguments = [&["train", "--config", "tiny.yaml", "--out", "run"], more].concat();
    let run = dir.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lines = || fs::read_to_string(dir.path("run/rounds.jsonl")).map_or(0, |text| text.lines().count());
    while lines() < rounds {
        sleep(Duration::from_millis(2));
    }
    sleep(Duration::from_millis(30));
    let sent = std::process::Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(130));
}

#[test]
fn what_changes_is_refused_or_named() {
    let dir = TestDir::new();
    dir.train("run", &["--episodes", "1"]);
    let resume = |more: &[&str]| dir.run(&[&["train", "--resume", "run", "--episodes", "2"], more].concat());
    let before = tree(&dir.path("run"));
    let tau = ["--set", "td3.tau=0.25"];
    expect(&resume(&tau), 2, &["`td3.tau` is 0.25, and the run was begun with 0.005", "--may-change td3.tau"]);
    for (key, value) in [
        ("td3.hidden_sizes", "[12, 9]"),
        ("td3.batch_norm", "false"),
        ("td3.buffer_size", "77"),
        ("training.rounds_per_episode", "3"),
        ("training.users_per_round", "39"),
        ("recommendation.total_recommendations", "7"),
        ("world.items", "121"),
    ] {
        let fixed = ["--set", &format!("{key}={value}"), "--may-change", key];
        expect(
            &resume(&fixed),
            2,
            &[&format!("`{key}` is {}", value.replace(' ', "")), "cannot change in its midst"],
        );
    }
    expect(&resume(&["--seed", "6"]), 2, &["`experiment.seed` is 6, and the run was begun with 5"]);
    let unknown = [&tau[..], &["--may-change", "td3.tua"]].concat();
    expect(&resume(&unknown), 2, &["there is no setting `td3.tua`"]);
    let world = ["--set", "world.seed=7", "--may-change", "world.seed"];
    expect(&resume(&world), 2, &["`world.seed` is 7"]);
    let edited = fs::read_to_string(dir.path("run/config.yaml")).unwrap();
    fs::write(dir.path("run/config.yaml"), edited.replace("discount: 0.5", "discount: 0.75")).unwrap();
    expect(&resume(&[]), 2, &["config.yaml:", "`td3.discount` is 0.75, and the run was begun with 0.5"]);
    fs::write(dir.path("run/config.yaml"), edited).unwrap();
    assert_eq!(tree(&dir.path("run")), before, "what is refused changes nothing");

    let changed = [&tau[..], &["--may-change", "td3.tau", "--backend", "reference", "--threads", "1"]].concat();
    let output = resume(&changed);
    expect(&output, 0, &["going on with td3.tau: 0.005 -> 0.25", "going on with reference (portable) after cpu"]);
    let resumed = json(&dir.path("run/run.json"))["resumed"][0].clone();
    assert_eq!(
        (&resumed["backend"], &resumed["changes"][0]),
        (&"reference".into(), &"td3.tau: 0.005 -> 0.25".into())
    );
    // The change is the run's from now on.
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "3"]), 0, &[]);
}

#[test]
fn another_world_is_refused_wherever_it_lies() {
    let dir = TestDir::new();
    let make = |name: &str, seed: &str| {
        let world = ["world", "new", name, "--users", "40", "--items", "120", "--clusters", "3", "--dim", "6"];
        assert!(dir.run(&[&world[..], &["--list", "16", "--seed", seed]].concat()).status.success());
    };
    ["a", "b"].into_iter().zip(["0", "1"]).for_each(|(name, seed)| make(name, seed));
    dir.train("run", &["--world", "a", "--episodes", "1"]);
    let resume = |world| dir.run(&["train", "--resume", "run", "--episodes", "2", "--world", world]);
    expect(&resume("b"), 2, &["b: this is another world than the run's", "give the run's own world"]);
    fs::rename(dir.path("a"), dir.path("moved")).unwrap();
    expect(&resume("moved"), 0, &[]);
}

#[test]
fn no_damaged_checkpoint_is_gone_on_from() {
    let dir = TestDir::new();
    dir.train("whole", &EVERY);
    dir.train("run", &EVERY);
    let whole = what_is_left(&dir.path("whole"));
    // As if it had been killed before its end: two checkpoints, of which the older is in the midst of an episode.
    fs::remove_file(dir.path("run/summary.json")).unwrap();
    let newest = newest_checkpoint(&dir.path("run"));
    let kept = tree(&dir.path("run"));
    let restore = || {
        fs::remove_dir_all(dir.path("run")).unwrap();
        for (name, bytes) in &kept {
            let path = dir.path("run").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    };
    let within = |name: &str| newest.strip_prefix(dir.path("run")).unwrap().join(name);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&newest).unwrap().map(|entry| within(&entry.unwrap().file_name().to_string_lossy())).collect();
    files.sort();
    assert!(files.len() >= 5);
    for file in &files {
        let length = kept[file].len();
        // A bit of every region, and cut off anywhere.
        for (n, at) in
            [0, length / 7, length / 3, length / 2, length - length / 5, length - 1].into_iter().enumerate()
        {
            let mut bytes = kept[file].clone();
            bytes[at] ^= 1 << (n + 1);
            fs::write(dir.path("run").join(file), bytes).unwrap();
            let output = dir.run(&["train", "--resume", "run"]);
            expect(&output, 0, &["warning: ", "going on from the checkpoint before it"]);
            assert_eq!(what_is_left(&dir.path("run")), whole, "{} at {at}", file.display());
            restore();
            if n < 4 {
                fs::write(dir.path("run").join(file), &kept[file][..at]).unwrap();
                expect(&dir.run(&["train", "--resume", "run"]), 0, &["going on from the checkpoint before it"]);
                restore();
            }
        }
    }
    // Without any sound one nothing is done.
    for entry in fs::read_dir(dir.path("run/checkpoints")).unwrap() {
        fs::write(entry.unwrap().path().join("users.safetensors"), b"").unwrap();
    }
    let before = tree(&dir.path("run"));
    let output = dir.run(&["train", "--resume", "run"]);
    expect(&output, 2, &["`users.safetensors` was changed or is damaged", "no other checkpoint is left"]);
    assert_eq!(tree(&dir.path("run")), before);
    restore();
    // Nor is a record of rounds that is not what it was, however far back.
    let events = fs::read_dir(dir.path("run/tensorboard")).unwrap().next().unwrap().unwrap().file_name();
    for log in ["rounds.jsonl", "episodes.jsonl", &format!("tensorboard/{}", events.display())] {
        let path = dir.path("run").join(log);
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 4;
        fs::write(&path, bytes).unwrap();
        expect(&dir.run(&["train", "--resume", "run"]), 2, &[log, "differ from their checksum"]);
        restore();
    }
    // Whoever knows the sums can lie, and is refused by what does not fit.
    for name in ["000001", "000002", "000003"] {
        let path = dir.path("run/checkpoints").join(name);
        if path.exists() {
            let text = fs::read_to_string(path.join("checkpoint.json")).unwrap();
            fs::write(path.join("checkpoint.json"), text.replace("\"version\": 1,", "\"version\": 99,")).unwrap();
            seal(&path);
        }
    }
    expect(&dir.run(&["train", "--resume", "run"]), 2, &["is of format `recsim-checkpoint` 99"]);
}

#[test]
fn a_checkpoint_that_was_passed_over_says_nothing_of_the_run_any_more() {
    let dir = TestDir::new();
    dir.train("run", &EVERY);
    fs::remove_file(dir.path("run/summary.json")).unwrap();
    let newest = newest_checkpoint(&dir.path("run"));
    fs::write(newest.join("users.safetensors"), b"").unwrap();
    // It goes on from the one before, and its growing files are as long as that one knows them.
    let slow = ["--set", "td3.gradient_steps=100000000", "--may-change", "td3.gradient_steps"];
    let arguments = [&["train", "--resume", "run"][..], &slow].concat();
    let mut run = dir.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while newest.exists() {
        assert!(run.try_wait().unwrap().is_none(), "the run has ended");
        sleep(Duration::from_millis(5));
    }
    expect(&dir.run(&["show", "run"]), 0, &[]);
    run.kill().unwrap();
    run.wait().unwrap();
    expect(&dir.run(&["train", "--resume", "run", "--set", "td3.gradient_steps=4"]), 0, &[]);
    dir.train("whole", &EVERY);
    assert_eq!(what_is_left(&dir.path("run")), what_is_left(&dir.path("whole")));
}

#[test]
fn two_programs_do_not_go_on_with_one_run() {
    let dir = TestDir::new();
    let long =
        ["train", "--config", "tiny.yaml", "--out", "run", "--rounds", "100000000", "--backend", "reference"];
    let mut run = dir.command(&long).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !dir.path("run/rounds.jsonl").exists() {
        sleep(Duration::from_millis(5));
    }
    expect(&dir.run(&["train", "--resume", "run"]), 2, &["run: another program is writing here"]);
    run.kill().unwrap();
    run.wait().unwrap();
    expect(&dir.run(&["train", "--resume", "nowhere"]), 2, &["nowhere/config.yaml", "no run was begun here"]);
}

#[test]
fn a_full_disk_ends_the_run_and_loses_nothing_older() {
    let dir = TestDir::new();
    dir.train("whole", &EVERY);
    dir.train("run", &[&EVERY[..], &["--episodes", "1"]].concat());
    let newest = tree(&newest_checkpoint(&dir.path("run")));
    // Files of more than 4 blocks of 512 bytes cannot be written; the signal that says so is ignored.
    let full = "trap '' XFSZ; ulimit -f 4; exec \"$0\" train --resume run --episodes 2";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", full, env!("CARGO_BIN_EXE_recsim")]).current_dir(dir.path("."));
    let output = command.output().unwrap();
    expect(&output, 1, &["File too large", "free some space", "the last checkpoint is run/checkpoints/"]);
    assert_eq!(tree(&newest_checkpoint(&dir.path("run"))), newest);
    assert!(!dir.path("run/checkpoints/.next").exists(), "what could not be finished is gone");
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "2"]), 0, &[]);
    assert_eq!(what_is_left(&dir.path("run")), what_is_left(&dir.path("whole")));
}

#[test]
fn what_a_run_took_before_a_stop_is_counted() {
    let dir = TestDir::new();
    dir.train("run", &[]);
    fs::remove_file(dir.path("run/summary.json")).unwrap();
    // Its last checkpoint says that it was long.
    let last = newest_checkpoint(&dir.path("run"));
    let mut about = json(&last.join("checkpoint.json"));
    about["wall_seconds"] = 1e6.into();
    fs::write(last.join("checkpoint.json"), about.to_string()).unwrap();
    seal(&last);
    expect(&dir.run(&["train", "--resume", "run"]), 0, &[]);
    assert!(json(&dir.path("run/summary.json"))["wall_seconds"].as_f64().unwrap() >= 1e6);
}

/// Puts a checkpoint's sums right.
fn seal(checkpoint: &Path) {
    let sums = "sha256sum $(ls | grep -v SHA) > SHA256SUMS";
    let done = std::process::Command::new("sh").args(["-c", sums]).current_dir(checkpoint).status().unwrap();
    assert!(done.success());
}

fn expect(output: &Output, code: i32, told: &[&str]) {
    let all = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{all}");
    told.iter().for_each(|words| assert!(all.contains(words), "{words} in: {all}"));
}

/// What must not depend on whether a run was stopped: models, beliefs, metrics without times, the last checkpoint's tables.
fn what_is_left(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut left = BTreeMap::new();
    for (name, bytes) in tree(&run.join("models")) {
        left.insert(name.display().to_string(), bytes);
    }
    let mut beliefs = json(&run.join("results/current_user_beliefs.json"));
    beliefs["timestamp"] = Value::Null;
    left.insert("beliefs".to_owned(), beliefs.to_string().into());
    for log in ["rounds.jsonl", "episodes.jsonl"] {
        let mut lines = json_lines(&run.join(log));
        for line in &mut lines {
            (line["seconds"], line["user_steps_per_second"]) = (Value::Null, Value::Null);
        }
        left.insert(log.to_owned(), Value::from(lines).to_string().into());
    }
    if run.join("checkpoints").exists() {
        let last = newest_checkpoint(run);
        let count = fs::read_dir(run.join("checkpoints")).unwrap().count();
        assert!(count <= 2, "two checkpoints are kept, not {count}");
        whole_checkpoints(run);
        let rows = tree(&last).into_iter().filter(|(name, _)| name.extension().is_some_and(|rows| rows == "rows"));
        // How transitions are cut into files depends on when they came; the last of them do not.
        let rows: Vec<u8> = rows.flat_map(|(_, bytes)| bytes).collect();
        let held = 100 * 4 * (2 * 3 + 6 + 2);
        left.insert("ring".to_owned(), rows[rows.len().saturating_sub(held)..].to_vec());
        for name in ["agent.safetensors", "users.safetensors"] {
            left.insert(name.to_owned(), fs::read(last.join(name)).unwrap());
        }
    }
    left
}

/// Every checkpoint that is kept is as it was written, whatever was written since.
fn whole_checkpoints(run: &Path) {
    for entry in fs::read_dir(run.join("checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        if path.join("SHA256SUMS").exists() {
            let mut check = std::process::Command::new("sha256sum");
            let output = check.args(["-c", "--quiet", "SHA256SUMS"]).current_dir(&path).output().unwrap();
            assert!(output.status.success(), "{}: {}", path.display(), stdout(&output));
        }
    }
}

fn newest_checkpoint(run: &Path) -> PathBuf {
    let entries = fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.join("agent.safetensors").exists() && !path.ends_with(".old")).max().unwrap()
}
