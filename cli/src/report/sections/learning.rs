//! Learning curves.

use std::iter;

use recsim_core::session::metrics::TrainingMonitor;

use super::{Part, Section, needs_run, numbered, with_each};
use crate::report::groups::Group;
use crate::report::plot::{Figure, Ink, Lines, Unit, lines};
use crate::report::trained::Trained;
use crate::train::Status;

pub(super) fn of(groups: &[Group<'_>]) -> anyhow::Result<Section> {
    if groups.is_empty() {
        return Ok(needs_run(TITLE));
    }
    if groups.iter().flat_map(|group| &group.runs).all(|run| run.episodes.is_empty()) {
        return Ok(Section::Missing { title: TITLE, why: "no run has finished an episode".to_owned() });
    }
    let curves = vec![
        curve(
            groups,
            "learning-distance",
            "Distance at the end of the episode",
            ("distance", Unit::Number),
            |run| run.by_episode(|episode| Some(episode.mean_distance)),
        )?,
        curve(
            groups,
            "learning-area",
            "Area: the sum of the distances after all rounds",
            ("area", Unit::Number),
            areas,
        )?,
        curve(
            groups,
            "learning-acceptance",
            "Acceptance",
            ("share of shown items accepted", Unit::Share),
            |run| run.by_episode(|episode| Some(episode.acceptance_rate)),
        )?,
        curve(groups, "learning-reward", "Reward of a user and round", ("mean reward", Unit::Number), |run| {
            run.by_episode(|episode| Some(episode.average_reward))
        })?,
        curve(
            groups,
            "learning-saturation",
            "Saturation of the actions",
            ("share beyond 0.99", Unit::Share),
            |run| run.by_episode(|episode| Some(episode.action_saturation)),
        )?,
    ];
    let blocks = with_each(curves, groups, within)?;
    let words = "What training did, exploration included, so that no curve tells what the agent would do alone: an evaluation \
                 does. Where several runs differ in their seed alone, the line is their median, and the band reaches from \
                 the least to the greatest.";
    let words = iter::once(words.to_owned()).chain(groups.iter().flat_map(|group| &group.runs).flat_map(concerns));
    Ok(Section::There(Part { id: "learning", title: TITLE, words: words.collect::<Vec<_>>().join(" "), blocks }))
}

/// Why a run's agent may not learn.
fn concerns(run: &&Trained) -> impl Iterator<Item = String> {
    let is_over = run.end.as_ref().is_some_and(|end| end.status == Status::Finished);
    run.episodes
        .iter()
        .collect::<TrainingMonitor>()
        .run_warnings(is_over)
        .map(|concern| format!("Warning for {}: {concern}.", run.name))
}

fn curve(
    groups: &[Group<'_>],
    id: &str,
    title: &str,
    measured: (&str, Unit),
    of: impl Fn(&Trained) -> Vec<(u64, f64)>,
) -> anyhow::Result<Figure> {
    lines(Lines {
        id: id.to_owned(),
        title,
        words: String::new(),
        over: ("episode", Unit::Count),
        measured,
        lines: groups.iter().map(|group| group.line(&of)).collect(),
        diagonal: false,
    })
}

/// The sum of the distances after all rounds of each episode that was finished.
fn areas(run: &Trained) -> Vec<(u64, f64)> {
    let area = |episode| run.rounds_of(episode).map(|round| round.mean_distance).sum();
    run.by_episode(|episode| Some(area(episode.episode)))
}

/// The distance within some episodes, the first and the last among them.
fn within(group: &Group<'_>, n: usize) -> anyhow::Result<Figure> {
    let mut known: Vec<u32> =
        group.runs.iter().flat_map(|run| &run.episodes).map(|episode| episode.episode).collect();
    known.sort_unstable();
    known.dedup();
    let last = known.len().saturating_sub(1);
    let mut chosen: Vec<u32> =
        (0..EPISODES).filter_map(|n| known.get(last * n / (EPISODES - 1)).copied()).collect();
    chosen.dedup();
    let lines_of = chosen.into_iter().enumerate().map(|(place, episode)| {
        let line = group.line(|run| {
            run.rounds_of(episode).map(|round| (u64::from(round.round), round.mean_distance)).collect()
        });
        crate::report::plot::Line { name: format!("episode {episode}"), ink: Ink::Series(place), ..line }
    });
    lines(Lines {
        id: numbered("learning-rounds", n),
        title: "Distance after each round of some episodes",
        words: String::new(),
        over: ("round", Unit::Count),
        measured: ("distance", Unit::Number),
        lines: lines_of.collect(),
        diagonal: false,
    })
}

const TITLE: &str = "Learning";
/// So many are drawn.
const EPISODES: usize = 5;
