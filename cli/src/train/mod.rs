//! `recsim train` and `recsim show`.

mod leave;
mod logs;
mod options;
mod record;
mod resume;
mod summary;

use std::time::Instant;

use recsim_core::backend::Backend;
use recsim_core::session::metrics::EpisodeReport;
use recsim_core::session::{RoundObserver, Session};

use crate::arguments::{Show, Train};
use crate::checkpoint::{self, Subject};
use crate::device::{About, Job};
use crate::error::Interrupted;
use crate::files::background::Background;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::world::WorldFile;
use crate::{output, source};
use leave::{Leavings, Users};
use options::{Options, Start};
pub(crate) use record::{End, Run, Status};
use summary::Summary;

/// Runs the experiment. Whatever can be refused is refused before anything is written.
pub(crate) fn run(arguments: &Train) -> anyhow::Result<()> {
    let options = Options::of(arguments)?;
    if let Start::Finished = options.start {
        if !options.quiet {
            output::note(&format!(
                "the run in {} has come to its end: nothing is left to do",
                options.output.display()
            ));
        }
        return tell(&options);
    }
    options.device.look()?;
    let world = source::world(&options.settings, options.device.threads(), options.quiet)?;
    options.device.clone().run(Experiment { options: &options, world })
}

/// Settles the arguments, and no more.
#[cfg(fuzzing)]
pub(crate) fn settle(arguments: &Train) -> anyhow::Result<()> {
    Options::of(arguments).map(drop)
}

/// Prints a run's summary from its files.
pub(crate) fn show(arguments: &Show) -> anyhow::Result<()> {
    let summary = Summary::read(&arguments.run)?;
    if arguments.json { output::json(&summary) } else { output::text(&summary.to_string()) }
}

/// A run whose options are settled, on a world that is there.
struct Experiment<'a> {
    options: &'a Options,
    world: WorldFile,
}

impl Job for Experiment<'_> {
    type Output = ();

    fn run<B: Backend>(self, backend: B, about: About) -> anyhow::Result<()> {
        let Self { options, world } = self;
        let settings = &options.settings;
        let view = world.view()?;
        let plan = settings.config.plan(&view).map_err(|invalid| source::refuse(settings, &invalid))?;
        let trace = options.trace(plan.schedule.users)?;
        let quiet = options.quiet;
        let mut config = settings.config.resolved(&plan, &view.shape());
        about.settle(&mut config, matches!(options.start, Start::Resumed(_)));
        let subject = Subject { device: about.clone(), config, world: checkpoint::fingerprint(&view) };
        let interrupt = Interrupt::listen(move || {
            if !quiet {
                output::note("\nfinishing what was begun, then saving; once more ends at once");
            }
        })?;
        let run = Run::new(about, source::provenance(&settings.config, &world, view.shape()), &view, &plan);
        // Before the old run, if there is one, is replaced: a device may lack the memory.
        let mut session = match &options.start {
            Start::Resumed(resumed) => resumed.session(backend, &view, plan, &subject, quiet)?,
            _ => Session::new(backend, &view, plan)?,
        };
        session.record_users(trace.as_ref().map_or(0, |&(_, traced)| traced));
        let target = view.target().to_vec();
        // The device has the world now, and of millions of users one is enough.
        let ids = world.into_user_ids();
        let users = Users { ids: &ids, target: &target };
        let mut progress = Progress::new(session.plan().schedule, session.progress().reported_rounds(), quiet);
        let interrupted = std::thread::scope(|scope| {
            let background = Background::new(scope);
            let mut leavings = Leavings::begin(options, run, subject, trace, users, &session, background)?;
            let interrupted = match follow(&mut session, &mut leavings, &mut progress, &interrupt) {
                Ok(interrupted) => interrupted,
                Err(error) => return Err(leavings.abandon(error)),
            };
            leavings.finish(if interrupted.is_some() { Status::Interrupted } else { Status::Finished })?;
            Ok(interrupted)
        })?;
        let Some(interrupted) = interrupted else { return tell(options) };
        let folder = options.output.display();
        let (episode, round) = session.next_round();
        let left = session
            .progress()
            .paused
            .map(|round| format!(", of which {} updates are left", round.remaining_updates));
        let left = left.unwrap_or_default();
        progress
            .say(&format!("stopped before episode {episode} round {round}{left}; what there is lies in {folder}"));
        progress.say(&format!("go on with: recsim train --resume {folder}"));
        Err(interrupted.into())
    }
}

/// Prints the summary of a run that has come to its end.
fn tell(options: &Options) -> anyhow::Result<()> {
    let summary = Summary::read(&options.output)?;
    match (options.json, options.quiet) {
        (true, _) => output::json(&summary),
        (false, true) => Ok(()),
        (false, false) => output::text(&format!("\n{summary}")),
    }
}

/// Runs the session to its end, or until it is asked to stop.
fn follow<B: Backend>(
    session: &mut Session<B>,
    leavings: &mut Leavings<'_, '_>,
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Interrupted>> {
    let epoch = Instant::now();
    let (episode, _) = session.next_round();
    let mut rounds = leavings.rounds_of(episode)?;
    let mut course = leavings.course()?;
    if session.is_finished() {
        // Its last results may not have been written.
        leavings.save(session.plan().schedule.episodes, session)?;
    }
    while !session.is_finished() {
        let next = session.next_round();
        progress.begin(next);
        if let Some(report) = session.round(&mut Attendant { epoch, interrupt, progress })? {
            progress.round(&report);
            rounds.push(report);
            let complete = rounds.len() == session.plan().schedule.rounds_per_episode as usize;
            let discount = session.plan().agent.td3.discount;
            let episode = complete
                .then(|| EpisodeReport::from_rounds(&rounds, session.initial_distance(), discount))
                .flatten();
            leavings.round(&rounds[rounds.len() - 1], episode.as_ref(), session)?;
            if let Some(episode) = episode {
                progress.episode(&episode);
                course.push(&episode);
                for concern in course.new_warnings() {
                    progress.say(&format!("warning: {concern}"));
                }
                rounds.clear();
            }
        }
        if let Some(interrupted) = interrupt.asked().filter(|_| !session.is_finished()) {
            leavings.save(next.0, session)?;
            leavings.checkpoint(session)?;
            return Ok(Some(interrupted));
        }
    }
    leavings.conclude(session)?;
    Ok(None)
}

/// Shows how far a round is, and puts its updates off when asked to stop.
struct Attendant<'a> {
    epoch: Instant,
    interrupt: &'a Interrupt,
    progress: &'a mut Progress,
}

impl RoundObserver for Attendant<'_> {
    fn now(&mut self) -> f64 {
        self.epoch.elapsed().as_secs_f64()
    }

    fn users_served(&mut self, users: usize) {
        self.progress.served(users);
    }

    fn should_pause(&mut self, left: u32) -> bool {
        self.progress.learning(left);
        self.interrupt.asked().is_some()
    }
}
