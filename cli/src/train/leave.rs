//! What a run leaves, as it goes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use recsim_core::backend::Backend;
use recsim_core::session::Session;
use recsim_core::session::metrics::{EpisodeReport, RoundReport, TrainingMonitor};
use serde::Serialize;

use super::logs::Logs;
use super::options::{Options, Start};
use super::record::{End, Resumption, Run, Status};
use super::summary::Summary;
use crate::checkpoint::{self, Closed, Found, Subject, Writer};
use crate::config;
use crate::files::atomic::{self, Replacement};
use crate::files::background::Background;
use crate::files::home::Home;
use crate::files::trace::Trace;
use crate::files::{beliefs, folder, lines, models, names, timestamp, unless_missing};
use crate::output::note;

/// The open files of a run.
pub(super) struct Leavings<'scope, 'a> {
    folder: &'a Path,
    users: Users<'a>,
    logs: Logs,
    trace: Option<Trace>,
    background: Background<'scope, 'a>,
    checkpoints: Writer,
    /// Whether there was a checkpoint that the run went on from.
    resumed: bool,
    /// Whether the round's users were served since the run was begun or gone on with: else nobody knows what they did.
    is_served: bool,
    began: Instant,
    /// What the run had taken before it was gone on with.
    before: Duration,
    home: Home,
    /// Keeps other runs out of the folder.
    _claim: Option<File>,
}

/// The users, as a run's files tell of them.
#[derive(Clone, Copy)]
pub(super) struct Users<'a> {
    pub(super) ids: &'a [String],
    /// `[K]`: what they are steered towards.
    pub(super) target: &'a [f32],
}

impl<'scope, 'a: 'scope> Leavings<'scope, 'a> {
    /// Makes the folder, or takes up the one there is, and writes what is known: the configuration first.
    pub(super) fn begin<B: Backend>(
        options: &'a Options,
        mut run: Run,
        subject: Subject,
        trace: Option<(PathBuf, usize)>,
        users: Users<'a>,
        session: &Session<B>,
        background: Background<'scope, 'a>,
    ) -> anyhow::Result<Self> {
        let folder = &*options.output;
        let (shown, dimensions) = (session.plan().environment.slate_len, session.plan().agent.action_dim());
        let trace = trace.map(|(path, traced)| {
            let above = atomic::folder_of(&path);
            fs::create_dir_all(above).with_context(|| format!("could not make {}", above.display()))?;
            Trace::create(path, traced, dimensions, shown, users.target.len())
        });
        // What refuses the run must do so while the old one is there.
        let trace = trace.transpose()?;
        let (claim, found) = match &options.start {
            Start::Afresh { force } => (folder::prepare(folder, *force)?, None),
            Start::Resumed(resumed) => (None, Some(&**resumed)),
            _ => (None, None),
        };
        let every =
            subject.config.experiment.checkpoint_every.unwrap_or(session.plan().schedule.rounds_per_episode);
        let config = config::plain(&subject.config);
        if let Some(resumed) = found {
            let (rounds, changes) = (session.progress().reported_rounds(), resumed.changes.clone());
            let again = Resumption { at: timestamp(), rounds, device: run.device.clone(), changes };
            run = Run { episodes: run.episodes, ..Summary::run_of(folder)?.unwrap_or(run) };
            run.resumed.push(again);
        }
        // A full disk refuses them before anything older goes.
        let config = Replacement::write(&folder.join(names::CONFIG), |file| file.write_all(config.as_bytes()))?;
        let about = beside(&folder.join(names::RUN), &run)?;
        if found.is_some() {
            unless_missing(fs::remove_file(folder.join(names::SUMMARY)))
                .context("could not remove the old summary")?;
        } else {
            folder::clear(folder)?;
        }
        // Without its settings a run cannot even be begun again.
        config.commit()?;
        about.commit()?;
        let home = Home::at(folder).with_context(|| format!("could not open {}", folder.display()))?;
        let logs = match found {
            Some(resumed) => Logs::resume(folder, &resumed.found.about.logs)?,
            None => Logs::create(folder)?,
        };
        let found = found.map(|resumed| &resumed.found);
        let checkpoints = Writer::begin(home.clone(), subject, every, session, found);
        Ok(Self {
            folder,
            users,
            logs,
            trace,
            background,
            checkpoints,
            resumed: found.is_some(),
            is_served: session.progress().paused.is_none(),
            began: Instant::now(),
            before: found.map_or(Duration::ZERO, Found::wall),
            home,
            _claim: claim,
        })
    }

    /// The rounds of an episode that the run had begun before it was gone on with.
    pub(super) fn rounds_of(&self, episode: u32) -> anyhow::Result<Vec<RoundReport>> {
        let mut rounds = Vec::new();
        lines::each(&self.folder.join(names::ROUNDS), |round: RoundReport| {
            if round.episode == episode {
                rounds.push(round);
            }
        })?;
        Ok(rounds)
    }

    /// What the episodes showed that the run had done before it was gone on with.
    pub(super) fn course(&self) -> anyhow::Result<TrainingMonitor> {
        let mut course = TrainingMonitor::default();
        lines::each(&self.folder.join(names::EPISODES), |episode| course.push(&episode))?;
        Ok(course)
    }

    /// After every round, with the episode if it was its last.
    pub(super) fn round<B: Backend>(
        &mut self,
        report: &RoundReport,
        episode: Option<&EpisodeReport>,
        session: &mut Session<B>,
    ) -> anyhow::Result<()> {
        self.background.look()?;
        self.home.look()?;
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

    /// After every episode and on interruption: beliefs and models as they are now, written while the run goes on.
    pub(super) fn save<B: Backend>(&mut self, episode: u32, session: &mut Session<B>) -> anyhow::Result<()> {
        let (folder, users, home) = (self.folder, self.users, self.home.clone());
        let (now, agent) = (session.beliefs()?, session.agent()?);
        let plan = session.plan().clone();
        self.background.save(move || {
            home.look()?;
            beliefs::write(&folder.join(names::BELIEFS), episode, users.ids, users.target, &now.wait()?)?;
            // A spoilt agent is an error, and no file.
            models::write(&folder.join(names::MODELS), &plan, &agent.wait()?)
        })
    }

    /// Makes a checkpoint of the session as it is.
    pub(super) fn checkpoint<B: Backend>(&mut self, session: &mut Session<B>) -> anyhow::Result<()> {
        let (marks, wall) = (self.logs.marks(self.folder)?, self.wall());
        self.checkpoints.save(session, wall, marks)
    }

    /// When the last round is done: a checkpoint, unless none are wanted and none is there, or the last one is it.
    pub(super) fn conclude<B: Backend>(&mut self, session: &mut Session<B>) -> anyhow::Result<()> {
        // An older one would make a finished run one that can be gone on with from there.
        let wanted = self.checkpoints.are_wanted() || self.resumed;
        if wanted { self.checkpoint(session) } else { Ok(()) }
    }

    /// After a failure: what is being written is written first, and what is left to go on from is named. An error of that
    /// is told too.
    pub(super) fn abandon(mut self, mut why: anyhow::Error) -> anyhow::Error {
        match self.checkpoints.finish() {
            Ok(_) => {}
            Err(error) if why.is::<Closed>() => why = error,
            Err(error) => why = why.context(format!("a checkpoint failed: {error:#}; and then the run")),
        }
        match self.background.wait() {
            // The same agent was to be saved and to be trained.
            Err(error) if format!("{error:#}") != format!("{why:#}") => {
                why = why.context(format!("the last save failed: {error:#}; and then the run"));
            }
            _ => {}
        }
        if self.home.look().is_ok()
            && let Some(last) = checkpoint::last(&self.folder.join(names::CHECKPOINTS))
        {
            let (last, folder) = (last.display(), self.folder.display());
            note(&format!("the last checkpoint is {last}; go on from there with: recsim train --resume {folder}"));
        }
        why
    }

    /// At the end: the trace, and how it ended.
    pub(super) fn finish(mut self, status: Status) -> anyhow::Result<()> {
        self.home.look()?;
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
        self.trace.map_or(Ok(()), Trace::finish)?;
        let end = End { status, ended: timestamp(), wall_seconds: wall.as_secs_f64(), checkpoints, files, trace };
        beside(&self.folder.join(names::SUMMARY), &end)?.commit()
    }

    fn wall(&self) -> Duration {
        self.before + self.began.elapsed()
    }
}

/// A JSON file that shall stand in a file's place.
fn beside(path: &Path, value: &impl Serialize) -> anyhow::Result<Replacement> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    Replacement::write(path, |file| file.write_all(text.as_bytes()))
}
