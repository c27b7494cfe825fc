//! How far a run has come: a bar for each episode on a terminal, plain lines elsewhere. All on standard error.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use recsim_core::config::Schedule;
use recsim_core::metrics::{EpisodeReport, RoundReport};

use crate::output::{duration, note, percent, thousands};

/// The progress of a run.
pub(crate) struct Progress {
    style: Style,
    schedule: Schedule,
    began: Instant,
    rounds: u64,
}

enum Style {
    Quiet,
    Lines { last: Option<Instant> },
    Bar(ProgressBar),
}

impl Progress {
    /// Nothing is shown if `quiet`.
    pub(crate) fn new(schedule: Schedule, quiet: bool) -> Self {
        let style = match (quiet, io::stderr().is_terminal()) {
            (true, _) => Style::Quiet,
            (false, false) => Style::Lines { last: None },
            (false, true) => Style::Bar(ProgressBar::hidden()),
        };
        Self { style, schedule, began: Instant::now(), rounds: 0 }
    }

    /// Shows a round that was done.
    pub(crate) fn round(&mut self, report: &RoundReport) {
        self.rounds += 1;
        let total = u64::from(self.schedule.episodes) * u64::from(self.schedule.rounds);
        let left = self.began.elapsed().as_secs_f64() / self.rounds as f64 * (total - self.rounds) as f64;
        let left = if total > self.rounds { format!("{} left, ", duration(left)) } else { String::new() };
        let message = format!(
            "{left}acceptance {}, reward {:.3}, distance {:.4}, {} user-steps/s",
            percent(report.acceptance_rate),
            report.average_reward,
            report.mean_distance,
            thousands(report.user_steps_per_second as u64),
        );
        match &mut self.style {
            Style::Quiet => {}
            Style::Lines { last } => {
                if last.is_none_or(|last| last.elapsed() >= BETWEEN_LINES) {
                    *last = Some(Instant::now());
                    let (episodes, rounds) = (self.schedule.episodes, self.schedule.rounds);
                    let (episode, round) = (report.episode, report.round);
                    note(&format!("episode {episode}/{episodes} round {round}/{rounds}: {message}"));
                }
            }
            Style::Bar(bar) => {
                if report.round == 1 {
                    *bar = episode_bar(report.episode, self.schedule);
                }
                bar.set_position(u64::from(report.round));
                bar.set_message(message);
            }
        }
    }

    /// Shows an episode that was done.
    pub(crate) fn episode(&mut self, report: &EpisodeReport) {
        let episodes = self.schedule.episodes;
        let line = format!(
            "episode {}/{episodes}: acceptance {}, reward {:.3}, distance {:.4} -> {:.4}, {} improved, {}",
            report.episode,
            percent(report.acceptance_rate),
            report.average_reward,
            report.initial_distance,
            report.mean_distance,
            percent(report.improved_share),
            duration(report.seconds.total),
        );
        match &self.style {
            Style::Quiet => {}
            Style::Lines { .. } => note(&line),
            Style::Bar(bar) => {
                bar.finish_and_clear();
                note(&line);
            }
        }
    }

    /// Says something beside the progress.
    pub(crate) fn say(&self, line: &str) {
        match &self.style {
            Style::Quiet => {}
            Style::Lines { .. } => note(line),
            Style::Bar(bar) => bar.suspend(|| note(line)),
        }
    }
}

fn episode_bar(episode: u32, schedule: Schedule) -> ProgressBar {
    let template = "episode {prefix} [{bar:16}] {pos}/{len} {wide_msg}";
    let style = ProgressStyle::with_template(template).expect("the template is valid").progress_chars("=> ");
    let bar = ProgressBar::new(u64::from(schedule.rounds)).with_style(style);
    bar.with_prefix(format!("{episode}/{}", schedule.episodes))
}

/// Something that takes a while, and cannot say how long.
pub(crate) struct Waiting(Option<ProgressBar>);

impl Waiting {
    /// Says what is being waited for.
    pub(crate) fn begin(what: &str) -> Self {
        if !io::stderr().is_terminal() {
            note(&format!("{what}..."));
            return Self(None);
        }
        let spinner = ProgressBar::new_spinner().with_message(format!("{what}..."));
        spinner.enable_steady_tick(Duration::from_millis(100));
        Self(Some(spinner))
    }

    /// It is over.
    pub(crate) fn end(self) {
        if let Some(spinner) = self.0 {
            spinner.finish_and_clear();
        }
    }
}

const BETWEEN_LINES: Duration = Duration::from_secs(1);
