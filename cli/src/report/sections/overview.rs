//! The inputs, and their main results.

use recsim_core::session::metrics::EpisodeReport;

use super::{ReportBlock, Section, SectionContent, header};
use crate::output::{duration, percent, thousands};
use crate::report::run_data::RunData;
use crate::report::sources::{NamedEvaluation, Sources};
use crate::train::Status;

pub(super) fn of(sources: &Sources) -> Section {
    let mut blocks = Vec::new();
    if !sources.runs.is_empty() {
        let header =
            header(&["run", "status", "seed", "episodes", "distance", "accepted", "reward", "updates", "time"]);
        blocks.push(ReportBlock::Table { header, rows: sources.runs.iter().map(run).collect() });
    }
    if !sources.evaluations.is_empty() {
        let header = header(&["evaluation", "policies", "seeds", "users", "rounds", "best", "normalized area"]);
        blocks.push(ReportBlock::Table { header, rows: sources.evaluations.iter().map(evaluation).collect() });
    }
    let intro = "The distance is that of users' beliefs from the target, summed over clusters, mean over users, \
                 before and after the last episode. Less is better. The normalized area is 0 for random items and \
                 1 for the greedy baseline.";
    Section::Present(SectionContent { id: "overview", title: "Overview", intro: intro.to_owned(), blocks })
}

fn run(run: &RunData) -> Vec<String> {
    let of_last = |value: &dyn Fn(&EpisodeReport) -> String| run.episodes.last().map_or("-".to_owned(), value);
    vec![
        run.name.clone(),
        status(run).to_owned(),
        run.run.seed.to_string(),
        format!("{} of {}", run.episodes.len(), run.run.episodes),
        of_last(&|last| format!("{:.4} → {:.4}", last.initial_distance, last.mean_distance)),
        of_last(&|last| percent(last.acceptance_rate)),
        of_last(&|last| format!("{:.3}", last.average_reward)),
        run.rounds.last().map_or("-".to_owned(), |last| thousands(last.updates)),
        run.end.as_ref().map_or("-".to_owned(), |end| duration(end.wall_seconds)),
    ]
}

/// How a run ended.
pub(super) fn status(run: &RunData) -> &'static str {
    match run.end.as_ref().map(|end| end.status) {
        Some(Status::Finished) => "finished",
        Some(Status::Interrupted) => "interrupted",
        None => "not finished",
    }
}

fn evaluation(NamedEvaluation { name, evaluation }: &NamedEvaluation) -> Vec<String> {
    let best = evaluation.policies.first();
    vec![
        name.clone(),
        evaluation.policies.len().to_string(),
        evaluation.seeds.len().to_string() + if evaluation.interrupted { " (stopped early)" } else { "" },
        thousands(evaluation.users as u64),
        evaluation.rounds.to_string(),
        best.map_or("-".to_owned(), |best| best.policy.clone()),
        best.and_then(|best| best.metrics.normalized_area.mean).map_or("-".to_owned(), |area| format!("{area:.3}")),
    ]
}
