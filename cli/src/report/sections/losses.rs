//! Losses, gradient norms, and Q values against the discounted return.

use recsim_core::session::metrics::LearningReport;

use super::{Section, SectionContent, needs_run, numbered, with_each};
use crate::report::groups::RunGroup;
use crate::report::plot::{AxisUnit, Figure, LinePlot, PlotColor, PlotLine, lines};
use crate::report::run_data::RunData;

pub(super) fn of(groups: &[RunGroup<'_>]) -> anyhow::Result<Section> {
    if groups.is_empty() {
        return Ok(needs_run(TITLE));
    }
    let has_learned = |run: &&RunData| run.rounds.iter().any(|round| round.learning.is_some());
    if !groups.iter().flat_map(|group| &group.runs).any(has_learned) {
        let why = "no run has made an update: updates start after `training.warmup_transitions` user-steps";
        return Ok(Section::Missing { title: TITLE, why: why.to_owned() });
    }
    let figures = vec![
        curve(groups, "losses-critic", "Critic loss", "sum of both mean squared errors", |learning| {
            Some(learning.critic_loss)
        })?,
        curve(groups, "losses-actor", "Actor loss", "actor loss", |learning| learning.actor_loss)?,
        curve(
            groups,
            "losses-critic-gradient",
            "Gradient norm of the critics",
            "norm before clipping",
            |learning| Some(learning.critic_gradient_norm),
        )?,
        curve(groups, "losses-actor-gradient", "Gradient norm of the actor", "norm before clipping", |learning| {
            learning.actor_gradient_norm
        })?,
    ];
    let blocks = with_each(figures, groups, values)?;
    let intro = "Means over the updates after each round. Of several runs that differ only in their seed: the \
                 median, with a band from the minimum to the maximum.";
    Ok(Section::Present(SectionContent { id: "losses", title: TITLE, intro: intro.to_owned(), blocks }))
}

fn curve(
    groups: &[RunGroup<'_>],
    id: &str,
    title: &str,
    y_name: &str,
    of: fn(&LearningReport) -> Option<f64>,
) -> anyhow::Result<Figure> {
    lines(LinePlot {
        id: id.to_owned(),
        title,
        caption: String::new(),
        x_axis: ("round", AxisUnit::Count),
        y_axis: (y_name, AxisUnit::Number),
        lines: groups.iter().map(|group| group.line(|run| by_round(run, of))).collect(),
        has_diagonal: false,
    })
}

/// A value of each round with updates, by the number of the round in the run.
fn by_round(run: &RunData, of: fn(&LearningReport) -> Option<f64>) -> Vec<(u64, f64)> {
    let numbered = (1..).zip(&run.rounds);
    numbered.filter_map(|(number, round)| Some((number, of(round.learning.as_ref()?)?))).collect()
}

/// Q values of the sampled actions, their targets, and the episodes' discounted returns.
fn values(group: &RunGroup<'_>, n: usize) -> anyhow::Result<Figure> {
    let of_learning = |of: fn(&LearningReport) -> f64| {
        group.line(|run| run.by_episode(|episode| episode.learning.as_ref().map(of)))
    };
    let named = |name: &str, series, line: PlotLine| PlotLine {
        name: name.to_owned(),
        color: PlotColor::Series(series),
        ..line
    };
    let discounted_return = group.line(|run| run.by_episode(|episode| episode.discounted_return));
    lines(LinePlot {
        id: numbered("losses-value", n),
        title: "Q values and discounted return",
        caption:
            "Q value: mean over sampled minibatches. Target: the mean TD target. Discounted return: from each \
                  round on, mean over the episode's rounds, with the last round's reward repeated forever, as the \
                  critics do not treat the last round as terminal."
                .to_owned(),
        x_axis: ("episode", AxisUnit::Count),
        y_axis: ("value", AxisUnit::Number),
        lines: vec![
            named("Q value", 0, of_learning(|learning| learning.q_value)),
            named("TD target", 4, of_learning(|learning| learning.target_value)),
            named("discounted return", 2, discounted_return),
        ],
        has_diagonal: false,
    })
}

const TITLE: &str = "Losses and values";
