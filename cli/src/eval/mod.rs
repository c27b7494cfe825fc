//! `recsim eval`: policies compared.

mod crew;
mod field;
mod names;
mod options;
mod progress;
mod report;
mod tables;

use recsim_core::backend::Backend;
use recsim_core::eval::resample::Interval;
use recsim_core::eval::{Comparison, Episode, Evaluator, PolicyMetrics};
use recsim_core::session::config::Plan;
use serde::Serialize;

use crate::arguments::Eval;
use crate::device::{About, Job};
use crate::error::Interrupted;
use crate::files::evaluation::{self, Evaluation, Policy};
use crate::interrupt::Interrupt;
use crate::learned::Learned;
use crate::world::WorldFile;
use crate::{output, source};
use crew::Threads;
use field::Field;
use names::Name;
use options::Options;
use progress::Progress;

/// Tries every policy with every seed, and tells what came of it. Whatever can be refused is refused before.
pub(crate) fn run(arguments: &Eval) -> anyhow::Result<()> {
    let options = Options::of(arguments)?;
    options.device.look()?;
    let world = source::world(&options.settings, options.device.threads(), options.quiet)?;
    let (evaluation, interrupted) = options.device.run(EvaluationJob { options: &options, world: &world })?;
    if let Some(evaluation) = evaluation {
        tell(&options, &evaluation)?;
    }
    interrupted.map_or(Ok(()), |interrupted| Err(interrupted.into()))
}

/// Settles the arguments, and no more.
#[cfg(fuzzing)]
pub(crate) fn settle(arguments: &Eval) -> anyhow::Result<()> {
    Options::of(arguments).map(drop)
}

/// Writes and prints an evaluation.
fn tell(options: &Options, evaluation: &Evaluation) -> anyhow::Result<()> {
    let written = options.output.as_ref().map(|path| evaluation::place(path, evaluation.interrupted));
    if let Some(path) = &written {
        evaluation.write(path)?;
        if options.output.as_ref() != Some(path) {
            output::note(&format!("what was done before the stop lies in {}", path.display()));
        }
    }
    if let Some(warning) = tables::warning(evaluation) {
        output::note(&warning);
    }
    if let Some(warning) = tables::no_scale(evaluation) {
        output::note(warning);
    }
    if options.json {
        let rows: Vec<Row<'_>> = evaluation.policies.iter().map(Row::of).collect();
        return output::json(&rows);
    }
    if options.quiet {
        return Ok(());
    }
    let written = written.map_or(String::new(), |path| format!("\nall of it lies in {}\n", path.display()));
    output::text(&format!("{}{written}", tables::all(evaluation)))
}

/// What `--json` prints of a policy.
#[derive(Serialize)]
struct Row<'a> {
    policy: &'a str,
    #[serde(flatten)]
    metrics: &'a PolicyMetrics<Interval>,
}

impl<'a> Row<'a> {
    fn of(policy: &'a Policy) -> Self {
        Self { policy: &policy.policy, metrics: &policy.metrics }
    }
}

/// A comparison whose options are settled, in a world that is there.
struct EvaluationJob<'a> {
    options: &'a Options,
    world: &'a WorldFile,
}

impl Job for EvaluationJob<'_> {
    /// What came of it if a seed was done, and whether somebody stopped it.
    type Output = (Option<Evaluation>, Option<Interrupted>);

    fn run<B: Backend>(self, backend: B, about: About) -> anyhow::Result<Self::Output> {
        let Self { options, world } = self;
        let settings = &options.settings;
        let view = world.view()?;
        let plan = settings.config.plan(&view).map_err(|invalid| source::refuse(settings, &invalid))?;
        let learned = options.policies.iter().filter_map(Name::run);
        let here = source::provenance(&settings.config, world, view.shape());
        let learned =
            learned.map(|run| Learned::read(run, &view, &here, &plan, options.quiet)).collect::<Result<_, _>>()?;
        let quiet = options.quiet;
        let interrupt = Interrupt::listen(move || {
            if !quiet {
                output::note("\nstopping after this round; once more ends at once");
            }
        })?;
        let evaluator = Evaluator::new(&view, &plan.environment, &plan.schedule);
        let crew = Threads::new(options.device.threads())?;
        let mut field = Field::new(backend, &evaluator, &view, &plan, &crew, &options.policies, learned)?;
        let mut progress = Progress::new(&options.policies, options.seeds.len(), &plan.schedule, quiet);

        let (episodes, interrupted) = play(&mut field, options, &mut progress, &interrupt)?;
        progress.end();
        let done = episodes[0].len();
        if interrupted.is_some() && !quiet {
            let seeds = options.seeds.len();
            output::note(&format!(
                "stopped: {done} of {seeds} seeds are done{}",
                if done > 0 { "" } else { ", nothing to tell" }
            ));
        }
        if done == 0 {
            return Ok((None, interrupted));
        }
        let place = |name: &Name| options.policies.iter().position(|other| other == name);
        let (random, greedy) = (place(&Name::Random), place(&Name::Greedy));
        let (random, greedy) = random.zip(greedy).expect("the ends of the scale are always tried");
        let study = Comparison::new(episodes, random, greedy);
        let about =
            Circumstances { about, world, evaluator: &evaluator, plan: &plan, interrupted: interrupted.is_some() };
        Ok((Some(report::of(&study, options, about, &crew)), interrupted))
    }
}

/// What a report says beside the findings.
struct Circumstances<'a> {
    about: About,
    world: &'a WorldFile,
    evaluator: &'a Evaluator<'a>,
    plan: &'a Plan,
    interrupted: bool,
}

/// Plays every episode, `[policies][seeds]`, or those of the seeds that are done when somebody stops it.
fn play<'a, B: Backend + 'a>(
    field: &mut Field<'a, B>,
    options: &Options,
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> anyhow::Result<(Vec<Vec<Episode>>, Option<Interrupted>)> {
    let mut episodes = vec![Vec::new(); options.policies.len()];
    for (n, &seed) in options.seeds.iter().enumerate() {
        let mut of_seed = Vec::new();
        for policy in 0..options.policies.len() {
            let mut after = |round| {
                progress.round(n, policy, round);
                interrupt.asked().is_some()
            };
            match field.episode(policy, seed, &mut after)? {
                Some(episode) => of_seed.push(episode),
                None => return Ok((episodes, interrupt.asked())),
            }
        }
        episodes.iter_mut().zip(of_seed).for_each(|(episodes, episode)| episodes.push(episode));
    }
    Ok((episodes, None))
}
