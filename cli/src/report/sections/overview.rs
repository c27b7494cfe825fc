//! What was given, and what came of it.

use super::{Block, Part, Section, header};
use crate::output::{duration, percent, thousands};
use crate::report::sources::{Named, Sources};
use crate::report::trained::Trained;
use crate::train::Status;

pub(super) fn of(sources: &Sources) -> Section {
    let mut blocks = Vec::new();
    if !sources.runs.is_empty() {
        let header =
            header(&["run", "ended", "seed", "episodes", "distance", "accepted", "reward", "updates", "time"]);
        blocks.push(Block::Table { header, rows: sources.runs.iter().map(run).collect() });
    }
    if !sources.evaluations.is_empty() {
        let header = header(&["evaluation", "policies", "seeds", "users", "rounds", "best", "normalised area"]);
        blocks.push(Block::Table { header, rows: sources.evaluations.iter().map(evaluation).collect() });
    }
    let words = "A distance is the mean over users of how far their beliefs are from the target, summed over clusters, at the \
                 end: a smaller one is better. The normalised area is 0 for random items and 1 for the greedy yardstick.";
    Section::There(Part { id: "overview", title: "Overview", words: words.to_owned(), blocks })
}

fn run(run: &Trained) -> Vec<String> {
    let of_last = |of: &dyn Fn(&recsim_core::session::metrics::EpisodeReport) -> String| {
        run.episodes.last().map_or("-".to_owned(), of)
    };
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

/// How it ended.
pub(super) fn status(run: &Trained) -> &'static str {
    match run.end.as_ref().map(|end| end.status) {
        Some(Status::Finished) => "finished",
        Some(Status::Interrupted) => "interrupted",
        None => "not yet",
    }
}

fn evaluation(Named { name, evaluation }: &Named) -> Vec<String> {
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
