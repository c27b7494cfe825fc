//! The progress of a training run on standard error: a bar for each episode on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use recsim_core::session::config::Schedule;
use recsim_core::session::metrics::{EpisodeReport, RoundReport};

use crate::output::{duration, note, percent, thousands};

/// Counts the rounds of a training run and displays them.
pub(crate) struct Progress {
    display: ProgressDisplay,
    schedule: Schedule,
    start: Instant,
    /// Rounds that were done when this was created: a resumed run has some.
    initial_rounds: u64,
    /// Rounds that are done.
    rounds: u64,
    phase: RoundPhase,
}

/// The current phase of a round, and when it started.
struct RoundPhase {
    name: &'static str,
    start: Instant,
}

enum ProgressDisplay {
    Quiet,
    Lines { last: Option<Instant> },
    Bar(ProgressBar),
}

impl Progress {
    /// Starts the clock of a run of which `initial_rounds` rounds are done. Displays nothing if `quiet`.
    pub(crate) fn new(schedule: Schedule, initial_rounds: u64, quiet: bool) -> Self {
        let display = match (quiet, io::stderr().is_terminal()) {
            (true, _) => ProgressDisplay::Quiet,
            (false, false) => ProgressDisplay::Lines { last: None },
            (false, true) => ProgressDisplay::Bar(ProgressBar::hidden()),
        };
        let start = Instant::now();
        let phase = RoundPhase { name: SERVING, start };
        Self { display, schedule, start, initial_rounds, rounds: initial_rounds, phase }
    }

    /// Notes that a round starts. Both numbers start at 1.
    pub(crate) fn begin(&mut self, (episode, round): (u32, u32)) {
        if let ProgressDisplay::Bar(bar) = &mut self.display
            && (round == 1 || bar.is_hidden())
        {
            *bar = episode_bar(episode, self.schedule);
            bar.set_position(u64::from(round) - 1);
        }
        self.phase = RoundPhase { name: SERVING, start: Instant::now() };
    }

    /// Displays how many users of this round were served, if the round takes longer than [`PATIENCE`].
    pub(crate) fn served(&mut self, users: usize) {
        self.within_round(SERVING, "users", users as u64, self.schedule.users as u64);
    }

    /// Displays how many updates were made, given those that remain, if they take longer than [`PATIENCE`].
    pub(crate) fn learning(&mut self, remaining_updates: u32) {
        let total = self.schedule.gradient_steps.max(remaining_updates);
        self.within_round(LEARNING, "updates", u64::from(total - remaining_updates), u64::from(total));
    }

    fn within_round(&mut self, phase: &'static str, unit: &str, done: u64, total: u64) {
        if self.phase.name != phase {
            self.phase = RoundPhase { name: phase, start: Instant::now() };
        }
        let elapsed = self.phase.start.elapsed();
        let is_silent = match &self.display {
            ProgressDisplay::Quiet => true,
            ProgressDisplay::Bar(_) => false,
            ProgressDisplay::Lines { last } => last.unwrap_or(self.start).elapsed() < PHASE_LINE_INTERVAL,
        };
        if is_silent || elapsed < PATIENCE || done == 0 {
            return;
        }
        let left = duration(elapsed.as_secs_f64() / done as f64 * (total - done) as f64);
        let (done, total) = (thousands(done), thousands(total));
        let message = format!("{phase}: {done} of {total} {unit}, {left} left");
        match &mut self.display {
            ProgressDisplay::Quiet => {}
            ProgressDisplay::Bar(bar) => bar.set_message(message),
            ProgressDisplay::Lines { last } => {
                *last = Some(Instant::now());
                let round = self.rounds % u64::from(self.schedule.rounds_per_episode) + 1;
                note(&format!("round {round}/{}: {message}", self.schedule.rounds_per_episode));
            }
        }
    }

    /// Counts and displays a finished round.
    pub(crate) fn round(&mut self, report: &RoundReport) {
        self.rounds += 1;
        let total = u64::from(self.schedule.episodes) * u64::from(self.schedule.rounds_per_episode);
        let seconds_per_round = self.start.elapsed().as_secs_f64() / (self.rounds - self.initial_rounds) as f64;
        let left = seconds_per_round * (total - self.rounds) as f64;
        let left = if total > self.rounds { format!("{} left, ", duration(left)) } else { String::new() };
        let speed = format!("{left}{} user-steps/s", thousands(report.user_steps_per_second as u64));
        let state = format!(
            "acceptance {}, reward {:.3}, distance {:.4}",
            percent(report.acceptance_rate),
            report.average_reward,
            report.mean_distance,
        );
        match &mut self.display {
            ProgressDisplay::Quiet => {}
            ProgressDisplay::Lines { last } => {
                if last.is_none_or(|last| last.elapsed() >= LINE_INTERVAL) {
                    *last = Some(Instant::now());
                    let (episodes, rounds) = (self.schedule.episodes, self.schedule.rounds_per_episode);
                    let (episode, round) = (report.episode, report.round);
                    note(&format!("episode {episode}/{episodes} round {round}/{rounds}: {state}, {speed}"));
                }
            }
            ProgressDisplay::Bar(bar) => {
                bar.set_message(format!("{speed}\n{state}"));
                bar.set_position(u64::from(report.round));
            }
        }
    }

    /// Displays a finished episode.
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
        match &self.display {
            ProgressDisplay::Quiet => {}
            ProgressDisplay::Lines { .. } => note(&line),
            ProgressDisplay::Bar(bar) => {
                bar.finish_and_clear();
                note(&line);
            }
        }
    }

    /// Prints a line without disturbing the bar. Prints nothing if this is quiet.
    pub(crate) fn say(&self, line: &str) {
        match &self.display {
            ProgressDisplay::Quiet => {}
            ProgressDisplay::Lines { .. } => note(line),
            ProgressDisplay::Bar(bar) => bar.suspend(|| note(line)),
        }
    }
}

fn episode_bar(episode: u32, schedule: Schedule) -> ProgressBar {
    // The message has two lines, so that everything fits into 80 columns.
    let template = "episode {prefix} [{bar:12}] {pos}/{len} {msg}";
    let style = ProgressStyle::with_template(template).expect("the template is valid").progress_chars("=> ");
    let bar = ProgressBar::new(u64::from(schedule.rounds_per_episode)).with_style(style);
    bar.with_prefix(format!("{episode}/{}", schedule.episodes))
}

/// A spinner for work whose duration is unknown.
pub(crate) struct Waiting(Option<ProgressBar>);

impl Waiting {
    /// Displays `what`: a spinner on a terminal, one line elsewhere.
    pub(crate) fn begin(what: &str) -> Self {
        if !io::stderr().is_terminal() {
            note(&format!("{what}..."));
            return Self(None);
        }
        let spinner = ProgressBar::new_spinner().with_message(format!("{what}..."));
        spinner.enable_steady_tick(Duration::from_millis(100));
        Self(Some(spinner))
    }

    /// Removes the spinner.
    pub(crate) fn end(self) {
        if let Some(spinner) = self.0 {
            spinner.finish_and_clear();
        }
    }
}

const LINE_INTERVAL: Duration = Duration::from_secs(1);
/// Between lines about an unfinished round.
const PHASE_LINE_INTERVAL: Duration = Duration::from_secs(10);
/// A phase that is shorter displays nothing of its own.
const PATIENCE: Duration = Duration::from_secs(2);
const SERVING: &str = "serving";
const LEARNING: &str = "learning";
