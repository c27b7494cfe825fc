//! Writes checkpoints while the run goes on.

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

use super::draft::Draft;
use super::rows::Row;
use super::{About, FORMAT, Found, Subject, VERSION};
use crate::files::home::Home;
use crate::files::log::Mark;
use crate::files::timestamp;

/// Takes a run's transitions as they come, and what else a checkpoint holds when one is due. A thread of its own writes
/// them; a run that is faster than the disk waits.
pub(crate) struct Writer {
    subject: Subject,
    spec: AgentSpec,
    /// Rounds between checkpoints.
    every: Option<u64>,
    /// Transitions that were handed over, of all that were brought to the ring.
    handed: u64,
    /// The progress that the last checkpoint has.
    saved: Option<RunProgress>,
    jobs: SyncSender<Job>,
    thread: JoinHandle<anyhow::Result<Kept>>,
}

/// What a run's checkpoints came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Checkpoints written.
    pub(crate) written: u64,
    /// The last, in the run's folder.
    pub(crate) last: Option<PathBuf>,
    /// Its size.
    pub(crate) bytes: u64,
    /// What it took to finish it, its transitions apart.
    pub(crate) seconds: f64,
    /// What all of them took, transitions included, while the run went on.
    pub(crate) seconds_of_all: f64,
}

/// No more checkpoints can be written: [`Writer::finish`] says why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed;

enum Job {
    Rows(Pending<Transitions, anyhow::Error>),
    Save(Box<Save>),
}

/// All of a checkpoint but its transitions.
struct Save {
    subject: Subject,
    wall: Duration,
    progress: RunProgress,
    spec: AgentSpec,
    agent: Pending<AgentState, anyhow::Error>,
    beliefs: Pending<Vec<f32>, anyhow::Error>,
    logs: Vec<(String, Mark, File)>,
}

impl Writer {
    /// Checkpoints of `session` in its run's folder, every so many rounds, or none but those that are asked for; the first
    /// follows `found`, if the session does.
    pub(crate) fn begin<B: Backend>(
        home: Home,
        subject: Subject,
        every: u32,
        session: &Session<B>,
        found: Option<&Found>,
    ) -> Self {
        let spec = session.plan().agent.clone();
        let dimensions = spec.action_dim();
        let row = Row { clusters: spec.state_dim() - dimensions, dimensions };
        let (last, parts) =
            found.map_or((None, Vec::new()), |found| (Some(found.path.clone()), found.parts.clone()));
        let saved = found.map(|found| found.about.header.progress);
        let handed = saved.map_or(0, |progress| progress.transitions);
        let draft = Draft::new(home, row, spec.buffer_size(), last, parts);
        let (jobs, due) = sync_channel(WAITING);
        let thread = thread::spawn(move || write(draft, &due));
        let every = (every > 0).then_some(u64::from(every));
        Self { subject, spec, every, handed, saved, jobs, thread }
    }

    /// Whether checkpoints are made without being asked for.
    pub(crate) fn are_wanted(&self) -> bool {
        self.every.is_some()
    }

    /// After every round: hands over what it brought to the ring. Whether a checkpoint is due.
    pub(crate) fn round<B: Backend>(&mut self, session: &mut Session<B>) -> anyhow::Result<bool> {
        let Some(every) = self.every else { return Ok(false) };
        let progress = session.progress();
        let left = (every - progress.rounds % every) % every;
        // What the next checkpoint's ring will not hold need not be written.
        let to_come = left.saturating_mul(session.plan().schedule.users as u64);
        if to_come < self.spec.buffer_size() as u64 {
            self.hand_over(session)?;
        }
        Ok(left == 0 && progress.paused.is_none())
    }

    /// Makes a checkpoint of the session as it is, unless the last one is. `logs` are the run's files that grow.
    pub(crate) fn save<B: Backend>(
        &mut self,
        session: &mut Session<B>,
        wall: Duration,
        logs: Vec<(String, Mark, File)>,
    ) -> anyhow::Result<()> {
        let progress = session.progress();
        if self.saved == Some(progress) {
            return Ok(());
        }
        self.hand_over(session)?;
        let (agent, beliefs) = (told(session.agent()?), told(session.beliefs()?));
        let (subject, spec) = (self.subject.clone(), self.spec.clone());
        self.send(Job::Save(Box::new(Save { subject, wall, progress, spec, agent, beliefs, logs })))?;
        self.saved = Some(progress);
        Ok(())
    }

    /// Waits until all is written.
    pub(crate) fn finish(self) -> anyhow::Result<Kept> {
        drop(self.jobs);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn hand_over<B: Backend>(&mut self, session: &mut Session<B>) -> anyhow::Result<()> {
        let brought = session.progress().transitions;
        let new = (brought - self.handed).min(self.spec.buffer_size() as u64);
        if new > 0 {
            self.handed = brought;
            let rows = told(session.transitions(new as usize)?);
            self.send(Job::Rows(rows))?;
        }
        Ok(())
    }

    fn send(&mut self, job: Job) -> anyhow::Result<()> {
        self.jobs.send(job).map_err(|_| Closed.into())
    }
}

fn told<T: Send + 'static, E: Into<anyhow::Error> + Send + 'static>(
    later: Pending<T, E>,
) -> Pending<T, anyhow::Error> {
    Pending::new(|| later.wait().map_err(Into::into))
}

fn write(mut draft: Draft, due: &Receiver<Job>) -> anyhow::Result<Kept> {
    let mut kept = Kept::default();
    draft.tidy().with_context(|| format!("could not tidy {}", draft.folder().display()))?;
    for job in due {
        let began = Instant::now();
        let done = match job {
            Job::Rows(rows) => rows.wait().and_then(|rows| Ok(draft.push(&rows)?)),
            Job::Save(save) => finish(&mut draft, *save, &mut kept),
        };
        if let Err(error) = done {
            draft.abandon();
            return Err(error.context(format!("could not write a checkpoint in {}", draft.folder().display())));
        }
        kept.seconds_of_all += began.elapsed().as_secs_f64();
    }
    // Of a run that failed between checkpoints: transitions of one that will never be due.
    draft.abandon();
    Ok(kept)
}

fn finish(draft: &mut Draft, save: Save, kept: &mut Kept) -> anyhow::Result<()> {
    let Save { subject: Subject { device, config, world }, wall, progress, spec, agent, beliefs, logs } = save;
    let (agent, beliefs) = (agent.wait()?, beliefs.wait()?);
    let began = Instant::now();
    let (logs_then, logs): (_, Vec<_>) = logs.into_iter().map(|(name, mark, file)| ((name, mark), file)).unzip();
    let mut about = About {
        format: FORMAT.to_owned(),
        version: VERSION,
        recsim: env!("CARGO_PKG_VERSION").to_owned(),
        written: timestamp(),
        wall_seconds: wall.as_secs_f64(),
        device,
        config,
        world,
        header: CheckpointHeader::new(progress, &agent),
        logs: logs_then,
        replay: Vec::new(),
    };
    let finished = draft.finish(&mut about, &spec, &agent, &beliefs, &logs)?;
    kept.written += 1;
    (kept.last, kept.bytes) = (Some(finished.path), finished.bytes);
    kept.seconds = began.elapsed().as_secs_f64();
    Ok(())
}

impl std::error::Error for Closed {}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("checkpoints can be written no longer")
    }
}

/// Jobs that wait while one is done.
const WAITING: usize = 1;
