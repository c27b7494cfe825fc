//! `recsim train` and `recsim show`.

mod changes;
mod logs;
mod options;
mod record;
mod resume;
mod run_writer;
mod start;
mod summary;
#[cfg(test)]
mod tests;

use std::time::Instant;

use recsim_core::backend::Backend;
use recsim_core::session::metrics::EpisodeReport;
use recsim_core::session::{RoundObserver, Session};

use crate::arguments::{Show, Train};
use crate::checkpoint::{self, RunIdentity};
use crate::device::{DeviceInfo, DeviceJob};
use crate::error::Interrupted;
use crate::files::background::Background;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::world::WorldFile;
use crate::{output, source};
use options::TrainOptions;
pub(crate) use record::{RunEnd, RunRecord, Status};
use run_writer::{RunUsers, RunWriter};
use start::Start;
use summary::RunSummary;

/// Runs the experiment. Checks all that can be checked before it writes anything.
///
/// # Errors
/// A `BadInput` for what the user gave, [`Interrupted`] after an interruption, or what failed.
pub(crate) fn run(arguments: &Train) -> anyhow::Result<()> {
    let quiet = arguments.quiet;
    run_until(arguments, move || {
        let interrupt = Interrupt::listen(move || {
            if !quiet {
                output::note("\nfinishing what was begun, then saving; once more ends at once");
            }
        })?;
        Ok(move || interrupt.asked())
    })
}

/// [`run`] with another source of interruptions: `listen` returns a function that says whether the run should stop.
fn run_until<P: Fn() -> Option<Interrupted>>(
    arguments: &Train,
    listen: impl FnOnce() -> anyhow::Result<P>,
) -> anyhow::Result<()> {
    let options = TrainOptions::resolve(arguments)?;
    if let Start::Finished = options.start {
        if !options.quiet {
            output::note(&format!("the run in {} has finished: nothing is left to do", options.output.display()));
        }
        return print_summary(&options);
    }
    options.device.check()?;
    let world = source::world(&options.settings, options.device.threads(), options.quiet)?;
    options.device.clone().run(TrainingJob { options: &options, world, listen })
}

/// Resolves the arguments, and does nothing else.
#[cfg(fuzzing)]
pub(crate) fn check_arguments(arguments: &Train) -> anyhow::Result<()> {
    TrainOptions::resolve(arguments).map(drop)
}

/// Prints a run's summary from its files.
///
/// # Errors
/// If the folder has no run, a file is damaged, or standard output cannot be written.
pub(crate) fn show(arguments: &Show) -> anyhow::Result<()> {
    let summary = RunSummary::read(&arguments.run)?;
    if arguments.json { output::json(&summary) } else { output::text(&summary.to_string()) }
}

/// A run with resolved options and an open world.
struct TrainingJob<'a, L> {
    options: &'a TrainOptions,
    world: WorldFile,
    /// Begins to listen for interruptions.
    listen: L,
}

impl<L, P> DeviceJob for TrainingJob<'_, L>
where
    L: FnOnce() -> anyhow::Result<P>,
    P: Fn() -> Option<Interrupted>,
{
    type Output = ();

    fn run<B: Backend>(self, backend: B, about: DeviceInfo) -> anyhow::Result<()> {
        let Self { options, world, listen } = self;
        let settings = &options.settings;
        let view = world.view()?;
        let plan = settings.config.plan(&view).map_err(|invalid| source::refuse(settings, &invalid))?;
        let trace = options.trace(plan.schedule.users)?;
        let quiet = options.quiet;
        let mut config = settings.config.resolved(&plan, &view.shape());
        about.record_instruction_set(&mut config, matches!(options.start, Start::Resumed(_)));
        let identity = RunIdentity { device: about.clone(), config, world: checkpoint::fingerprint(&view) };
        let poll = listen()?;
        let run = RunRecord::new(about, source::provenance(&settings.config, &world, view.shape()), &view, &plan);
        // Before an older run is replaced: the device may lack the memory.
        let mut session = match &options.start {
            Start::Resumed(resumed) => resumed.session(backend, &view, plan, &identity, quiet)?,
            _ => Session::new(backend, &view, plan)?,
        };
        session.record_users(trace.as_ref().map_or(0, |&(_, traced)| traced));
        let target = view.target().to_vec();
        // The backend has a copy of the world: this one is dropped.
        let ids = world.into_user_ids();
        let users = RunUsers { ids: &ids, target: &target };
        let mut progress = Progress::new(session.plan().schedule, session.progress().reported_rounds(), quiet);
        let interrupted = std::thread::scope(|scope| {
            let background = Background::new(scope);
            let mut writer = RunWriter::start(options, run, identity, trace, users, &session, background)?;
            let interrupted = match train(&mut session, &mut writer, &mut progress, &poll) {
                Ok(interrupted) => interrupted,
                Err(error) => return Err(writer.abandon(error)),
            };
            writer.finish(if interrupted.is_some() { Status::Interrupted } else { Status::Finished })?;
            Ok(interrupted)
        })?;
        let Some(interrupted) = interrupted else { return print_summary(options) };
        let folder = options.output.display();
        let (episode, round) = session.next_round();
        let remaining = session
            .progress()
            .paused
            .map(|round| format!(", of which {} updates are left", round.remaining_updates));
        let remaining = remaining.unwrap_or_default();
        progress
            .say(&format!("stopped before episode {episode} round {round}{remaining}; the files are in {folder}"));
        progress.say(&format!("resume with: recsim train --resume {folder}"));
        Err(interrupted.into())
    }
}

/// Prints the summary of a finished run.
fn print_summary(options: &TrainOptions) -> anyhow::Result<()> {
    let summary = RunSummary::read(&options.output)?;
    match (options.json, options.quiet) {
        (true, _) => output::json(&summary),
        (false, true) => Ok(()),
        (false, false) => output::text(&format!("\n{summary}")),
    }
}

/// Trains to the end of the session, or until `poll` returns an interruption: then it saves and makes a checkpoint.
fn train<B: Backend>(
    session: &mut Session<B>,
    writer: &mut RunWriter<'_, '_>,
    progress: &mut Progress,
    poll: &impl Fn() -> Option<Interrupted>,
) -> anyhow::Result<Option<Interrupted>> {
    let epoch = Instant::now();
    let (episode, _) = session.next_round();
    let mut rounds = writer.rounds_of(episode)?;
    let mut monitor = writer.monitor()?;
    if session.is_finished() {
        // The process may have been killed before it wrote the last results.
        writer.save(session.plan().schedule.episodes, session)?;
    }
    while !session.is_finished() {
        let next = session.next_round();
        progress.begin(next);
        if let Some(report) = session.round(&mut TrainObserver { epoch, poll, progress })? {
            progress.round(&report);
            rounds.push(report);
            let is_complete = rounds.len() == session.plan().schedule.rounds_per_episode as usize;
            let discount = session.plan().agent.td3.discount;
            let episode = is_complete
                .then(|| EpisodeReport::from_rounds(&rounds, session.initial_distance(), discount))
                .flatten();
            writer.round(&rounds[rounds.len() - 1], episode.as_ref(), session)?;
            if let Some(episode) = episode {
                progress.episode(&episode);
                monitor.push(&episode);
                for warning in monitor.new_warnings() {
                    progress.say(&format!("warning: {warning}"));
                }
                rounds.clear();
            }
        }
        if let Some(interrupted) = poll().filter(|_| !session.is_finished()) {
            writer.save(next.0, session)?;
            writer.checkpoint(session)?;
            return Ok(Some(interrupted));
        }
    }
    writer.conclude(session)?;
    Ok(None)
}

/// Shows the progress within a round, and pauses its updates on an interruption.
struct TrainObserver<'a, P> {
    epoch: Instant,
    poll: &'a P,
    progress: &'a mut Progress,
}

impl<P: Fn() -> Option<Interrupted>> RoundObserver for TrainObserver<'_, P> {
    fn now(&mut self) -> f64 {
        self.epoch.elapsed().as_secs_f64()
    }

    fn users_served(&mut self, users: usize) {
        self.progress.served(users);
    }

    fn should_pause(&mut self, remaining: u32) -> bool {
        self.progress.learning(remaining);
        (self.poll)().is_some()
    }
}
