//! How far an evaluation has come: a bar on a terminal, plain lines elsewhere. All on standard error.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use recsim_core::session::config::Schedule;

use super::names::Name;
use crate::output::{duration, note, thousands};

/// The progress of an evaluation.
pub(super) struct Progress {
    style: Style,
    policies: Vec<String>,
    seeds: usize,
    rounds: u32,
    users: usize,
    began: Instant,
    done: u64,
}

enum Style {
    Quiet,
    Lines { last: Instant },
    Bar(ProgressBar),
}

impl Progress {
    /// Nothing is shown if `quiet`.
    pub(super) fn new(policies: &[Name], seeds: usize, schedule: &Schedule, quiet: bool) -> Self {
        let all = (policies.len() * seeds) as u64 * u64::from(schedule.rounds_per_episode);
        let style = match (quiet, io::stderr().is_terminal()) {
            (true, _) => Style::Quiet,
            (false, false) => Style::Lines { last: Instant::now() },
            (false, true) => Style::Bar(bar(all)),
        };
        Self {
            style,
            policies: policies.iter().map(ToString::to_string).collect(),
            seeds,
            rounds: schedule.rounds_per_episode,
            users: schedule.users,
            began: Instant::now(),
            done: 0,
        }
    }

    /// Shows a round that was done.
    pub(super) fn round(&mut self, seed: usize, policy: usize, round: u32) {
        self.done += 1;
        let all = (self.policies.len() * self.seeds) as u64 * u64::from(self.rounds);
        let taken = self.began.elapsed().as_secs_f64();
        let left = duration(taken / self.done as f64 * (all - self.done) as f64);
        let rate = thousands((self.done as f64 * self.users as f64 / taken.max(f64::MIN_POSITIVE)) as u64);
        let (seed, seeds, rounds) = (seed + 1, self.seeds, self.rounds);
        let place = format!("seed {seed}/{seeds} {} round {round}/{rounds}", self.policies[policy]);
        match &mut self.style {
            Style::Quiet => {}
            Style::Lines { last } => {
                if self.done == all || last.elapsed() >= BETWEEN_LINES {
                    *last = Instant::now();
                    note(&format!("{place}: {left} left, {rate} user-steps/s"));
                }
            }
            Style::Bar(bar) => {
                bar.set_message(format!("{left} left, {rate} user-steps/s\n{place}"));
                bar.inc(1);
            }
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Style::Bar(bar) = &self.style {
            bar.finish_and_clear();
        }
    }
}

fn bar(all: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:20}] {pos}/{len} {msg}").expect("the template is valid");
    ProgressBar::new(all).with_style(style.progress_chars("=> "))
}

const BETWEEN_LINES: Duration = Duration::from_secs(2);
