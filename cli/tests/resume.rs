//! A run that was killed or interrupted resumes, and has the results of one that was not. `cli/src/train/tests.rs`
//! interrupts runs at every point.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

mod common;
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::{TestDir, json, json_lines, stderr, stdout, tree};
use process::Process;
use serde_json::Value;

/// Some checkpoints fall on an episode's end, some do not; the replay buffer overflows.
const EVERY: [&str; 6] = [
    "--set",
    "experiment.checkpoint_every=3",
    "--set",
    "td3.buffer_size=100",
    "--set",
    "training.warmup_transitions=40",
];

#[test]
fn killed_run_resumes_to_the_same_results() {
    // More kills with RECSIM_SOAK=200: see docs/reliability.md.
    let kills = std::env::var("RECSIM_SOAK").map_or(6, |number| number.parse().unwrap());
    let dir = TestDir::new();
    // Two rounds an episode: a line on standard error every two rounds.
    let long = [&EVERY[..], &["--rounds", "2", "--episodes", "24"]].concat();
    dir.train("whole", &long);
    let whole = results_of(&dir.path("whole"));
    let (mut state, mut killed, mut incomplete) = (9_u64, 0, 0);
    while killed < kills {
        let start = [&["train", "--config", "tiny.yaml", "--out", "run"], &long[..]].concat();
        let start: Vec<String> = start.into_iter().map(str::to_owned).collect();
        let mut arguments = start.clone();
        loop {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let [lines, threads, batch_size] = [(state >> 40) % 36, 1 + state % 3, 1 + state % 50];
            let words: Vec<&str> = arguments.iter().map(|argument| &**argument).collect();
            let mut run = Process::start(&mut dir.command(&words));
            if !run.skip_lines(lines as usize) {
                let output = run.finish();
                assert!(output.status.success(), "{}", stderr(&output));
                break;
            }
            drop(run);
            killed += 1;
            incomplete += u64::from(dir.path("run/checkpoints/.next").exists());
            // If it was killed before its settings were written, there is nothing to resume.
            arguments = if dir.path("run/config.yaml").exists() {
                let (threads, batch) = (threads.to_string(), format!("training.batch_size={batch_size}"));
                ["train", "--resume", "run", "--threads", &threads, "--set", &batch].map(str::to_owned).into()
            } else {
                start.clone()
            };
        }
        assert_eq!(results_of(&dir.path("run")), whole, "after {killed} kills");
        fs::remove_dir_all(dir.path("run")).unwrap();
    }
    println!("{killed} kills, {incomplete} of them while a checkpoint was incomplete");
}

#[test]
fn finished_run_says_so_and_can_be_extended() {
    let dir = TestDir::new();
    dir.train("whole", &["--episodes", "3"]);
    dir.train("run", &[]);
    let before = tree(&dir.path("run"));
    let again = dir.run(&["train", "--resume", "run"]);
    assert!(
        again.status.success() && stderr(&again).contains("has finished: nothing is left to do"),
        "{}",
        stderr(&again)
    );
    assert!(stdout(&again).contains("run (finished)"));
    assert_eq!(tree(&dir.path("run")), before, "no file changes");
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "3"]), 0, &[]);
    assert_eq!(results_of(&dir.path("run")), results_of(&dir.path("whole")));
}

#[test]
fn checkpoints_farther_apart_than_the_replay_buffer_holds_are_resumed() {
    let dir = TestDir::new();
    // A transition a round. The replay buffer holds 64, and a file two. Transitions in between are not written, and a
    // file that is half full must not be appended to after them.
    let short = ["--users", "1", "--rounds", "422"];
    let buffer = ["--set", "td3.buffer_size=64", "--set", "experiment.checkpoint_every=141"];
    dir.train("whole", &[&short[..], &buffer, &["--episodes", "2"]].concat());
    dir.train("run", &[&short[..], &buffer, &["--episodes", "1"]].concat());
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "2"]), 0, &[]);
    let [run, whole] = ["run", "whole"].map(|name| {
        let mut left = results_of(&dir.path(name));
        // The files may begin with transitions that the replay buffer has overwritten.
        let replay = left.get_mut("replay").unwrap();
        replay.drain(..replay.len() - 64 * 4 * (2 * 3 + 6 + 2));
        left
    });
    assert_eq!(run, whole);
}

#[test]
fn warning_is_not_repeated_after_a_resumption() {
    let dir = TestDir::new();
    let first = dir.train("run", &["--episodes", "3", "--set", "td3.learning_rate=0.5"]);
    assert!(stderr(&first).contains("components lie at their bounds"), "{}", stderr(&first));
    let output = dir.run(&["train", "--resume", "run", "--episodes", "5"]);
    expect(&output, 0, &["episode 5/5"]);
    assert!(!stderr(&output).contains("lie at their bounds"), "{}", stderr(&output));
    assert!(stdout(&output).contains("lie at their bounds"), "the summary has the warning");
}

#[test]
fn end_before_the_present_round_is_refused() {
    let dir = TestDir::new();
    interrupt(&dir, &["--episodes", "1000000"], "episode 2/");
    let before = tree(&dir.path("run"));
    expect(
        &dir.run(&["train", "--resume", "run", "--episodes", "1"]),
        2,
        &["--episodes: the run is at round", "and would end with round 4"],
    );
    assert_eq!(tree(&dir.path("run")), before);
}

#[test]
fn checkpoint_with_another_round_count_than_the_metrics_is_refused() {
    let dir = TestDir::new();
    dir.train("run", &[]);
    fs::remove_file(dir.path("run/summary.json")).unwrap();
    let rounds = fs::read_to_string(dir.path("run/rounds.jsonl")).unwrap();
    let fewer: String = rounds.split_inclusive('\n').take(7).collect();
    dir.write("fewer", &fewer);
    let sums = std::process::Command::new("sha256sum").arg(dir.path("fewer")).output().unwrap();
    for entry in fs::read_dir(dir.path("run/checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        let mut info = json(&path.join("checkpoint.json"));
        let log = &mut info["logs"][0][1];
        if log["bytes"].as_u64().unwrap() > fewer.len() as u64 {
            (log["bytes"], log["sha256"]) = (fewer.len().into(), stdout(&sums)[..64].into());
        } else {
            info["version"] = 99.into();
        }
        fs::write(path.join("checkpoint.json"), info.to_string()).unwrap();
        write_checksums(&path);
    }
    expect(&dir.run(&["train", "--resume", "run"]), 2, &["says that 8 rounds were done, and that 7 were reported"]);
}

#[test]
fn checkpoint_every_0_makes_checkpoints_only_on_interruption() {
    let dir = TestDir::new();
    let none = ["--set", "experiment.checkpoint_every=0"];
    dir.train("whole", &none);
    assert!(!dir.path("whole/checkpoints").exists());
    expect(&dir.run(&["train", "--resume", "whole"]), 0, &["has finished"]);
    let longer = dir.run(&["train", "--resume", "whole", "--episodes", "3"]);
    expect(&longer, 2, &["whole: this run was ended, and left no checkpoint to resume from"]);
    // Without a summary it counts as killed, and starts again.
    fs::remove_file(dir.path("whole/summary.json")).unwrap();
    let whole = results_of(&dir.path("whole"));
    let other = dir.run(&["train", "--resume", "whole", "--set", "td3.tau=0.5"]);
    expect(&other, 2, &["`td3.tau` is 0.5, and the run was started with 0.005"]);
    expect(&dir.run(&["train", "--resume", "whole"]), 0, &["left no checkpoint: it starts again"]);
    assert_eq!(results_of(&dir.path("whole")), whole);

    // A run that was interrupted and has finished since is not resumed from where it was interrupted.
    interrupt(&dir, &[&none[..], &["--episodes", "1000000"]].concat(), "episode 1/");
    let checkpoint = json(&newest_checkpoint(&dir.path("run")).join("checkpoint.json"));
    let rounds = checkpoint["header"]["progress"]["rounds"].as_u64().unwrap();
    let episodes = (rounds / 4 + 1).to_string();
    let resume = ["train", "--resume", "run", "--episodes", &episodes];
    expect(&dir.run(&resume), 0, &[]);
    let before = tree(&dir.path("run"));
    expect(&dir.run(&resume), 0, &["has finished"]);
    assert_eq!(tree(&dir.path("run")), before);
}

#[test]
fn allowed_change_stays_allowed_and_foreign_files_stay() {
    let dir = TestDir::new();
    dir.train("run", &["--episodes", "1"]);
    // Killed after the change was recorded, and before a checkpoint has it: learning after the second round takes for
    // ever.
    let kill_in_second_episode = |arguments: &[&str]| {
        let mut run = Process::start(&mut dir.command(arguments));
        run.wait_for("episode 2/2 round 1/4");
    };
    let slow = ["train", "--resume", "run", "--episodes", "2", "--set", "td3.gradient_steps=100000000"];
    kill_in_second_episode(&[&slow[..], &["--allow-config-change", "td3.gradient_steps"]].concat());
    assert!(!dir.path("run/summary.json").exists(), "a run that continues has not ended");
    // What a killed process left, and files that are not the run's.
    let checkpoints = dir.path("run/checkpoints");
    for (folder, file) in [(".next", "old.rows"), ("2024", "notes.txt")] {
        fs::create_dir_all(checkpoints.join(folder)).unwrap();
        fs::write(checkpoints.join(folder).join(file), b"mine").unwrap();
    }
    fs::write(checkpoints.join("9"), b"mine").unwrap();
    fs::write(newest_checkpoint(&dir.path("run")).join(".DS_Store"), b"").unwrap();
    kill_in_second_episode(&["train", "--resume", "run"]);
    expect(&dir.run(&["train", "--resume", "run", "--set", "td3.gradient_steps=4"]), 0, &[]);
    assert!(checkpoints.join("2024/notes.txt").is_file() && checkpoints.join("9").is_file());
    assert_checkpoints_are_whole(&dir.path("run"));
}

#[test]
fn instruction_set_survives_a_resumption_on_another_backend() {
    let dir = TestDir::new();
    dir.train("run", &["--isa", "portable", "--episodes", "1"]);
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "2", "--backend", "reference"]), 0, &[]);
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "3", "--backend", "cpu"]), 0, &[]);
    let resumed = json(&dir.path("run/run.json"))["resumed"].clone();
    assert_eq!((&resumed[1]["backend"], &resumed[1]["instruction_set"]), (&"cpu".into(), &"portable".into()));
}

/// A run in `run` that is interrupted after it has written a line with `text`.
fn interrupt(dir: &TestDir, more: &[&str], text: &str) {
    let arguments = [&["train", "--config", "tiny.yaml", "--out", "run"], more].concat();
    let mut run = Process::start(&mut dir.command(&arguments));
    run.wait_for(text);
    run.signal("INT");
    let output = run.finish();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
}

#[test]
fn config_changes_are_refused_or_recorded() {
    let dir = TestDir::new();
    dir.train("run", &["--episodes", "1"]);
    let resume = |more: &[&str]| dir.run(&[&["train", "--resume", "run", "--episodes", "2"], more].concat());
    let before = tree(&dir.path("run"));
    let tau = ["--set", "td3.tau=0.25"];
    expect(
        &resume(&tau),
        2,
        &["`td3.tau` is 0.25, and the run was started with 0.005", "--allow-config-change td3.tau"],
    );
    for (key, value) in [
        ("td3.hidden_sizes", "[12, 9]"),
        ("td3.batch_norm", "false"),
        ("td3.buffer_size", "77"),
        ("training.rounds_per_episode", "3"),
        ("training.users_per_round", "39"),
        ("recommendation.total_recommendations", "7"),
        ("world.items", "121"),
    ] {
        let fixed = ["--set", &format!("{key}={value}"), "--allow-config-change", key];
        expect(&resume(&fixed), 2, &[&format!("`{key}` is {}", value.replace(' ', "")), "cannot change in a run"]);
    }
    expect(&resume(&["--seed", "6"]), 2, &["`experiment.seed` is 6, and the run was started with 5"]);
    let unknown = [&tau[..], &["--allow-config-change", "td3.tua"]].concat();
    expect(&resume(&unknown), 2, &["there is no setting `td3.tua`"]);
    let world = ["--set", "world.seed=7", "--allow-config-change", "world.seed"];
    expect(&resume(&world), 2, &["`world.seed` is 7"]);
    let edited = fs::read_to_string(dir.path("run/config.yaml")).unwrap();
    fs::write(dir.path("run/config.yaml"), edited.replace("discount: 0.5", "discount: 0.75")).unwrap();
    expect(&resume(&[]), 2, &["config.yaml:", "`td3.discount` is 0.75, and the run was started with 0.5"]);
    fs::write(dir.path("run/config.yaml"), edited).unwrap();
    assert_eq!(tree(&dir.path("run")), before, "a refused command changes no file");

    let changed =
        [&tau[..], &["--allow-config-change", "td3.tau", "--backend", "reference", "--threads", "1"]].concat();
    let output = resume(&changed);
    expect(&output, 0, &["resuming with td3.tau: 0.005 -> 0.25", "resuming with reference (portable) after cpu"]);
    let resumed = json(&dir.path("run/run.json"))["resumed"][0].clone();
    assert_eq!(
        (&resumed["backend"], &resumed["changes"][0]),
        (&"reference".into(), &"td3.tau: 0.005 -> 0.25".into())
    );
    // The run keeps the change.
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "3"]), 0, &[]);
}

#[test]
fn another_world_is_refused_and_a_moved_one_is_not() {
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
fn damaged_checkpoint_is_never_resumed_from() {
    let dir = TestDir::new();
    dir.train("whole", &EVERY);
    dir.train("run", &EVERY);
    let whole = results_of(&dir.path("whole"));
    // As if it had been killed before its end: two checkpoints. The older one is not at an episode's end.
    fs::remove_file(dir.path("run/summary.json")).unwrap();
    let newest = newest_checkpoint(&dir.path("run"));
    let original = tree(&dir.path("run"));
    let restore = || {
        fs::remove_dir_all(dir.path("run")).unwrap();
        for (name, bytes) in &original {
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
        let len = original[file].len();
        // A flipped bit in six regions, and the file cut off in four.
        for (n, offset) in [0, len / 7, len / 3, len / 2, len - len / 5, len - 1].into_iter().enumerate() {
            let mut bytes = original[file].clone();
            bytes[offset] ^= 1 << (n + 1);
            fs::write(dir.path("run").join(file), bytes).unwrap();
            let output = dir.run(&["train", "--resume", "run"]);
            expect(&output, 0, &["warning: ", "resuming from the checkpoint before it"]);
            assert_eq!(results_of(&dir.path("run")), whole, "{} at {offset}", file.display());
            restore();
            if n < 4 {
                fs::write(dir.path("run").join(file), &original[file][..offset]).unwrap();
                expect(&dir.run(&["train", "--resume", "run"]), 0, &["resuming from the checkpoint before it"]);
                restore();
            }
        }
    }
    // If all are damaged, the run is refused.
    for entry in fs::read_dir(dir.path("run/checkpoints")).unwrap() {
        fs::write(entry.unwrap().path().join("users.safetensors"), b"").unwrap();
    }
    let before = tree(&dir.path("run"));
    let output = dir.run(&["train", "--resume", "run"]);
    expect(&output, 2, &["`users.safetensors` was changed or is damaged", "no other checkpoint is left"]);
    assert_eq!(tree(&dir.path("run")), before);
    restore();
    // Nor is a run resumed whose append-only files were changed.
    let events = fs::read_dir(dir.path("run/tensorboard")).unwrap().next().unwrap().unwrap().file_name();
    for log in ["rounds.jsonl", "episodes.jsonl", &format!("tensorboard/{}", events.display())] {
        let path = dir.path("run").join(log);
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 4;
        fs::write(&path, bytes).unwrap();
        expect(&dir.run(&["train", "--resume", "run"]), 2, &[log, "differ from their checksum"]);
        restore();
    }
    // An unknown version with correct checksums is refused.
    for name in ["000001", "000002", "000003"] {
        let path = dir.path("run/checkpoints").join(name);
        if path.exists() {
            let text = fs::read_to_string(path.join("checkpoint.json")).unwrap();
            fs::write(path.join("checkpoint.json"), text.replace("\"version\": 1,", "\"version\": 99,")).unwrap();
            write_checksums(&path);
        }
    }
    expect(&dir.run(&["train", "--resume", "run"]), 2, &["is of format `recsim-checkpoint` 99"]);
}

#[test]
fn skipped_checkpoint_is_removed_and_the_metrics_stay_readable() {
    let dir = TestDir::new();
    dir.train("run", &EVERY);
    fs::remove_file(dir.path("run/summary.json")).unwrap();
    let newest = newest_checkpoint(&dir.path("run"));
    fs::write(newest.join("users.safetensors"), b"").unwrap();
    // It resumes from the one before, and its append-only files are truncated. Learning after the ninth round takes for
    // ever, so that no other checkpoint is made.
    let slow = ["--episodes", "3", "--set", "td3.gradient_steps=100000000"];
    let slow = [&slow[..], &["--allow-config-change", "td3.gradient_steps"]].concat();
    let mut run = Process::start(&mut dir.command(&[&["train", "--resume", "run"][..], &slow].concat()));
    run.wait_until(|| !newest.exists());
    expect(&dir.run(&["show", "run"]), 0, &[]);
    drop(run);
    let resume = ["train", "--resume", "run", "--episodes", "2", "--set", "td3.gradient_steps=4"];
    expect(&dir.run(&resume), 0, &[]);
    dir.train("whole", &EVERY);
    assert_eq!(results_of(&dir.path("run")), results_of(&dir.path("whole")));
}

#[test]
fn second_process_on_the_same_run_is_refused() {
    let dir = TestDir::new();
    let long =
        ["train", "--config", "tiny.yaml", "--out", "run", "--rounds", "100000000", "--backend", "reference"];
    let mut run = Process::start(&mut dir.command(&long));
    run.wait_for("episode 1/2 round 1/");
    expect(&dir.run(&["train", "--resume", "run"]), 2, &["run: another program is writing here"]);
    drop(run);
    expect(&dir.run(&["train", "--resume", "nowhere"]), 2, &["nowhere/config.yaml", "no run was started here"]);
}

#[test]
fn full_disk_ends_the_run_and_older_checkpoints_stay() {
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
    assert!(!dir.path("run/checkpoints/.next").exists(), "the incomplete checkpoint is removed");
    expect(&dir.run(&["train", "--resume", "run", "--episodes", "2"]), 0, &[]);
    assert_eq!(results_of(&dir.path("run")), results_of(&dir.path("whole")));
}

#[test]
fn wall_seconds_include_the_time_before_a_resumption() {
    let dir = TestDir::new();
    dir.train("run", &[]);
    fs::remove_file(dir.path("run/summary.json")).unwrap();
    let last = newest_checkpoint(&dir.path("run"));
    let mut info = json(&last.join("checkpoint.json"));
    info["wall_seconds"] = 1e6.into();
    fs::write(last.join("checkpoint.json"), info.to_string()).unwrap();
    write_checksums(&last);
    expect(&dir.run(&["train", "--resume", "run"]), 0, &[]);
    assert!(json(&dir.path("run/summary.json"))["wall_seconds"].as_f64().unwrap() >= 1e6);
}

/// Writes the checksums of a checkpoint's present files.
fn write_checksums(checkpoint: &Path) {
    let sums = "sha256sum $(ls | grep -v SHA) > SHA256SUMS";
    let done = std::process::Command::new("sh").args(["-c", sums]).current_dir(checkpoint).status().unwrap();
    assert!(done.success());
}

/// Asserts the exit code, and the texts that standard error contains.
fn expect(output: &Output, code: i32, texts: &[&str]) {
    let actual = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{actual}");
    texts.iter().for_each(|text| assert!(actual.contains(text), "{text} in: {actual}"));
}

/// The results that a kill must not change: models, beliefs, metrics without times, and the last checkpoint's tensors.
fn results_of(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut results = BTreeMap::new();
    for (name, bytes) in tree(&run.join("models")) {
        results.insert(name.display().to_string(), bytes);
    }
    let mut beliefs = json(&run.join("results/current_user_beliefs.json"));
    beliefs["timestamp"] = Value::Null;
    results.insert("beliefs".to_owned(), beliefs.to_string().into());
    for log in ["rounds.jsonl", "episodes.jsonl"] {
        let mut lines = json_lines(&run.join(log));
        for line in &mut lines {
            (line["seconds"], line["user_steps_per_second"]) = (Value::Null, Value::Null);
        }
        results.insert(log.to_owned(), Value::from(lines).to_string().into());
    }
    if run.join("checkpoints").exists() {
        let last = newest_checkpoint(run);
        let count = fs::read_dir(run.join("checkpoints")).unwrap().count();
        assert!(count <= 2, "two checkpoints stay, not {count}");
        assert_checkpoints_are_whole(run);
        let rows = tree(&last).into_iter().filter(|(name, _)| name.extension().is_some_and(|rows| rows == "rows"));
        // How transitions are divided into files depends on when they were written. The last 100 do not.
        let rows: Vec<u8> = rows.flat_map(|(_, bytes)| bytes).collect();
        let num_bytes = 100 * 4 * (2 * 3 + 6 + 2);
        results.insert("replay".to_owned(), rows[rows.len().saturating_sub(num_bytes)..].to_vec());
        for name in ["agent.safetensors", "users.safetensors"] {
            results.insert(name.to_owned(), fs::read(last.join(name)).unwrap());
        }
    }
    results
}

/// Asserts that every checkpoint matches its checksums.
fn assert_checkpoints_are_whole(run: &Path) {
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
