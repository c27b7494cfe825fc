//! The progress of an evaluation on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use recsim_core::session::config::Schedule;

use super::names::PolicyName;
use crate::output::{duration, note, thousands};

/// Counts the rounds of an evaluation and displays them.
pub(super) struct EvaluationProgress {
    display: EvaluationDisplay,
    policies: Vec<String>,
    num_seeds: usize,
    rounds_per_episode: u32,
    num_users: usize,
    start: Instant,
    rounds_done: u64,
}

enum EvaluationDisplay {
    Quiet,
    Lines { last: Instant },
    Bar(ProgressBar),
}

impl EvaluationProgress {
    /// Starts the clock. Displays nothing if `quiet`.
    pub(super) fn new(policies: &[PolicyName], num_seeds: usize, schedule: &Schedule, quiet: bool) -> Self {
        let total = (policies.len() * num_seeds) as u64 * u64::from(schedule.rounds_per_episode);
        let display = match (quiet, io::stderr().is_terminal()) {
            (true, _) => EvaluationDisplay::Quiet,
            (false, false) => EvaluationDisplay::Lines { last: Instant::now() },
            (false, true) => EvaluationDisplay::Bar(bar(total)),
        };
        Self {
            display,
            policies: policies.iter().map(ToString::to_string).collect(),
            num_seeds,
            rounds_per_episode: schedule.rounds_per_episode,
            num_users: schedule.users,
            start: Instant::now(),
            rounds_done: 0,
        }
    }

    /// Counts a finished round. `seed` and `policy` are indices from 0, `round` is numbered from 1.
    pub(super) fn round(&mut self, seed: usize, policy: usize, round: u32) {
        self.rounds_done += 1;
        let total = (self.policies.len() * self.num_seeds) as u64 * u64::from(self.rounds_per_episode);
        let elapsed = self.start.elapsed().as_secs_f64();
        let left = duration(elapsed / self.rounds_done as f64 * (total - self.rounds_done) as f64);
        let user_steps = self.rounds_done as f64 * self.num_users as f64;
        let rate = thousands((user_steps / elapsed.max(f64::MIN_POSITIVE)) as u64);
        let (seed, num_seeds, rounds) = (seed + 1, self.num_seeds, self.rounds_per_episode);
        let position = format!("seed {seed}/{num_seeds} {} round {round}/{rounds}", self.policies[policy]);
        match &mut self.display {
            EvaluationDisplay::Quiet => {}
            EvaluationDisplay::Lines { last } => {
                if self.rounds_done == total || last.elapsed() >= LINE_INTERVAL {
                    *last = Instant::now();
                    note(&format!("{position}: {left} left, {rate} user-steps/s"));
                }
            }
            EvaluationDisplay::Bar(bar) => {
                bar.set_message(format!("{left} left, {rate} user-steps/s\n{position}"));
                bar.inc(1);
            }
        }
    }

    /// Removes the bar from the terminal.
    pub(super) fn end(&self) {
        if let EvaluationDisplay::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:20}] {pos}/{len} {msg}").expect("the template is valid");
    ProgressBar::new(total).with_style(style.progress_chars("=> "))
}

const LINE_INTERVAL: Duration = Duration::from_secs(2);
