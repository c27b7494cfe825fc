//! A run's append-only files: metrics of rounds, metrics of episodes, and TensorBoard events.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail};
use recsim_core::session::metrics::{EpisodeReport, RoundReport};

use crate::files::append_log::{AppendLog, LogPosition};
use crate::files::lines::JsonLines;
use crate::files::names;
use crate::files::tensorboard::EventLog;

pub(super) struct RunLogs {
    rounds: JsonLines,
    episodes: JsonLines,
    events: EventLog,
}

impl RunLogs {
    /// Creates them in a run's folder.
    ///
    /// # Errors
    /// If a file cannot be created.
    pub(super) fn create(run: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            rounds: JsonLines(AppendLog::create(run.join(names::ROUNDS))?),
            episodes: JsonLines(AppendLog::create(run.join(names::EPISODES))?),
            events: EventLog::create(&run.join(names::TENSORBOARD))?,
        })
    }

    /// Opens those of a run, truncated at a checkpoint's positions.
    ///
    /// # Errors
    /// If `positions` are not three, or a file cannot be read or written.
    pub(super) fn resume(run: &Path, positions: &[(String, LogPosition)]) -> anyhow::Result<Self> {
        let [rounds, episodes, events] = positions else { bail!("the checkpoint names other append-only files") };
        let log = |(name, position): &(String, LogPosition)| AppendLog::resume(run.join(name), position);
        Ok(Self {
            rounds: JsonLines(log(rounds)?),
            episodes: JsonLines(log(episodes)?),
            events: EventLog(log(events)?),
        })
    }

    /// Appends a completed round, the run's `number`-th.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(super) fn round(&mut self, number: u64, report: &RoundReport) -> anyhow::Result<()> {
        self.rounds.push(report)?;
        self.events.report("round", number, report)
    }

    /// Appends a completed episode.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(super) fn episode(&mut self, report: &EpisodeReport) -> anyhow::Result<()> {
        self.episodes.push(report)?;
        self.events.report("episode", u64::from(report.episode), report)
    }

    /// For each file its path in the run's folder `run`, its position, and a handle to sync it.
    ///
    /// # Errors
    /// If a handle cannot be duplicated.
    pub(super) fn positions(&self, run: &Path) -> anyhow::Result<Vec<(String, LogPosition, File)>> {
        let logs = [&self.rounds.0, &self.episodes.0, &self.events.0].into_iter().map(|log| {
            let name = log.path().strip_prefix(run).context("a run's files lie in its folder")?;
            let (position, file) = log.position()?;
            Ok((name.to_string_lossy().into_owned(), position, file))
        });
        logs.collect()
    }
}
