//! What a run leaves, as it goes.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use recsim_core::backend::Device;
use recsim_core::config::Plan;
use recsim_core::metrics::{EpisodeReport, RoundReport};
use recsim_core::session::Session;
use recsim_core::world::World;
use serde::Serialize;

use super::options::Options;
use super::record::{End, Run, Status};
use crate::config;
use crate::files::background::Background;
use crate::files::lines::JsonLines;
use crate::files::tensorboard::Events;
use crate::files::trace::Trace;
use crate::files::{atomic, beliefs, folder, models, names, timestamp};

/// The open files of a run.
pub(super) struct Leavings<'scope, 'a> {
    folder: &'a Path,
    user_ids: &'a [String],
    target: &'a [f32],
    rounds: JsonLines,
    episodes: JsonLines,
    tensorboard: Events,
    trace: Option<Trace>,
    rounds_done: u64,
    background: Background<'scope, 'a>,
    /// Keeps other runs out of the folder.
    _claim: Option<File>,
}

impl<'scope, 'a: 'scope> Leavings<'scope, 'a> {
    /// Makes the folder and writes what is known: the configuration first.
    pub(super) fn begin(
        options: &'a Options,
        run: &Run,
        plan: &Plan,
        trace: Option<(PathBuf, usize)>,
        user_ids: &'a [String],
        world: &World<'a>,
        background: Background<'scope, 'a>,
    ) -> anyhow::Result<Self> {
        let target = world.target();
        let folder = &*options.output;
        let (shown, dimensions) = (plan.environment.shown, plan.learner.action());
        let trace = trace.map(|(path, users)| {
            let above = atomic::folder_of(&path);
            std::fs::create_dir_all(above).with_context(|| format!("could not make {}", above.display()))?;
            Trace::create(path, users, dimensions, shown, target.len())
        });
        // What refuses the run must do so while the old one is there.
        let trace = trace.transpose()?;
        let claim = folder::prepare(folder, options.force)?;
        let mut config = options.settings.config.settled(plan, &world.shape());
        run.device.settle(&mut config);
        let config = config::plain(&config);
        atomic::replace(&folder.join(names::CONFIG), |file| file.write_all(config.as_bytes()))?;
        write_json(&folder.join(names::RUN), run)?;
        Ok(Self {
            folder,
            user_ids,
            target,
            rounds: JsonLines::create(folder.join(names::ROUNDS))?,
            episodes: JsonLines::create(folder.join(names::EPISODES))?,
            tensorboard: Events::create(&folder.join(names::TENSORBOARD))?,
            trace,
            rounds_done: 0,
            background,
            _claim: claim,
        })
    }

    /// After every round.
    pub(super) fn round<B: Device>(
        &mut self,
        report: &RoundReport,
        session: &mut Session<B>,
    ) -> anyhow::Result<()> {
        self.background.look()?;
        self.rounds_done += 1;
        self.rounds.push(report)?;
        self.tensorboard.report("round", self.rounds_done, report)?;
        match &mut self.trace {
            Some(trace) => trace.round(session.snapshots()),
            None => Ok(()),
        }
    }

    /// After every episode.
    pub(super) fn episode(&mut self, report: &EpisodeReport) -> anyhow::Result<()> {
        self.episodes.push(report)?;
        self.tensorboard.report("episode", u64::from(report.episode), report)
    }

    /// After every episode and on interruption: beliefs and models as they are now, written while the run goes on.
    pub(super) fn save<B: Device>(&mut self, episode: u32, session: &mut Session<B>) -> anyhow::Result<()> {
        let (folder, user_ids, target) = (self.folder, self.user_ids, self.target);
        let (users, agent) = (session.beliefs()?, session.agent()?);
        let learner = session.plan().learner.clone();
        self.background.save(move || {
            beliefs::write(&folder.join(names::BELIEFS), episode, user_ids, target, &users.wait()?)?;
            // A spoilt agent is an error, and no file.
            models::write(&folder.join(names::MODELS), &learner, &agent.wait()?)
        })
    }

    /// After a failure: what is being written is written first. An error of that is told too.
    pub(super) fn abandon(mut self, why: anyhow::Error) -> anyhow::Error {
        match self.background.wait() {
            Ok(()) => why,
            Err(error) => why.context(format!("the last save failed: {error:#}; and then the run")),
        }
    }

    /// At the end: the trace, and how it ended.
    pub(super) fn finish(mut self, status: Status, wall_seconds: f64) -> anyhow::Result<()> {
        self.background.wait()?;
        let in_folder = [
            names::CONFIG,
            names::RUN,
            names::ROUNDS,
            names::EPISODES,
            names::SUMMARY,
            names::TENSORBOARD,
            names::BELIEFS,
            names::MODELS,
        ];
        let files = in_folder.map(str::to_owned).into();
        let trace = self.trace.as_ref().map(|trace| trace.path().display().to_string());
        self.trace.map_or(Ok(()), Trace::finish)?;
        let end = End { status, ended: timestamp(), wall_seconds, files, trace };
        write_json(&self.folder.join(names::SUMMARY), &end)
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    atomic::replace(path, |file| file.write_all(text.as_bytes()))
}
