//! How far a run has come: a bar for each episode on a terminal, plain lines elsewhere. All on standard error.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use recsim_core::session::config::Schedule;
use recsim_core::session::metrics::{EpisodeReport, RoundReport};

use crate::output::{duration, note, percent, thousands};

/// The progress of a run.
pub(crate) struct Progress {
    style: Style,
    schedule: Schedule,
    began: Instant,
    /// Rounds that had been done before, and by now.
    before: u64,
    rounds: u64,
    round: Part,
}

/// A part of a round, and the time when it began.
struct Part {
    name: &'static str,
    began: Instant,
}

enum Style {
    Quiet,
    Lines { last: Option<Instant> },
    Bar(ProgressBar),
}

impl Progress {
    /// So many rounds were done before. Nothing is shown if `quiet`.
    pub(crate) fn new(schedule: Schedule, before: u64, quiet: bool) -> Self {
        let style = match (quiet, io::stderr().is_terminal()) {
            (true, _) => Style::Quiet,
            (false, false) => Style::Lines { last: None },
            (false, true) => Style::Bar(ProgressBar::hidden()),
        };
        let began = Instant::now();
        Self { style, schedule, began, before, rounds: before, round: Part { name: SERVING, began } }
    }

    /// A round begins.
    pub(crate) fn begin(&mut self, (episode, round): (u32, u32)) {
        if let Style::Bar(bar) = &mut self.style
            && (round == 1 || bar.is_hidden())
        {
            *bar = episode_bar(episode, self.schedule);
            bar.set_position(u64::from(round) - 1);
        }
        self.round = Part { name: SERVING, began: Instant::now() };
    }

    /// Shows, if the round takes long, how many of its users were served.
    pub(crate) fn served(&mut self, users: usize) {
        self.within(SERVING, "users", users as u64, self.schedule.users as u64);
    }

    /// Shows, if learning takes long, how many of its updates are left.
    pub(crate) fn learning(&mut self, left: u32) {
        let all = self.schedule.gradient_steps.max(left);
        self.within(LEARNING, "updates", u64::from(all - left), u64::from(all));
    }

    fn within(&mut self, name: &'static str, unit: &str, done: u64, all: u64) {
        if self.round.name != name {
            self.round = Part { name, began: Instant::now() };
        }
        let taken = self.round.began.elapsed();
        let quiet = match &self.style {
            Style::Quiet => true,
            Style::Bar(_) => false,
            Style::Lines { last } => last.unwrap_or(self.began).elapsed() < BETWEEN_PARTS,
        };
        if quiet || taken < PATIENCE || done == 0 {
            return;
        }
        let left = duration(taken.as_secs_f64() / done as f64 * (all - done) as f64);
        let (done, all) = (thousands(done), thousands(all));
        let message = format!("{name}: {done} of {all} {unit}, {left} to go");
        match &mut self.style {
            Style::Quiet => {}
            Style::Bar(bar) => bar.set_message(message),
            Style::Lines { last } => {
                *last = Some(Instant::now());
                let round = self.rounds % u64::from(self.schedule.rounds_per_episode) + 1;
                note(&format!("round {round}/{}: {message}", self.schedule.rounds_per_episode));
            }
        }
    }

    /// Shows a round that was done.
    pub(crate) fn round(&mut self, report: &RoundReport) {
        self.rounds += 1;
        let total = u64::from(self.schedule.episodes) * u64::from(self.schedule.rounds_per_episode);
        let pace = self.began.elapsed().as_secs_f64() / (self.rounds - self.before) as f64;
        let left = pace * (total - self.rounds) as f64;
        let left = if total > self.rounds { format!("{} left, ", duration(left)) } else { String::new() };
        let pace = format!("{left}{} user-steps/s", thousands(report.user_steps_per_second as u64));
        let state = format!(
            "acceptance {}, reward {:.3}, distance {:.4}",
            percent(report.acceptance_rate),
            report.average_reward,
            report.mean_distance,
        );
        match &mut self.style {
            Style::Quiet => {}
            Style::Lines { last } => {
                if last.is_none_or(|last| last.elapsed() >= BETWEEN_LINES) {
                    *last = Some(Instant::now());
                    let (episodes, rounds) = (self.schedule.episodes, self.schedule.rounds_per_episode);
                    let (episode, round) = (report.episode, report.round);
                    note(&format!("episode {episode}/{episodes} round {round}/{rounds}: {state}, {pace}"));
                }
            }
            Style::Bar(bar) => {
                bar.set_message(format!("{pace}\n{state}"));
                bar.set_position(u64::from(report.round));
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
    // Two lines: all of it fits into 80 columns.
    let template = "episode {prefix} [{bar:12}] {pos}/{len} {msg}";
    let style = ProgressStyle::with_template(template).expect("the template is valid").progress_chars("=> ");
    let bar = ProgressBar::new(u64::from(schedule.rounds_per_episode)).with_style(style);
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
/// Between lines about a round that is not done yet.
const BETWEEN_PARTS: Duration = Duration::from_secs(10);
/// What a person waits without wondering.
const PATIENCE: Duration = Duration::from_secs(2);
const SERVING: &str = "serving";
const LEARNING: &str = "learning";
