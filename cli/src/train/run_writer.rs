//! Writes a run's files during the run.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use recsim_core::backend::Backend;
use recsim_core::session::Session;
use recsim_core::session::metrics::{EpisodeReport, RoundReport, TrainingMonitor};
use serde::Serialize;

use super::logs::RunLogs;
use super::options::TrainOptions;
use super::record::{Resumption, RunEnd, RunRecord, Status};
use super::start::Start;
use super::summary::RunSummary;
use crate::checkpoint::{self, CheckpointWriter, RunIdentity, SavedCheckpoint, WriterClosed};
use crate::config;
use crate::files::atomic::{self, Replacement};
use crate::files::background::Background;
use crate::files::run_dir::RunDir;
use crate::files::trace::TraceWriter;
use crate::files::{beliefs, folder, lines, models, names, timestamp, unless_missing};
use crate::output::note;

/// The open files of a run.
pub(super) struct RunWriter<'scope, 'a> {
    folder: &'a Path,
    users: RunUsers<'a>,
    logs: RunLogs,
    trace: Option<TraceWriter>,
    background: Background<'scope, 'a>,
    checkpoints: CheckpointWriter,
    /// Whether the run was resumed from a checkpoint.
    is_resumed: bool,
    /// Whether the current round's users were served by this process. A round that was resumed has no snapshots to
    /// trace.
    is_served: bool,
    start: Instant,
    /// The time that the run took before it was resumed.
    earlier: Duration,
    run_dir: RunDir,
    /// Locks the folder.
    _claim: Option<File>,
}

/// What the files say about the users.
#[derive(Clone, Copy)]
pub(super) struct RunUsers<'a> {
    pub(super) ids: &'a [String],
    /// `[K]`: the target beliefs.
    pub(super) target: &'a [f32],
}

impl<'scope, 'a: 'scope> RunWriter<'scope, 'a> {
    /// Prepares the run's folder, writes `config.yaml` and `run.json`, and opens the other files. `trace` is the
    /// trace's file and its number of users. All that can fail for lack of space or rights comes before the files of an
    /// older run are removed.
    ///
    /// # Errors
    /// If the folder cannot be used or a file cannot be written.
    pub(super) fn start<B: Backend>(
        options: &'a TrainOptions,
        mut run: RunRecord,
        identity: RunIdentity,
        trace: Option<(PathBuf, usize)>,
        users: RunUsers<'a>,
        session: &Session<B>,
        background: Background<'scope, 'a>,
    ) -> anyhow::Result<Self> {
        let folder = &*options.output;
        let (slate_len, dimensions) = (session.plan().environment.slate_len, session.plan().agent.action_dim());
        let trace = trace.map(|(path, traced)| {
            let parent = atomic::folder_of(&path);
            fs::create_dir_all(parent).with_context(|| format!("could not make {}", parent.display()))?;
            TraceWriter::create(path, traced, dimensions, slate_len, users.target.len())
        });
        let trace = trace.transpose()?;
        let (claim, resumed) = match &options.start {
            Start::New { force } => (folder::prepare(folder, *force)?, None),
            Start::Resumed(resumed) => (None, Some(&**resumed)),
            _ => (None, None),
        };
        let every =
            identity.config.experiment.checkpoint_every.unwrap_or(session.plan().schedule.rounds_per_episode);
        let config = config::plain(&identity.config);
        if let Some(resumed) = resumed {
            let (rounds, changes) = (session.progress().reported_rounds(), resumed.changes.clone());
            let resumption = Resumption { at: timestamp(), rounds, device: run.device.clone(), changes };
            run = RunRecord { episodes: run.episodes, ..RunSummary::record_of(folder)?.unwrap_or(run) };
            run.resumed.push(resumption);
        }
        let config = Replacement::write(&folder.join(names::CONFIG), |file| file.write_all(config.as_bytes()))?;
        let record = json_replacement(&folder.join(names::RUN), &run)?;
        if resumed.is_some() {
            unless_missing(fs::remove_file(folder.join(names::SUMMARY)))
                .context("could not remove the old summary")?;
        } else {
            folder::clear(folder)?;
        }
        // First: without its settings a run cannot be started again.
        config.commit()?;
        record.commit()?;
        let run_dir = RunDir::open(folder).with_context(|| format!("could not open {}", folder.display()))?;
        let logs = match resumed {
            Some(resumed) => RunLogs::resume(folder, &resumed.saved.info.logs)?,
            None => RunLogs::create(folder)?,
        };
        let saved = resumed.map(|resumed| &resumed.saved);
        let checkpoints = CheckpointWriter::start(run_dir.clone(), identity, every, session, saved);
        Ok(Self {
            folder,
            users,
            logs,
            trace,
            background,
            checkpoints,
            is_resumed: saved.is_some(),
            is_served: session.progress().paused.is_none(),
            start: Instant::now(),
            earlier: saved.map_or(Duration::ZERO, SavedCheckpoint::wall),
            run_dir,
            _claim: claim,
        })
    }

    /// The rounds of an episode that the run completed before it was resumed.
    ///
    /// # Errors
    /// If `rounds.jsonl` cannot be read or is damaged.
    pub(super) fn rounds_of(&self, episode: u32) -> anyhow::Result<Vec<RoundReport>> {
        let mut rounds = Vec::new();
        lines::each(&self.folder.join(names::ROUNDS), |round: RoundReport| {
            if round.episode == episode {
                rounds.push(round);
            }
        })?;
        Ok(rounds)
    }

    /// A monitor of the episodes that the run completed before it was resumed.
    ///
    /// # Errors
    /// If `episodes.jsonl` cannot be read or is damaged.
    pub(super) fn monitor(&self) -> anyhow::Result<TrainingMonitor> {
        let mut monitor = TrainingMonitor::default();
        lines::each(&self.folder.join(names::EPISODES), |episode| monitor.push(&episode))?;
        Ok(monitor)
    }

    /// Writes a completed round, and the episode's report if the round was its last. Makes a checkpoint if one is to be
    /// made after this round.
    ///
    /// # Errors
    /// If a file cannot be written, an earlier save has failed, or the folder was moved.
    pub(super) fn round<B: Backend>(
        &mut self,
        report: &RoundReport,
        episode: Option<&EpisodeReport>,
        session: &mut Session<B>,
    ) -> anyhow::Result<()> {
        self.background.poll()?;
        self.run_dir.check()?;
        self.logs.round(session.progress().reported_rounds(), report)?;
        match &mut self.trace {
            Some(trace) if self.is_served => trace.round(session.snapshots())?,
            _ => self.is_served = true,
        }
        if let Some(episode) = episode {
            self.logs.episode(episode)?;
            self.save(episode.episode, session)?;
        }
        if self.checkpoints.round(session)? { self.checkpoint(session) } else { Ok(()) }
    }

    /// Replaces the files of beliefs and models by the session's present ones, in the background.
    ///
    /// # Errors
    /// The error of an earlier save, or of the backend.
    pub(super) fn save<B: Backend>(&mut self, episode: u32, session: &mut Session<B>) -> anyhow::Result<()> {
        let (folder, users, run_dir) = (self.folder, self.users, self.run_dir.clone());
        let (now, agent) = (session.beliefs()?, session.agent()?);
        let plan = session.plan().clone();
        self.background.save(move || {
            run_dir.check()?;
            beliefs::write(&folder.join(names::BELIEFS), episode, users.ids, users.target, &now.wait()?)?;
            // Waiting for an agent with non-finite weights is an error: no file is written.
            models::write(&folder.join(names::MODELS), &plan, &agent.wait()?)
        })
    }

    /// Makes a checkpoint of the session as it is.
    ///
    /// # Errors
    /// [`WriterClosed`], or an error of the backend.
    pub(super) fn checkpoint<B: Backend>(&mut self, session: &mut Session<B>) -> anyhow::Result<()> {
        let (positions, wall) = (self.logs.positions(self.folder)?, self.wall());
        self.checkpoints.save(session, wall, positions)
    }

    /// Makes the checkpoint of a finished run, if checkpoints are periodic or the run was resumed from one: an older
    /// checkpoint would let a finished run be resumed from the middle.
    ///
    /// # Errors
    /// As [`RunWriter::checkpoint`].
    pub(super) fn conclude<B: Backend>(&mut self, session: &mut Session<B>) -> anyhow::Result<()> {
        let is_needed = self.checkpoints.is_periodic() || self.is_resumed;
        if is_needed { self.checkpoint(session) } else { Ok(()) }
    }

    /// Ends a run that failed with `cause`: waits for the saves and checkpoints that are being written, and notes the
    /// last checkpoint. Returns `cause`, with the errors of saves and checkpoints as context.
    pub(super) fn abandon(mut self, mut cause: anyhow::Error) -> anyhow::Error {
        match self.checkpoints.finish() {
            Ok(_) => {}
            Err(error) if cause.is::<WriterClosed>() => cause = error,
            Err(error) => cause = cause.context(format!("a checkpoint failed: {error:#}; and then the run")),
        }
        match self.background.wait() {
            // The same, where an agent with non-finite weights was to be both saved and trained.
            Err(error) if format!("{error:#}") != format!("{cause:#}") => {
                cause = cause.context(format!("the last save failed: {error:#}; and then the run"));
            }
            _ => {}
        }
        if self.run_dir.check().is_ok()
            && let Some(last) = checkpoint::last(&self.folder.join(names::CHECKPOINTS))
        {
            let (last, folder) = (last.display(), self.folder.display());
            note(&format!("the last checkpoint is {last}; resume from it with: recsim train --resume {folder}"));
        }
        cause
    }

    /// Ends a run: waits for the saves and checkpoints that are being written, then writes the trace and
    /// `summary.json`.
    ///
    /// # Errors
    /// If one of them fails, or the folder was moved.
    pub(super) fn finish(mut self, status: Status) -> anyhow::Result<()> {
        self.run_dir.check()?;
        self.background.wait()?;
        let wall = self.wall();
        let checkpoints = self.checkpoints.finish()?;
        let in_folder = [
            names::CONFIG,
            names::RUN,
            names::ROUNDS,
            names::EPISODES,
            names::SUMMARY,
            names::TENSORBOARD,
            names::BELIEFS,
            names::MODELS,
            names::CHECKPOINTS,
        ];
        let files = in_folder.into_iter().filter(|name| *name == names::SUMMARY || self.folder.join(name).exists());
        let files = files.map(str::to_owned).collect();
        let trace = self.trace.as_ref().map(|trace| trace.path().display().to_string());
        self.trace.map_or(Ok(()), TraceWriter::finish)?;
        let end =
            RunEnd { status, ended: timestamp(), wall_seconds: wall.as_secs_f64(), checkpoints, files, trace };
        json_replacement(&self.folder.join(names::SUMMARY), &end)?.commit()
    }

    fn wall(&self) -> Duration {
        self.earlier + self.start.elapsed()
    }
}

/// The replacement of a JSON file.
fn json_replacement(path: &Path, value: &impl Serialize) -> anyhow::Result<Replacement> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    Replacement::write(path, |file| file.write_all(text.as_bytes()))
}
