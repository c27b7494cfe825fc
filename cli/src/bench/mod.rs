//! `recsim bench`: how long the stages take, in the lines of the peers' benchmarks.

mod experiment;
mod report;
mod stages;

use recsim_core::backend::Backend;
use recsim_core::session::config::Plan;

use crate::arguments::{Bench, Phase};
use crate::config::Settings;
use crate::device::{About, Choice, Job};
use crate::source;
use crate::world::WorldFile;
use report::{Setup, Sink};
use stages::Stages;

/// Times the phases asked for, on the world and with the settings asked for.
pub(crate) fn run(arguments: &Bench) -> anyhow::Result<()> {
    let mut settings = Settings::load(&arguments.settings.overrides())?;
    if !settings.given("td3.gradient_steps") {
        // Speed is quoted with this many (`spec` section 3), whatever the default is.
        settings.config.td3.gradient_steps = SESSION;
    }
    if arguments.phases.contains(&Phase::Td3Update) && settings.config.td3.gradient_steps == 0 {
        let problem = "`td3.gradient_steps` is 0, and there is no update to time";
        return Err(settings.refuse_value("td3.gradient_steps", problem).into());
    }
    let device = Choice::of(&settings, false)?;
    device.look()?;
    let world = source::world(&settings, device.threads(), arguments.json)?;
    device.run(Measure { arguments, settings: &settings, world: &world })
}

struct Measure<'a> {
    arguments: &'a Bench,
    settings: &'a Settings,
    world: &'a WorldFile,
}

impl Job for Measure<'_> {
    type Output = ();

    fn run<B: Backend>(self, backend: B, about: About) -> anyhow::Result<()> {
        let Self { arguments, settings, world } = self;
        let view = world.view()?;
        let plan = settings.config.plan(&view).map_err(|invalid| source::refuse(settings, &invalid))?;
        let mut sink = Sink::new(arguments.json);
        sink.setup(&Setup::new(about, &plan, view.shape()))?;
        let wants = |phase| arguments.phases.contains(&phase);
        let reps = arguments.reps as usize;
        let work = Work::of(&plan, view.shape().items);
        let mut stages = Stages::new(backend, &view, plan.clone())?;
        if wants(Phase::Actor) {
            sink.timing(&stages.time("actor", reps, Some(work.actor), Stages::actor)?)?;
        }
        if wants(Phase::Topk) {
            stages.actor()?;
            sink.timing(&stages.time("topk", reps, Some(work.matching), Stages::matching)?)?;
        }
        if wants(Phase::Step) {
            stages.actor()?;
            stages.matching()?;
            sink.timing(&stages.time("step", reps, None, Stages::step)?)?;
        }
        if wants(Phase::Round) {
            stages.reset()?;
            sink.timing(&stages.time("round", reps, Some(work.actor + work.matching), Stages::round)?)?;
        }
        if wants(Phase::Td3Update) {
            stages.fill_replay()?;
            let session = stages.time("td3_update", reps, None, Stages::session)?;
            sink.timing(&session.per_update(&plan, stages.replayed(), work.update))?;
        }
        if wants(Phase::Experiment) {
            sink.experiment(&experiment::run(stages.into_backend(), &view, plan, arguments.run_rounds)?)?;
        }
        Ok(())
    }
}

/// Floating-point operations of the matrix products, in thousand millions.
struct Work {
    /// The actor, over all users.
    actor: f64,
    /// Scoring every item for every user.
    matching: f64,
    /// One update.
    update: f64,
}

impl Work {
    fn of(plan: &Plan, items: usize) -> Self {
        let products = |layers: &recsim_core::td3::net::MlpLayout| -> f64 {
            layers.layers().iter().map(|layer| (layer.inputs * layer.outputs) as f64).sum()
        };
        let spec = &plan.agent;
        let (actor, critic) = (products(&spec.actor), products(&spec.critics[0]));
        let users = plan.schedule.users as f64;
        // A pass backward is two passes forward; through the frozen critic it is one.
        let policy = (3.0 * actor + 2.0 * critic) / f64::from(spec.td3.policy_freq);
        Self {
            actor: 2e-9 * users * actor,
            matching: 2e-9 * users * (spec.action_dim() * items) as f64,
            update: 2e-9 * spec.batch_size() as f64 * (actor + 8.0 * critic + policy),
        }
    }
}

/// Updates in a learning session where nobody says otherwise.
const SESSION: u32 = 10;
