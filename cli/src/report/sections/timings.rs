//! Where the time went.

use recsim_core::backend::StageSeconds;

use super::{Part, Section, needs_run, numbered, with_each};
use crate::report::groups::Group;
use crate::report::plot::{Figure, Ink, Lines, Stack, Unit, lines, stack};

pub(super) fn of(groups: &[Group<'_>]) -> anyhow::Result<Section> {
    if groups.is_empty() {
        return Ok(needs_run(TITLE));
    }
    if groups.iter().flat_map(|group| &group.runs).all(|run| run.episodes.is_empty()) {
        return Ok(Section::Missing { title: TITLE, why: "no run has finished an episode".to_owned() });
    }
    let blocks = with_each(vec![speed(groups)?], groups, stages)?;
    let words = "As measured by each run on its own machine, medians where there are several.";
    Ok(Section::There(Part { id: "timings", title: TITLE, words: words.to_owned(), blocks }))
}

fn speed(groups: &[Group<'_>]) -> anyhow::Result<Figure> {
    let line = |group: &Group<'_>| group.line(|run| run.by_episode(|episode| Some(episode.user_steps_per_second)));
    lines(Lines {
        id: "timings-speed".to_owned(),
        title: "Users served in a second",
        words: "Learning included.".to_owned(),
        over: ("episode", Unit::Count),
        measured: ("user-steps per second", Unit::Number),
        lines: groups.iter().map(line).collect(),
        diagonal: false,
    })
}

fn stages(group: &Group<'_>, n: usize) -> anyhow::Result<Figure> {
    let stages: [Stage; 4] = [
        ("policy", |seconds| seconds.policy),
        ("matching", |seconds| seconds.matching),
        ("step", |seconds| seconds.step),
        ("training", |seconds| seconds.training),
    ];
    let lines = stages.map(|(_, of)| group.line(|run| run.by_episode(|episode| Some(of(&episode.seconds)))));
    // All stages were measured in the same episodes.
    let columns = lines[0].points.iter().enumerate();
    let columns = columns.map(|(n, point)| (point.x, lines.iter().map(|line| line.points[n].y).collect()));
    stack(Stack {
        id: numbered("timings-stages", n),
        title: "Seconds of an episode by stage".to_owned(),
        words: "Policy: observing and acting. Matching: filling slates. Step: users respond. Training: updates."
            .to_owned(),
        over: "episode",
        measured: ("seconds", Unit::Number),
        parts: stages.iter().enumerate().map(|(n, (name, _))| ((*name).to_owned(), Ink::Series(n))).collect(),
        columns: columns.collect(),
    })
}

/// A stage's name and its time.
type Stage = (&'static str, fn(&StageSeconds) -> f64);

const TITLE: &str = "Timings";
