//! The files of a run that grow: a line a round, a line an episode, TensorBoard's events.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail};
use recsim_core::session::metrics::{EpisodeReport, RoundReport};

use crate::files::lines::JsonLines;
use crate::files::log::{Log, Mark};
use crate::files::names;
use crate::files::tensorboard::Events;

/// All three.
pub(super) struct Logs {
    rounds: JsonLines,
    episodes: JsonLines,
    events: Events,
}

impl Logs {
    /// Empty ones in a run's folder.
    pub(super) fn create(run: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            rounds: JsonLines(Log::create(run.join(names::ROUNDS))?),
            episodes: JsonLines(Log::create(run.join(names::EPISODES))?),
            events: Events::create(&run.join(names::TENSORBOARD))?,
        })
    }

    /// Those of a run, as far as a checkpoint knew them.
    pub(super) fn resume(run: &Path, marks: &[(String, Mark)]) -> anyhow::Result<Self> {
        let [rounds, episodes, events] = marks else { bail!("the checkpoint names other files that grow") };
        let log = |(name, mark): &(String, Mark)| Log::resume(run.join(name), mark);
        Ok(Self {
            rounds: JsonLines(log(rounds)?),
            episodes: JsonLines(log(episodes)?),
            events: Events(log(events)?),
        })
    }

    /// A round that was done, the run's `number`-th.
    pub(super) fn round(&mut self, number: u64, report: &RoundReport) -> anyhow::Result<()> {
        self.rounds.push(report)?;
        self.events.report("round", number, report)
    }

    /// An episode that was done.
    pub(super) fn episode(&mut self, report: &EpisodeReport) -> anyhow::Result<()> {
        self.episodes.push(report)?;
        self.events.report("episode", u64::from(report.episode), report)
    }

    /// How far they have come, by their names in the run's folder.
    pub(super) fn marks(&self, run: &Path) -> anyhow::Result<Vec<(String, Mark, File)>> {
        let logs = [&self.rounds.0, &self.episodes.0, &self.events.0].into_iter().map(|log| {
            let name = log.path().strip_prefix(run).context("a run's files lie in its folder")?;
            let (mark, file) = log.mark()?;
            Ok((name.to_string_lossy().into_owned(), mark, file))
        });
        logs.collect()
    }
}
