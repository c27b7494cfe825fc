//! Learning curves.

use std::iter;

use recsim_core::session::metrics::TrainingMonitor;

use super::{Section, SectionContent, needs_run, numbered, with_each};
use crate::report::groups::RunGroup;
use crate::report::plot::{AxisUnit, Figure, LinePlot, PlotColor, lines};
use crate::report::run_data::RunData;
use crate::train::Status;

pub(super) fn of(groups: &[RunGroup<'_>]) -> anyhow::Result<Section> {
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
            ("distance", AxisUnit::Number),
            |run| run.by_episode(|episode| Some(episode.mean_distance)),
        )?,
        curve(
            groups,
            "learning-area",
            "Area: the sum over rounds of the distance",
            ("area", AxisUnit::Number),
            areas,
        )?,
        curve(
            groups,
            "learning-acceptance",
            "Acceptance",
            ("share of shown items accepted", AxisUnit::Share),
            |run| run.by_episode(|episode| Some(episode.acceptance_rate)),
        )?,
        curve(groups, "learning-reward", "Reward per user and round", ("mean reward", AxisUnit::Number), |run| {
            run.by_episode(|episode| Some(episode.average_reward))
        })?,
        curve(
            groups,
            "learning-saturation",
            "Saturation of the actions",
            ("share of components beyond 0.99", AxisUnit::Share),
            |run| run.by_episode(|episode| Some(episode.action_saturation)),
        )?,
    ];
    let blocks = with_each(curves, groups, distance_by_round)?;
    let intro = "These values are from training and include exploration. An evaluation measures the policy alone. \
                 Of several runs that differ only in their seed, the line is the median, and the band reaches from \
                 the minimum to the maximum.";
    let intro = iter::once(intro.to_owned()).chain(groups.iter().flat_map(|group| &group.runs).flat_map(warnings));
    Ok(Section::Present(SectionContent {
        id: "learning",
        title: TITLE,
        intro: intro.collect::<Vec<_>>().join(" "),
        blocks,
    }))
}

/// The warnings of a run, as sentences.
fn warnings(run: &&RunData) -> impl Iterator<Item = String> {
    let is_finished = run.end.as_ref().is_some_and(|end| end.status == Status::Finished);
    run.episodes
        .iter()
        .collect::<TrainingMonitor>()
        .run_warnings(is_finished)
        .map(|warning| format!("Warning for {}: {warning}.", run.name))
}

fn curve(
    groups: &[RunGroup<'_>],
    id: &str,
    title: &str,
    y_axis: (&str, AxisUnit),
    of: impl Fn(&RunData) -> Vec<(u64, f64)>,
) -> anyhow::Result<Figure> {
    lines(LinePlot {
        id: id.to_owned(),
        title,
        caption: String::new(),
        x_axis: ("episode", AxisUnit::Count),
        y_axis,
        lines: groups.iter().map(|group| group.line(&of)).collect(),
        has_diagonal: false,
    })
}

/// The area of each finished episode: the sum of its rounds' distances.
fn areas(run: &RunData) -> Vec<(u64, f64)> {
    let area = |episode| run.rounds_of(episode).map(|round| round.mean_distance).sum();
    run.by_episode(|episode| Some(area(episode.episode)))
}

/// The distance by round in some episodes, the first and the last among them.
fn distance_by_round(group: &RunGroup<'_>, n: usize) -> anyhow::Result<Figure> {
    let mut episodes: Vec<u32> =
        group.runs.iter().flat_map(|run| &run.episodes).map(|episode| episode.episode).collect();
    episodes.sort_unstable();
    episodes.dedup();
    let last = episodes.len().saturating_sub(1);
    let mut drawn: Vec<u32> =
        (0..MAX_EPISODES).filter_map(|n| episodes.get(last * n / (MAX_EPISODES - 1)).copied()).collect();
    drawn.dedup();
    let lines_of = drawn.into_iter().enumerate().map(|(series, episode)| {
        let line = group.line(|run| {
            run.rounds_of(episode).map(|round| (u64::from(round.round), round.mean_distance)).collect()
        });
        crate::report::plot::PlotLine {
            name: format!("episode {episode}"),
            color: PlotColor::Series(series),
            ..line
        }
    });
    lines(LinePlot {
        id: numbered("learning-rounds", n),
        title: "Distance after each round of some episodes",
        caption: String::new(),
        x_axis: ("round", AxisUnit::Count),
        y_axis: ("distance", AxisUnit::Number),
        lines: lines_of.collect(),
        has_diagonal: false,
    })
}

const TITLE: &str = "Learning";
/// Episodes that are drawn.
const MAX_EPISODES: usize = 5;
