//! Speed, and time by stage.

use recsim_core::backend::StageSeconds;

use super::{Section, SectionContent, needs_run, numbered, with_each};
use crate::report::groups::RunGroup;
use crate::report::plot::{AxisUnit, Figure, LinePlot, PlotColor, StackPlot, lines, stack};

pub(super) fn of(groups: &[RunGroup<'_>]) -> anyhow::Result<Section> {
    if groups.is_empty() {
        return Ok(needs_run(TITLE));
    }
    if groups.iter().flat_map(|group| &group.runs).all(|run| run.episodes.is_empty()) {
        return Ok(Section::Missing { title: TITLE, why: "no run has finished an episode".to_owned() });
    }
    let blocks = with_each(vec![speed(groups)?], groups, stages)?;
    let intro = "As measured by each run on its own machine. Of several runs: the median.";
    Ok(Section::Present(SectionContent { id: "timings", title: TITLE, intro: intro.to_owned(), blocks }))
}

fn speed(groups: &[RunGroup<'_>]) -> anyhow::Result<Figure> {
    let line =
        |group: &RunGroup<'_>| group.line(|run| run.by_episode(|episode| Some(episode.user_steps_per_second)));
    lines(LinePlot {
        id: "timings-speed".to_owned(),
        title: "User-steps per second",
        caption: "Including updates.".to_owned(),
        x_axis: ("episode", AxisUnit::Count),
        y_axis: ("user-steps per second", AxisUnit::Number),
        lines: groups.iter().map(line).collect(),
        has_diagonal: false,
    })
}

fn stages(group: &RunGroup<'_>, n: usize) -> anyhow::Result<Figure> {
    let stages: [StageField; 4] = [
        ("policy", |seconds| seconds.policy),
        ("matching", |seconds| seconds.matching),
        ("step", |seconds| seconds.step),
        ("training", |seconds| seconds.training),
    ];
    let lines = stages.map(|(_, of)| group.line(|run| run.by_episode(|episode| Some(of(&episode.seconds)))));
    // All stages were measured in the same episodes.
    let columns = lines[0].points.iter().enumerate();
    let columns = columns.map(|(n, point)| (point.x, lines.iter().map(|line| line.points[n].y).collect()));
    stack(StackPlot {
        id: numbered("timings-stages", n),
        title: "Seconds of an episode by stage".to_owned(),
        caption: "Policy: observe and act. Matching: fill slates. Step: users respond. Training: updates."
            .to_owned(),
        x_axis: "episode",
        y_axis: ("seconds", AxisUnit::Number),
        parts: stages.iter().enumerate().map(|(n, (name, _))| ((*name).to_owned(), PlotColor::Series(n))).collect(),
        columns: columns.collect(),
    })
}

/// A stage's name, and its field.
type StageField = (&'static str, fn(&StageSeconds) -> f64);

const TITLE: &str = "Timings";
