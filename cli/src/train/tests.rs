//! Interrupts runs at every point at which they look for an interruption, without signals.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use safetensors::SafeTensors;
use serde_json::Value;

use super::*;
use crate::arguments::{Arguments, Command};

/// 2 episodes of 4 rounds. 4 updates follow rounds 3 and 6.
const SETTINGS: &str = "\
training: {episodes: 2, rounds_per_episode: 4, warmup_transitions: 40, batch_size: 16}
td3: {hidden_sizes: [12, 8], batch_size: 8, gradient_steps: 4, buffer_size: 100}
recommendation: {rl_list_size: 4, total_recommendations: 8}
experiment: {seed: 5, backend: reference, checkpoint_every: 3}
world: {users: 40, items: 120, clusters: 3, dimensions: 6}
";
/// One after each round, and one before each update.
const NUM_POLLS: usize = 8 + 2 * 4;

#[test]
fn interruption_at_any_poll_changes_no_result() {
    let dir = TrainDir::new();
    let uninterrupted = dir.results("whole", std::iter::empty());
    let mut num_paused = 0;
    for poll in 1..NUM_POLLS {
        let out = format!("at-{poll}");
        assert!(!dir.start(&out, Some(poll)), "poll {poll} comes before the end");
        num_paused += usize::from(!dir.progress(&out)["paused"].is_null());
        assert!(dir.resume(&out, None, &[]));
        assert!(dir.read(&out) == uninterrupted, "interrupted at poll {poll}");
    }
    assert_eq!(num_paused, 2 * 4, "one before each update");
}

#[test]
fn repeated_interruptions_change_no_result() {
    let dir = TrainDir::new();
    let uninterrupted = dir.results("whole", std::iter::empty());
    // The first poll of a paused round comes before any update: 1 would make no progress.
    for polls in 2..7 {
        let out = format!("every-{polls}");
        let results = dir.results(&out, std::iter::repeat(polls));
        assert!(results == uninterrupted, "interrupted at every {polls}th poll");
    }
}

#[test]
fn trace_of_a_resumed_run_begins_with_the_first_round_that_it_serves() {
    let dir = TrainDir::new();
    // Polls 1 and 2 follow rounds 1 and 2; poll 4 comes after an update of round 3.
    assert!(!dir.start("run", Some(4)));
    assert_eq!(dir.progress("run")["paused"]["remaining_updates"], 3);
    assert_eq!(dir.lines("run", "rounds.jsonl").len(), 2, "a paused round is not reported");
    let trace = dir.path("trace.safetensors");
    let more = ["--trace", trace.to_str().unwrap(), "--trace-users", "3"];
    assert!(dir.resume("run", None, &more));
    let bytes = fs::read(trace).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("reward").unwrap().shape(), [5, 3], "rounds 4 to 8");
    let beliefs = file.tensor("belief_before").unwrap();
    let mut beliefs = beliefs.data().as_chunks().0.iter().map(|&word| f32::from_le_bytes(word));
    assert!(beliefs.any(|belief| belief > 0.0));
}

/// A folder with the settings, for runs in folders below it.
struct TrainDir(tempfile::TempDir);

impl TrainDir {
    fn new() -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        fs::write(dir.path("settings.yaml"), SETTINGS).unwrap();
        dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Starts a run in `out`, interrupted at its `stop_at`-th poll. Returns whether it finished.
    fn start(&self, out: &str, stop_at: Option<usize>) -> bool {
        let (settings, out) = (self.path("settings.yaml"), self.path(out));
        train(&["--config", settings.to_str().unwrap(), "--out", out.to_str().unwrap()], stop_at)
    }

    fn resume(&self, out: &str, stop_at: Option<usize>, more: &[&str]) -> bool {
        let out = self.path(out);
        train(&[&["--resume", out.to_str().unwrap()], more].concat(), stop_at)
    }

    /// The results of a run whose n-th start is interrupted at the n-th of the polls `stops`.
    fn results(&self, out: &str, mut stops: impl Iterator<Item = usize>) -> BTreeMap<String, Vec<u8>> {
        let mut num_starts = 1;
        let mut is_finished = self.start(out, stops.next());
        while !is_finished {
            is_finished = self.resume(out, stops.next(), &[]);
            num_starts += 1;
        }
        let record: Value = serde_json::from_slice(&fs::read(self.path(out).join("run.json")).unwrap()).unwrap();
        assert_eq!(record["resumed"].as_array().map_or(0, Vec::len), num_starts - 1);
        self.read(out)
    }

    /// All that must not depend on interruptions: models, metrics without times, and the newest checkpoint's tensors.
    fn read(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        let run = self.path(out);
        let tensors = |folder: &Path| {
            let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
            let read = |path: PathBuf| (path.file_name().unwrap().display().to_string(), fs::read(path).unwrap());
            files.map(read).collect::<Vec<_>>()
        };
        let mut results = BTreeMap::from_iter(tensors(&run.join("models")));
        assert_eq!(results.len(), 6);
        results.extend(tensors(&self.newest_checkpoint(out)));
        assert_eq!(results.len(), 6 + 2);
        for file in ["rounds.jsonl", "episodes.jsonl"] {
            let mut lines = self.lines(out, file);
            for line in &mut lines {
                (line["seconds"], line["user_steps_per_second"]) = (Value::Null, Value::Null);
            }
            results.insert(file.to_owned(), Value::from(lines).to_string().into());
        }
        results
    }

    fn lines(&self, out: &str, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(out).join(file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The progress in the newest checkpoint.
    fn progress(&self, out: &str) -> Value {
        let text = fs::read(self.newest_checkpoint(out).join("checkpoint.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["header"]["progress"].clone()
    }

    fn newest_checkpoint(&self, out: &str) -> PathBuf {
        checkpoint::last(&self.path(out).join("checkpoints")).unwrap()
    }
}

/// Trains in this process, interrupted at the `stop_at`-th poll. Returns whether the run finished.
fn train(arguments: &[&str], stop_at: Option<usize>) -> bool {
    let words = [&["recsim", "train", "-q"], arguments].concat();
    let Ok(Arguments { command: Command::Train(arguments) }) = Arguments::try_parse_from(words) else {
        panic!("{arguments:?} are not arguments of train")
    };
    let num_polls = Cell::new(0);
    let poll = || {
        num_polls.set(num_polls.get() + 1);
        stop_at.filter(|&stop_at| num_polls.get() >= stop_at).map(|_| Interrupted { code: 130 })
    };
    match run_until(&arguments, || Ok(poll)) {
        Ok(()) => true,
        Err(error) => {
            assert!(error.is::<Interrupted>(), "{error:#}");
            false
        }
    }
}
