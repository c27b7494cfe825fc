//! A long run uses no more memory, threads and open files at its end than near its start.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(target_os = "linux")]

mod common;
mod process;

use std::fs;
use std::path::Path;

use common::TestDir;
use process::Process;

#[test]
fn resource_use_of_a_long_run_is_constant() {
    // Hours of it with RECSIM_SOAK_EPISODES=170000: see docs/reliability.md.
    let num_episodes = std::env::var("RECSIM_SOAK_EPISODES").map_or(150, |number| number.parse().unwrap());
    let dir = TestDir::new();
    let endless = ["train", "--config", "tiny.yaml", "--out", "run", "--episodes", "4294967295"];
    let buffer = ["--set", "td3.buffer_size=1000"];
    let started = usage_of(&dir, &[&endless[..], &buffer].concat(), num_episodes);
    let resumed = usage_of(&dir, &["train", "--resume", "run"], num_episodes / 10);

    let episodes = fs::read_to_string(dir.path("run/episodes.jsonl")).unwrap().lines().count();
    println!("{episodes} episodes, each with a checkpoint: {started:?}; resumed: {resumed:?}");
    for (name, usage) in [("the run", started), ("the resumed run", resumed)] {
        let (early, late) = (usage.early, usage.late);
        assert!(late.resident <= early.resident + SLACK, "{name}: {early:?} became {late:?}");
        assert!(late.threads <= early.threads + MAX_BRIEF, "{name}: {early:?} became {late:?}");
        assert!(late.files <= early.files + MAX_BRIEF, "{name}: {early:?} became {late:?}");
    }
    assert!(resumed.late.resident <= started.late.resident + SLACK, "{started:?} became {resumed:?}");
}

/// The maxima of a process's resources over several samples.
#[derive(Clone, Copy, Debug, Default)]
struct Resources {
    /// Bytes of memory.
    resident: u64,
    threads: u64,
    /// Open files.
    files: u64,
}

#[derive(Clone, Copy, Debug)]
struct Usage {
    /// In the second fifth of the episodes.
    early: Resources,
    /// In the last fifth.
    late: Resources,
}

/// Runs the command for `num_episodes`, and then interrupts it.
fn usage_of(dir: &TestDir, arguments: &[&str], num_episodes: usize) -> Usage {
    let mut run = Process::start(&mut dir.command(arguments));
    let (mut early, mut late) = (Resources::default(), Resources::default());
    for episode in 0..num_episodes {
        // An episode's line; those of rounds have another word before the colon.
        run.wait_for("/4294967295: ");
        match 5 * episode / num_episodes {
            1 => early.sample(run.id()),
            4 => late.sample(run.id()),
            _ => {}
        }
    }
    run.signal("INT");
    assert_eq!(run.finish().status.code(), Some(130));
    Usage { early, late }
}

impl Resources {
    /// Adds a sample of a running process.
    fn sample(&mut self, id: u32) {
        let proc = Path::new("/proc").join(id.to_string());
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let value = |key: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim_end_matches("kB").trim().parse().unwrap()
        };
        self.resident = self.resident.max(1024 * value("VmRSS:"));
        self.threads = self.threads.max(value("Threads:"));
        self.files = self.files.max(fs::read_dir(proc.join("fd")).unwrap().count() as u64);
    }
}

/// Bytes that an allocator may keep of freed pages, however long the run. A run of hours would exceed it if an episode
/// leaked a hundred bytes.
const SLACK: u64 = 2 << 20;

/// Threads and files that exist so briefly that a sample may miss them.
const MAX_BRIEF: u64 = 4;
