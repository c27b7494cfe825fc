//! What learning reported: losses, gradients, and what the critics promise against what came.

use recsim_core::session::metrics::LearningReport;

use super::{Part, Section, needs_run, numbered, with_each};
use crate::report::groups::Group;
use crate::report::plot::{Figure, Ink, Line, Lines, Unit, lines};
use crate::report::trained::Trained;

pub(super) fn of(groups: &[Group<'_>]) -> anyhow::Result<Section> {
    if groups.is_empty() {
        return Ok(needs_run(TITLE));
    }
    let learned = |run: &&Trained| run.rounds.iter().any(|round| round.learning.is_some());
    if !groups.iter().flat_map(|group| &group.runs).any(learned) {
        let why = "no run has learned yet: learning begins after `training.warmup_transitions` users were served";
        return Ok(Section::Missing { title: TITLE, why: why.to_owned() });
    }
    let figures = vec![
        curve(groups, "losses-critic", "Critics' loss", "mean squared error of both", |learning| {
            Some(learning.critic_loss)
        })?,
        curve(groups, "losses-actor", "Actor's loss", "actor's loss", |learning| learning.actor_loss)?,
        curve(groups, "losses-critic-gradient", "Gradient of the critics", "norm before clipping", |learning| {
            Some(learning.critic_gradient_norm)
        })?,
        curve(groups, "losses-actor-gradient", "Gradient of the actor", "norm before clipping", |learning| {
            learning.actor_gradient_norm
        })?,
    ];
    let blocks = with_each(figures, groups, values)?;
    let words = "Means over the updates of each learning session. Of several runs that differ in their seed alone: the median, \
                 with a band from the least to the greatest.";
    Ok(Section::There(Part { id: "losses", title: TITLE, words: words.to_owned(), blocks }))
}

fn curve(
    groups: &[Group<'_>],
    id: &str,
    title: &str,
    measured: &str,
    of: fn(&LearningReport) -> Option<f64>,
) -> anyhow::Result<Figure> {
    lines(Lines {
        id: id.to_owned(),
        title,
        words: String::new(),
        over: ("round", Unit::Count),
        measured: (measured, Unit::Number),
        lines: groups.iter().map(|group| group.line(|run| by_round(run, of))).collect(),
        diagonal: false,
    })
}

/// What each session reported, by the number of the round in the run.
fn by_round(run: &Trained, of: fn(&LearningReport) -> Option<f64>) -> Vec<(u64, f64)> {
    let sessions = (1..).zip(&run.rounds);
    sessions.filter_map(|(number, round)| Some((number, of(round.learning.as_ref()?)?))).collect()
}

/// What the critics say of the actions in the buffer, what they should say, and what came of the episode's actions.
fn values(group: &Group<'_>, n: usize) -> anyhow::Result<Figure> {
    let of_learning = |of: fn(&LearningReport) -> f64| {
        group.line(|run| run.by_episode(|episode| episode.learning.as_ref().map(of)))
    };
    let named = |name: &str, place, line: Line| Line { name: name.to_owned(), ink: Ink::Series(place), ..line };
    let realised = group.line(|run| run.by_episode(|episode| episode.discounted_return));
    lines(Lines {
        id: numbered("losses-value", n),
        title: "Q: predicted against realised",
        words: "Predicted: the mean of what the critics say of the actions that they learn from. Realised: the discounted \
                rewards from a round on, mean over the episode's rounds, as if the last round's reward went on for ever (to \
                critics, the last round is no end)."
            .to_owned(),
        over: ("episode", Unit::Count),
        measured: ("value", Unit::Number),
        lines: vec![
            named("predicted", 0, of_learning(|learning| learning.q_value)),
            named("what critics learn towards", 4, of_learning(|learning| learning.target_value)),
            named("realised", 2, realised),
        ],
        diagonal: false,
    })
}

const TITLE: &str = "Losses and values";
