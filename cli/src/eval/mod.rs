//! `recsim eval`: compares policies.

mod contenders;
mod names;
mod options;
mod progress;
mod results;
mod tables;
mod threads;

use recsim_core::backend::Backend;
use recsim_core::eval::resample::Interval;
use recsim_core::eval::{Comparison, Episode, Evaluator, PolicyMetrics};
use recsim_core::session::config::Plan;
use serde::Serialize;

use crate::arguments::Eval;
use crate::device::{DeviceInfo, DeviceJob};
use crate::error::Interrupted;
use crate::files::evaluation::{self, Evaluation, PolicyResults};
use crate::interrupt::Interrupt;
use crate::learned::TrainedAgent;
use crate::world::WorldFile;
use crate::{output, source};
use contenders::Contenders;
use names::PolicyName;
use options::EvalOptions;
use progress::EvaluationProgress;
use threads::Threads;

/// Plays every policy with every seed, then writes and prints the results.
///
/// # Errors
/// If an argument, the world or a run is invalid, which is checked before the first episode; if the backend fails; if
/// a file cannot be written; or [`Interrupted`], after the results of the finished seeds are written and printed.
pub(crate) fn run(arguments: &Eval) -> anyhow::Result<()> {
    let options = EvalOptions::of(arguments)?;
    options.device.check()?;
    let world = source::world(&options.settings, options.device.threads(), options.quiet)?;
    let (evaluation, interrupted) = options.device.run(EvaluationJob { options: &options, world: &world })?;
    if let Some(evaluation) = evaluation {
        write_and_print(&options, &evaluation)?;
    }
    interrupted.map_or(Ok(()), |interrupted| Err(interrupted.into()))
}

/// Resolves the arguments without evaluating anything.
///
/// # Errors
/// As [`EvalOptions::of`].
#[cfg(fuzzing)]
pub(crate) fn check_arguments(arguments: &Eval) -> anyhow::Result<()> {
    EvalOptions::of(arguments).map(drop)
}

fn write_and_print(options: &EvalOptions, evaluation: &Evaluation) -> anyhow::Result<()> {
    let written = options.output.as_ref().map(|path| evaluation::output_path(path, evaluation.interrupted));
    if let Some(path) = &written {
        evaluation.write(path)?;
        if options.output.as_ref() != Some(path) {
            output::note(&format!("the results of the finished seeds are in {}", path.display()));
        }
    }
    if let Some(warning) = tables::reliability_warning(evaluation) {
        output::note(&warning);
    }
    if let Some(warning) = tables::scale_warning(evaluation) {
        output::note(warning);
    }
    if options.json {
        let rows: Vec<MetricsRow<'_>> = evaluation.policies.iter().map(MetricsRow::of).collect();
        return output::json(&rows);
    }
    if options.quiet {
        return Ok(());
    }
    let written = written.map_or(String::new(), |path| format!("\nall results are in {}\n", path.display()));
    output::text(&format!("{}{written}", tables::all(evaluation)))
}

/// What `--json` prints of a policy.
#[derive(Serialize)]
struct MetricsRow<'a> {
    policy: &'a str,
    #[serde(flatten)]
    metrics: &'a PolicyMetrics<Interval>,
}

impl<'a> MetricsRow<'a> {
    fn of(policy: &'a PolicyResults) -> Self {
        Self { policy: &policy.policy, metrics: &policy.metrics }
    }
}

/// An evaluation whose options are resolved, in a loaded world.
struct EvaluationJob<'a> {
    options: &'a EvalOptions,
    world: &'a WorldFile,
}

impl DeviceJob for EvaluationJob<'_> {
    /// The results, `None` if no seed was finished; and whether the user interrupted the evaluation.
    type Output = (Option<Evaluation>, Option<Interrupted>);

    fn run<B: Backend>(self, backend: B, about: DeviceInfo) -> anyhow::Result<Self::Output> {
        let Self { options, world } = self;
        let settings = &options.settings;
        let view = world.view()?;
        let plan = settings.config.plan(&view).map_err(|invalid| source::refuse(settings, &invalid))?;
        let runs = options.policies.iter().filter_map(PolicyName::run);
        let provenance = source::provenance(&settings.config, world, view.shape());
        let learned = runs
            .map(|run| TrainedAgent::read(run, &view, &provenance, &plan, options.quiet))
            .collect::<Result<_, _>>()?;
        let quiet = options.quiet;
        let interrupt = Interrupt::listen(move || {
            if !quiet {
                output::note("\nstopping after this round; interrupt again to exit at once");
            }
        })?;
        let evaluator = Evaluator::new(&view, &plan.environment, &plan.schedule);
        let threads = Threads::new(options.device.threads())?;
        let mut contenders =
            Contenders::new(backend, &evaluator, &view, &plan, &threads, &options.policies, learned)?;
        let mut progress = EvaluationProgress::new(&options.policies, options.seeds.len(), &plan.schedule, quiet);

        let (episodes, interrupted) = play(&mut contenders, options, &mut progress, &interrupt)?;
        progress.end();
        let finished_seeds = episodes[0].len();
        if interrupted.is_some() && !quiet {
            let num_seeds = options.seeds.len();
            output::note(&format!(
                "stopped: {finished_seeds} of {num_seeds} seeds are finished{}",
                if finished_seeds > 0 { "" } else { ", there are no results" }
            ));
        }
        if finished_seeds == 0 {
            return Ok((None, interrupted));
        }
        let index = |name: &PolicyName| options.policies.iter().position(|other| other == name);
        let (random, greedy) = (index(&PolicyName::Random), index(&PolicyName::Greedy));
        let (random, greedy) = random.zip(greedy).expect("both baselines of the scale are always played");
        let comparison = Comparison::new(episodes, random, greedy);
        let context = EvaluationContext {
            about,
            world,
            evaluator: &evaluator,
            plan: &plan,
            interrupted: interrupted.is_some(),
        };
        Ok((Some(results::evaluation(&comparison, options, context, &threads)), interrupted))
    }
}

/// What an evaluation records beside its estimates.
struct EvaluationContext<'a> {
    about: DeviceInfo,
    world: &'a WorldFile,
    evaluator: &'a Evaluator<'a>,
    plan: &'a Plan,
    interrupted: bool,
}

/// Plays every episode, seed by seed. Returns `[policies][seeds]` of episodes, and, if the user interrupted it, those
/// of the finished seeds only.
fn play<'a, B: Backend + 'a>(
    contenders: &mut Contenders<'a, B>,
    options: &EvalOptions,
    progress: &mut EvaluationProgress,
    interrupt: &Interrupt,
) -> anyhow::Result<(Vec<Vec<Episode>>, Option<Interrupted>)> {
    let mut episodes = vec![Vec::new(); options.policies.len()];
    for (n, &seed) in options.seeds.iter().enumerate() {
        let mut of_seed = Vec::new();
        for policy in 0..options.policies.len() {
            let mut should_stop = |round| {
                progress.round(n, policy, round);
                interrupt.asked().is_some()
            };
            match contenders.episode(policy, seed, &mut should_stop)? {
                Some(episode) => of_seed.push(episode),
                None => return Ok((episodes, interrupt.asked())),
            }
        }
        episodes.iter_mut().zip(of_seed).for_each(|(episodes, episode)| episodes.push(episode));
    }
    Ok((episodes, None))
}
