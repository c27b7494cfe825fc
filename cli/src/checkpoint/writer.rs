//! Writes checkpoints in a thread of their own, during the run.

use std::fmt;
use std::fs::File;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use recsim_core::backend::{Backend, Pending};
use recsim_core::session::checkpoint::CheckpointHeader;
use recsim_core::session::{RunProgress, Session};
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentSpec, AgentState};
use serde::{Deserialize, Serialize};

use super::builder::CheckpointBuilder;
use super::rows::RowLayout;
use super::{CheckpointInfo, FORMAT, RunIdentity, SavedCheckpoint, VERSION};
use crate::files::append_log::LogPosition;
use crate::files::run_dir::RunDir;
use crate::files::timestamp;

/// Takes a run's transitions as they are made, and the rest of a checkpoint's content when one is requested. A thread
/// writes them. The caller waits if the thread has a job to do and another one waiting.
pub(crate) struct CheckpointWriter {
    identity: RunIdentity,
    spec: AgentSpec,
    /// Rounds between checkpoints; `None` if only [`CheckpointWriter::save`] makes them.
    every: Option<u64>,
    /// The number of transitions of the run up to the last one that was handed over.
    handed_over: u64,
    /// The progress in the last checkpoint.
    saved: Option<RunProgress>,
    jobs: SyncSender<WriterJob>,
    thread: JoinHandle<anyhow::Result<CheckpointStats>>,
}

/// Statistics of the checkpoints that a command made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CheckpointStats {
    /// Checkpoints written.
    pub(crate) written: u64,
    /// The path of the last one. If the run's folder was given by a relative path, it is relative to the directory that
    /// the command ran in.
    pub(crate) last: Option<PathBuf>,
    /// The size of the last one.
    pub(crate) bytes: u64,
    /// The time to finish the last one, without its transitions.
    pub(crate) seconds: f64,
    /// The time that the thread took for all of them, with their transitions.
    pub(crate) seconds_of_all: f64,
}

/// The error of a job that came after the thread had failed. [`CheckpointWriter::finish`] returns the cause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriterClosed;

enum WriterJob {
    Rows(Pending<Transitions, anyhow::Error>),
    Save(Box<SaveRequest>),
}

/// A checkpoint's content without its transitions.
struct SaveRequest {
    identity: RunIdentity,
    wall: Duration,
    progress: RunProgress,
    spec: AgentSpec,
    agent: Pending<AgentState, anyhow::Error>,
    beliefs: Pending<Vec<f32>, anyhow::Error>,
    logs: Vec<(String, LogPosition, File)>,
}

impl CheckpointWriter {
    /// Starts the thread. A checkpoint is made after every `every` rounds, or only by [`CheckpointWriter::save`] if
    /// `every` is 0. `resumed_from` is the checkpoint that `session` was resumed from.
    pub(crate) fn start<B: Backend>(
        run_dir: RunDir,
        identity: RunIdentity,
        every: u32,
        session: &Session<B>,
        resumed_from: Option<&SavedCheckpoint>,
    ) -> Self {
        let spec = session.plan().agent.clone();
        let dimensions = spec.action_dim();
        let layout = RowLayout { clusters: spec.state_dim() - dimensions, dimensions };
        let (last, replay) =
            resumed_from.map_or((None, Vec::new()), |saved| (Some(saved.path.clone()), saved.replay.clone()));
        let saved = resumed_from.map(|saved| saved.info.header.progress);
        let handed_over = saved.map_or(0, |progress| progress.transitions);
        let builder = CheckpointBuilder::new(run_dir, layout, spec.buffer_size(), last, replay);
        let (jobs, receiver) = sync_channel(MAX_WAITING_JOBS);
        let thread = thread::spawn(move || write(builder, &receiver));
        let every = (every > 0).then_some(u64::from(every));
        Self { identity, spec, every, handed_over, saved, jobs, thread }
    }

    /// Whether checkpoints are made after a number of rounds.
    pub(crate) fn is_periodic(&self) -> bool {
        self.every.is_some()
    }

    /// Hands over the transitions of the last round. Returns whether [`CheckpointWriter::save`] should be called now.
    ///
    /// # Errors
    /// [`WriterClosed`], or an error of the backend.
    pub(crate) fn round<B: Backend>(&mut self, session: &mut Session<B>) -> anyhow::Result<bool> {
        let Some(every) = self.every else { return Ok(false) };
        let progress = session.progress();
        let remaining = (every - progress.rounds % every) % every;
        // Transitions that the replay buffer overwrites before the next checkpoint need not be written.
        let later_transitions = remaining.saturating_mul(session.plan().schedule.users as u64);
        if later_transitions < self.spec.buffer_size() as u64 {
            self.hand_over(session)?;
        }
        Ok(remaining == 0 && progress.paused.is_none())
    }

    /// Makes a checkpoint of the session as it is, unless the last checkpoint has the same progress. `logs` are the
    /// run's append-only files.
    ///
    /// # Errors
    /// [`WriterClosed`], or an error of the backend.
    pub(crate) fn save<B: Backend>(
        &mut self,
        session: &mut Session<B>,
        wall: Duration,
        logs: Vec<(String, LogPosition, File)>,
    ) -> anyhow::Result<()> {
        let progress = session.progress();
        if self.saved == Some(progress) {
            return Ok(());
        }
        self.hand_over(session)?;
        let (agent, beliefs) = (with_anyhow(session.agent()?), with_anyhow(session.beliefs()?));
        let (identity, spec) = (self.identity.clone(), self.spec.clone());
        let request = SaveRequest { identity, wall, progress, spec, agent, beliefs, logs };
        self.send(WriterJob::Save(Box::new(request)))?;
        self.saved = Some(progress);
        Ok(())
    }

    /// Waits until every job is done.
    ///
    /// # Errors
    /// The error of the job that failed.
    pub(crate) fn finish(self) -> anyhow::Result<CheckpointStats> {
        drop(self.jobs);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn hand_over<B: Backend>(&mut self, session: &mut Session<B>) -> anyhow::Result<()> {
        let inserted = session.progress().transitions;
        let new = (inserted - self.handed_over).min(self.spec.buffer_size() as u64);
        if new > 0 {
            self.handed_over = inserted;
            let rows = with_anyhow(session.transitions(new as usize)?);
            self.send(WriterJob::Rows(rows))?;
        }
        Ok(())
    }

    fn send(&mut self, job: WriterJob) -> anyhow::Result<()> {
        self.jobs.send(job).map_err(|_| WriterClosed.into())
    }
}

/// Converts the error type.
fn with_anyhow<T: Send + 'static, E: Into<anyhow::Error> + Send + 'static>(
    pending: Pending<T, E>,
) -> Pending<T, anyhow::Error> {
    Pending::new(|| pending.wait().map_err(Into::into))
}

/// The thread: does `jobs` until the sender is dropped, or until one fails.
fn write(mut builder: CheckpointBuilder, jobs: &Receiver<WriterJob>) -> anyhow::Result<CheckpointStats> {
    let mut stats = CheckpointStats::default();
    builder.tidy().with_context(|| format!("could not tidy {}", builder.folder().display()))?;
    for job in jobs {
        let start = Instant::now();
        let done = match job {
            WriterJob::Rows(rows) => rows.wait().and_then(|rows| Ok(builder.push(&rows)?)),
            WriterJob::Save(request) => finish(&mut builder, *request, &mut stats),
        };
        if let Err(error) = done {
            builder.abandon();
            return Err(error.context(format!("could not write a checkpoint in {}", builder.folder().display())));
        }
        stats.seconds_of_all += start.elapsed().as_secs_f64();
    }
    // A run that failed between checkpoints has handed over transitions of a checkpoint that will not be made.
    builder.abandon();
    Ok(stats)
}

fn finish(
    builder: &mut CheckpointBuilder,
    request: SaveRequest,
    stats: &mut CheckpointStats,
) -> anyhow::Result<()> {
    let SaveRequest { identity, wall, progress, spec, agent, beliefs, logs } = request;
    let RunIdentity { device, config, world } = identity;
    let (agent, beliefs) = (agent.wait()?, beliefs.wait()?);
    let start = Instant::now();
    let (positions, files): (_, Vec<_>) =
        logs.into_iter().map(|(name, position, file)| ((name, position), file)).unzip();
    let mut info = CheckpointInfo {
        format: FORMAT.to_owned(),
        version: VERSION,
        recsim: env!("CARGO_PKG_VERSION").to_owned(),
        written: timestamp(),
        wall_seconds: wall.as_secs_f64(),
        device,
        config,
        world,
        header: CheckpointHeader::new(progress, &agent),
        logs: positions,
        replay: Vec::new(),
    };
    let built = builder.finish(&mut info, &spec, &agent, &beliefs, &files)?;
    stats.written += 1;
    (stats.last, stats.bytes) = (Some(built.path), built.bytes);
    stats.seconds = start.elapsed().as_secs_f64();
    Ok(())
}

impl std::error::Error for WriterClosed {}

impl fmt::Display for WriterClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread that writes checkpoints has failed")
    }
}

/// Jobs that wait while the thread does another one.
const MAX_WAITING_JOBS: usize = 1;
