//! `recsim bench`: measures the stages of the loop. Its JSON lines have the format of the other benchmarks in
//! `docs/benchmarks.md`.

mod experiment;
mod report;
mod stages;

use recsim_core::backend::Backend;
use recsim_core::session::config::Plan;

use crate::arguments::{Bench, Phase};
use crate::config::Settings;
use crate::device::{DeviceChoice, DeviceInfo, DeviceJob};
use crate::source;
use crate::world::WorldFile;
use report::{BenchPrinter, BenchSetup};
use stages::StageBench;

/// BenchJobs the requested phases.
///
/// # Errors
/// If the settings or the world are wrong, or the backend fails.
pub(crate) fn run(arguments: &Bench) -> anyhow::Result<()> {
    let mut settings = Settings::load(&arguments.settings.overrides())?;
    if !settings.is_given("td3.gradient_steps") {
        // Times are quoted for this number (`docs/spec.md`, section 3.2, training schedule), whatever the default is.
        settings.config.td3.gradient_steps = SESSION_UPDATES;
    }
    if arguments.phases.contains(&Phase::Td3Update) && settings.config.td3.gradient_steps == 0 {
        let problem = "`td3.gradient_steps` is 0, so there is no update to measure";
        return Err(settings.refuse_value("td3.gradient_steps", problem).into());
    }
    let device = DeviceChoice::of(&settings, false)?;
    device.check()?;
    let world = source::world(&settings, device.threads(), arguments.json)?;
    device.run(BenchJob { arguments, settings: &settings, world: &world })
}

struct BenchJob<'a> {
    arguments: &'a Bench,
    settings: &'a Settings,
    world: &'a WorldFile,
}

impl DeviceJob for BenchJob<'_> {
    type Output = ();

    fn run<B: Backend>(self, backend: B, about: DeviceInfo) -> anyhow::Result<()> {
        let Self { arguments, settings, world } = self;
        let view = world.view()?;
        let plan = settings.config.plan(&view).map_err(|invalid| source::refuse(settings, &invalid))?;
        let mut printer = BenchPrinter::new(arguments.json);
        printer.setup(&BenchSetup::new(about, &plan, view.shape()))?;
        let is_requested = |phase| arguments.phases.contains(&phase);
        let reps = arguments.reps as usize;
        let flops = Gigaflops::of(&plan, view.shape().items);
        let mut stages = StageBench::new(backend, &view, plan.clone())?;
        if is_requested(Phase::Actor) {
            printer.timing(&stages.time("actor", reps, Some(flops.actor), StageBench::actor)?)?;
        }
        if is_requested(Phase::Topk) {
            stages.actor()?;
            printer.timing(&stages.time("topk", reps, Some(flops.matching), StageBench::matching)?)?;
        }
        if is_requested(Phase::Step) {
            stages.actor()?;
            stages.matching()?;
            printer.timing(&stages.time("step", reps, None, StageBench::step)?)?;
        }
        if is_requested(Phase::Round) {
            stages.reset()?;
            printer.timing(&stages.time(
                "round",
                reps,
                Some(flops.actor + flops.matching),
                StageBench::round,
            )?)?;
        }
        if is_requested(Phase::Td3Update) {
            stages.fill_replay()?;
            let session = stages.time("td3_update", reps, None, StageBench::session)?;
            printer.timing(&session.per_update(&plan, stages.replay_len(), flops.update))?;
        }
        if is_requested(Phase::Experiment) {
            printer.experiment(&experiment::run(stages.into_backend(), &view, plan, arguments.run_rounds)?)?;
        }
        Ok(())
    }
}

/// Floating-point operations of the matrix products, in units of 10^9.
struct Gigaflops {
    /// The actor, over all users.
    actor: f64,
    /// Scoring every item for every user.
    matching: f64,
    /// One update.
    update: f64,
}

impl Gigaflops {
    fn of(plan: &Plan, items: usize) -> Self {
        let products = |layers: &recsim_core::td3::net::MlpLayout| -> f64 {
            layers.layers().iter().map(|layer| (layer.inputs * layer.outputs) as f64).sum()
        };
        let spec = &plan.agent;
        let (actor, critic) = (products(&spec.actor), products(&spec.critics[0]));
        let users = plan.schedule.users as f64;
        // A backward pass costs two forward passes. The policy's gradient needs none for the critic's weights, so that
        // its backward pass costs one.
        let policy = (3.0 * actor + 2.0 * critic) / f64::from(spec.td3.policy_freq);
        Self {
            actor: 2e-9 * users * actor,
            matching: 2e-9 * users * (spec.action_dim() * items) as f64,
            update: 2e-9 * spec.batch_size() as f64 * (actor + 8.0 * critic + policy),
        }
    }
}

/// Updates in a training session, unless `td3.gradient_steps` is given.
const SESSION_UPDATES: u32 = 10;
