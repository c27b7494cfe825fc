//! The summary of a run, which `recsim show` prints, read from the run's files.

use std::fmt;
use std::path::Path;

use indicatif::HumanBytes;
use recsim_core::session::metrics::{EpisodeReport, RoundReport, TrainingMonitor, TrainingWarning};
use serde::Serialize;
use serde::de::IgnoredAny;

use super::record::{RunEnd, RunRecord, Status};
use crate::checkpoint::{self, CheckpointStats};
use crate::error::BadInput;
use crate::files::{lines, names, read_json};
use crate::output::{counted, duration, percent, table, thousands};

/// A run up to now.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RunSummary {
    folder: String,
    run: RunRecord,
    episodes: Vec<EpisodeReport>,
    /// Warnings about learning, as of the last episode.
    warnings: Vec<TrainingWarning>,
    /// The last completed round. Its episode may be incomplete.
    last_round: Option<RoundReport>,
    /// `None` while the run continues, or if it was killed.
    end: Option<RunEnd>,
}

impl RunSummary {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// A `BadInput` if the folder has no run, or if a file is missing or damaged.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        if !folder.join(names::RUN).is_file() {
            let problem = format!("this is not a run's folder: there is no {} in it", names::RUN);
            let remedy = "give the folder that `recsim train` named at its end";
            return Err(BadInput::new(folder.display(), problem, remedy).into());
        }
        let end = folder.join(names::SUMMARY);
        let episodes: Vec<EpisodeReport> = lines::read(&folder.join(names::EPISODES))?;
        let end: Option<RunEnd> = if end.exists() { Some(read_json(&end)?) } else { None };
        let is_over = end.as_ref().is_some_and(|end| end.status == Status::Finished);
        let (run, last_round) = (read_json(&folder.join(names::RUN))?, lines::last(&folder.join(names::ROUNDS))?);
        checkpoint::check_metrics(folder)?;
        Ok(Self {
            folder: folder.display().to_string(),
            run,
            warnings: episodes.iter().collect::<TrainingMonitor>().run_warnings(is_over).collect(),
            episodes,
            last_round,
            end,
        })
    }

    /// How the run in a folder ended; `None` if it has not, or its `summary.json` cannot be read.
    pub(super) fn status_of(folder: &Path) -> Option<Status> {
        read_json(&folder.join(names::SUMMARY)).ok().map(|end: RunEnd| end.status)
    }

    /// The `run.json` in a folder, if there is one.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub(super) fn record_of(folder: &Path) -> anyhow::Result<Option<RunRecord>> {
        let path = folder.join(names::RUN);
        if path.symlink_metadata().is_ok() { read_json(&path).map(Some) } else { Ok(None) }
    }

    /// The number of rounds in a folder's `rounds.jsonl`.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub(super) fn rounds_of(folder: &Path) -> anyhow::Result<u64> {
        let mut rounds = 0;
        lines::each(&folder.join(names::ROUNDS), |_: IgnoredAny| rounds += 1)?;
        Ok(rounds)
    }

    fn facts(&self) -> Vec<Vec<String>> {
        let Self { run, .. } = self;
        let mut facts = vec![
            ("run", format!("{} ({})", self.folder, self.status())),
            ("started", format!("{} UTC, seed {}, recsim {}", run.started, run.seed, run.version)),
            ("backend", self.backend()),
            ("world", self.world()),
        ];
        if let Some(round) = &self.last_round {
            let items = counted(round.total_interactions as usize, "item");
            facts.push(("interactions", format!("{items} shown, {}", counted(round.updates as usize, "update"))));
        }
        let resumed: Vec<String> = run
            .resumed
            .iter()
            .map(|resumption| format!("after {}", counted(resumption.rounds as usize, "round")))
            .collect();
        if !resumed.is_empty() {
            facts.push(("resumed", resumed.join(", ")));
        }
        if let Some(end) = &self.end {
            facts.push(("time", self.time(end)));
            if let Some(last) = &end.checkpoints.last {
                facts.push(("checkpoint", checkpoint(last, &end.checkpoints)));
            }
        }
        facts.into_iter().map(|(name, fact)| vec![name.to_owned(), fact]).collect()
    }

    fn status(&self) -> String {
        let Some(round) = &self.last_round else { return "no round finished".to_owned() };
        let at = format!("episode {} round {}", round.episode, round.round);
        match self.end.as_ref().map(|end| end.status) {
            Some(Status::Finished) => "finished".to_owned(),
            Some(Status::Interrupted) => format!("interrupted after {at}"),
            None => format!("not finished: last seen at {at}"),
        }
    }

    fn backend(&self) -> String {
        let device = &self.run.device;
        let shadow = device.shadow.as_ref().map_or(String::new(), |shadow| format!(", checked by {shadow}"));
        format!("{}, {}, {}{shadow}", device.backend, counted(device.threads, "thread"), device.instruction_set)
    }

    fn world(&self) -> String {
        let world = &self.run.world;
        format!(
            "{}: {} of {}, {}, {}, {}",
            world.path.as_deref().unwrap_or("generated"),
            thousands(self.run.users_per_round as u64),
            counted(world.users, "user"),
            counted(world.items, "item"),
            counted(world.clusters, "cluster"),
            counted(world.dimensions, "dimension"),
        )
    }

    fn time(&self, end: &RunEnd) -> String {
        let sum = |part: fn(&EpisodeReport) -> f64| {
            self.episodes.iter().map(part).fold(0.0, |sum, seconds| sum + seconds)
        };
        let part = |part| duration(sum(part));
        format!(
            "{} in all; in finished episodes: policy {}, matching {}, step {}, training {}",
            duration(end.wall_seconds),
            part(|episode| episode.seconds.policy),
            part(|episode| episode.seconds.matching),
            part(|episode| episode.seconds.step),
            part(|episode| episode.seconds.training),
        )
    }

    fn episodes(&self) -> String {
        let header = [
            "episode",
            "acceptance",
            "reward",
            "trend",
            "distance",
            "improved",
            "combined",
            "saturation",
            "value",
            "return",
            "user-steps/s",
        ];
        let rows = self.episodes.iter().map(|episode| {
            vec![
                episode.episode.to_string(),
                percent(episode.acceptance_rate),
                format!("{:.3}", episode.average_reward),
                format!("{:+.3}", episode.reward_trend),
                format!("{:.4} -> {:.4}", episode.initial_distance, episode.mean_distance),
                percent(episode.improved_share),
                format!("{:.4}", episode.combined_score),
                percent(episode.action_saturation),
                number(episode.learning.as_ref().map(|learning| learning.q_value)),
                number(episode.discounted_return),
                thousands(episode.user_steps_per_second as u64),
            ]
        });
        table(&header, rows, true)
    }
}

impl fmt::Display for RunSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table(&[], self.facts(), false))?;
        if !self.episodes.is_empty() {
            write!(f, "\n{}", self.episodes())?;
        }
        for warning in &self.warnings {
            writeln!(f, "\nwarning: {warning}")?;
        }
        if let Some(end) = &self.end {
            writeln!(f, "\nfiles")?;
            for file in &end.files {
                writeln!(f, "  {}", Path::new(&self.folder).join(file).display())?;
            }
            if let Some(trace) = &end.trace {
                writeln!(f, "  {trace}")?;
            }
        }
        Ok(())
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

fn checkpoint(last: &Path, stats: &CheckpointStats) -> String {
    format!(
        "{} ({}); {} written, the last in {}, all in {} during the run",
        last.display(),
        HumanBytes(stats.bytes),
        stats.written,
        duration(stats.seconds),
        duration(stats.seconds_of_all),
    )
}
