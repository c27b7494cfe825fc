//! A run of as many episodes as there is time for takes no more of the machine at its end than when it had begun.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::TestDir;

#[test]
fn a_long_run_takes_no_more_and_more() {
    // Hours of it with RECSIM_SOAK_MINUTES=120, as docs/reliability.md has it.
    let minutes = std::env::var("RECSIM_SOAK_MINUTES").map_or(0.15, |number| number.parse().unwrap());
    let time = Duration::from_secs_f64(60.0 * minutes);
    let dir = TestDir::new();
    let endless = ["train", "-q", "--config", "tiny.yaml", "--out", "run", "--episodes", "4294967295"];
    let ring = ["--set", "td3.buffer_size=1000"];
    let began = usage_of(&dir, &[&endless[..], &ring].concat(), time);
    let resumed = usage_of(&dir, &["train", "-q", "--resume", "run"], time / 10);

    let episodes = fs::read_to_string(dir.path("run/episodes.jsonl")).unwrap().lines().count();
    println!("{episodes} episodes, each with a checkpoint: {began:?}; gone on with: {resumed:?}");
    for (name, usage) in [("the run", began), ("the run gone on with", resumed)] {
        let (early, late) = (usage.early, usage.late);
        assert!(late.resident <= early.resident + SLACK, "{name}: {early:?} became {late:?}");
        assert!(late.threads <= early.threads + AT_TIMES, "{name}: {early:?} became {late:?}");
        assert!(late.files <= early.files + AT_TIMES, "{name}: {early:?} became {late:?}");
    }
    assert!(resumed.late.resident <= began.late.resident + SLACK, "{began:?} became {resumed:?}");
}

/// The most of what a program had at any of several moments.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// Bytes of memory.
    resident: u64,
    threads: u64,
    /// Open files.
    files: u64,
}

#[derive(Clone, Copy, Debug)]
struct Usage {
    /// In the second fifth of the time.
    early: Share,
    /// In the last.
    late: Share,
}

/// What the command takes, which goes on for so long and is then interrupted.
fn usage_of(dir: &TestDir, arguments: &[&str], time: Duration) -> Usage {
    let mut run = dir.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let (mut early, mut late) = (Share::default(), Share::default());
    while began.elapsed() < time {
        sleep(time / 500);
        match 5.0 * began.elapsed().as_secs_f64() / time.as_secs_f64() {
            1.0..2.0 => early.add(&mut run),
            4.0..5.0 => late.add(&mut run),
            _ => {}
        }
    }
    assert!(std::process::Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    Usage { early, late }
}

impl Share {
    /// What a program has now.
    fn add(&mut self, run: &mut Child) {
        assert!(run.try_wait().unwrap().is_none(), "the run has ended");
        let about = Path::new("/proc").join(run.id().to_string());
        let status = fs::read_to_string(about.join("status")).unwrap();
        let number = |key: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim_end_matches("kB").trim().parse().unwrap()
        };
        self.resident = self.resident.max(1024 * number("VmRSS:"));
        self.threads = self.threads.max(number("Threads:"));
        self.files = self.files.max(fs::read_dir(about.join("fd")).unwrap().count() as u64);
    }
}

/// What an allocator may keep of the pages that it was given back, however long a run: far below what it would lose in
/// hours if an episode lost a hundred bytes.
const SLACK: u64 = 2 << 20;

/// Threads and files that are there for a moment only, in which nobody may have looked.
const AT_TIMES: u64 = 4;
