//! `recsim train` and `recsim show`.

mod leave;
mod options;
mod record;
mod summary;

use std::time::Instant;

use recsim_core::backend::Device;
use recsim_core::metrics::EpisodeReport;
use recsim_core::session::{Session, Watcher};

use crate::arguments::{Show, Train};
use crate::device::{About, Job};
use crate::error::Interrupted;
use crate::files::background::Background;
use crate::interrupt::Interrupt;
use crate::output;
use crate::progress::Progress;
use crate::source;
use crate::world::WorldFile;
use leave::Leavings;
use options::Options;
use record::{Run, Status};
use summary::Summary;

/// Runs the experiment. Whatever can be refused is refused before anything is written.
pub(crate) fn run(arguments: &Train) -> anyhow::Result<()> {
    let options = Options::of(arguments)?;
    options.device.look()?;
    let world = source::world(&options.settings, options.device.threads(), options.quiet)?;
    options.device.clone().run(Experiment { options: &options, world: &world })
}

/// Prints a run's summary from its files.
pub(crate) fn show(arguments: &Show) -> anyhow::Result<()> {
    let summary = Summary::read(&arguments.run)?;
    if arguments.json { output::json(&summary) } else { output::text(&summary.to_string()) }
}

/// A run whose options are settled, on a world that is there.
struct Experiment<'a> {
    options: &'a Options,
    world: &'a WorldFile,
}

impl Job for Experiment<'_> {
    type Output = ();

    fn run<B: Device>(self, backend: B, about: About) -> anyhow::Result<()> {
        std::thread::scope(|scope| self.train(backend, about, Background::new(scope)))
    }
}

impl<'a> Experiment<'a> {
    fn train<'scope, B: Device>(
        &self,
        backend: B,
        about: About,
        background: Background<'scope, 'a>,
    ) -> anyhow::Result<()>
    where
        'a: 'scope,
    {
        let Self { options, world } = *self;
        let settings = &options.settings;
        let view = world.view()?;
        let plan = settings.config.plan(&view).map_err(|invalid| source::refuse(settings, &invalid))?;
        let trace = options.trace(plan.schedule.users)?;
        let quiet = options.quiet;
        let interrupt = Interrupt::listen(move || {
            if !quiet {
                output::note("\nfinishing what was begun, then saving; once more ends at once");
            }
        })?;
        let run = Run::new(about, source::provenance(&settings.config, world, view.shape()), &plan);
        let mut progress = Progress::new(plan.schedule, options.quiet);
        // Before the old run, if there is one, is replaced: a device may lack the memory.
        let mut session = Session::new(backend, &view, plan)?;
        let mut leavings =
            Leavings::begin(options, &run, session.plan(), trace, world.user_ids(), &view, background)?;

        let epoch = Instant::now();
        let status = match follow(&mut session, &mut leavings, &mut progress, &interrupt, epoch) {
            Ok(status) => status,
            Err(error) => return Err(leavings.abandon(error)),
        };
        leavings.finish(status, epoch.elapsed().as_secs_f64())?;
        if status == Status::Interrupted {
            let folder = options.output.display();
            progress.say(&format!("stopped after the round; beliefs, models and metrics are in {folder}"));
            return Err(Interrupted.into());
        }
        let summary = Summary::read(&options.output)?;
        match (options.json, options.quiet) {
            (true, _) => output::json(&summary),
            (false, true) => Ok(()),
            (false, false) => output::text(&format!("\n{summary}")),
        }
    }
}

/// Runs the session to its end, or until it is asked to stop.
fn follow<B: Device>(
    session: &mut Session<B>,
    leavings: &mut Leavings<'_, '_>,
    progress: &mut Progress,
    interrupt: &Interrupt,
    epoch: Instant,
) -> anyhow::Result<Status> {
    let mut rounds = Vec::new();
    while !session.finished() {
        progress.begin(session.next_round());
        let report = session.round(&mut Attendant { epoch, interrupt, progress })?;
        progress.round(&report);
        leavings.round(&report, session)?;
        rounds.push(report);
        let complete = rounds.len() == session.plan().schedule.rounds as usize;
        if complete && let Some(episode) = EpisodeReport::of(&rounds, session.initial_distance()) {
            progress.episode(&episode);
            leavings.episode(&episode)?;
        }
        let interrupted = interrupt.asked() && !(session.finished() && session.progress().pending == 0);
        if complete || interrupted {
            leavings.save(rounds[0].episode, session)?;
            rounds.clear();
        }
        if interrupted {
            return Ok(Status::Interrupted);
        }
    }
    Ok(Status::Finished)
}

/// Shows how far a round is, and puts its updates off when asked to stop.
struct Attendant<'a> {
    epoch: Instant,
    interrupt: &'a Interrupt,
    progress: &'a mut Progress,
}

impl Watcher for Attendant<'_> {
    fn seconds(&mut self) -> f64 {
        self.epoch.elapsed().as_secs_f64()
    }

    fn served(&mut self, users: usize) {
        self.progress.served(users);
    }

    fn puts_off(&mut self, left: u32) -> bool {
        self.progress.learning(left);
        self.interrupt.asked()
    }
}
