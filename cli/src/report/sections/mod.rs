//! The sections of a report, one file each.

mod acceptance;
mod beliefs;
mod learning;
mod losses;
mod origins;
mod overview;
mod policies;
mod reliability;
mod slates;
mod timings;

use super::groups::{RunGroup, groups};
use super::plot::{Figure, PlotColor};
use super::sources::{NamedEvaluation, Sources};

/// A section of a report, or why it is missing.
pub(super) enum Section {
    Present(SectionContent),
    Missing { title: &'static str, why: String },
}

/// The content of a section.
pub(super) struct SectionContent {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What it shows, and how to read it.
    pub(super) intro: String,
    pub(super) blocks: Vec<ReportBlock>,
}

/// A block of a section.
pub(super) enum ReportBlock {
    Heading(String),
    Figures(Vec<Figure>),
    Table {
        header: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    /// A table that the reader unfolds.
    Folded {
        title: &'static str,
        header: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    /// A shell command.
    Command(String),
    /// A file that the reader unfolds or saves.
    File {
        name: String,
        text: String,
    },
}

/// All sections, in their order.
///
/// # Errors
/// If drawing fails.
pub(super) fn all(sources: &Sources) -> anyhow::Result<Vec<Section>> {
    let groups = groups(&sources.runs);
    let evaluations = &sources.evaluations[..];
    Ok(vec![
        overview::of(sources),
        learning::of(&groups)?,
        policies::of(evaluations)?,
        beliefs::of(&groups, evaluations)?,
        acceptance::of(evaluations)?,
        slates::of(evaluations)?,
        reliability::of(evaluations)?,
        losses::of(&groups)?,
        timings::of(&groups)?,
        origins::of(sources),
    ])
}

/// A block of `figures`, followed by a figure of each group, whose title names the group if there are several.
fn with_each(
    mut figures: Vec<Figure>,
    groups: &[RunGroup<'_>],
    figure_of: impl Fn(&RunGroup<'_>, usize) -> anyhow::Result<Figure>,
) -> anyhow::Result<Vec<ReportBlock>> {
    for (n, group) in groups.iter().enumerate() {
        let mut figure = figure_of(group, n)?;
        if groups.len() > 1 {
            figure.title = format!("{}: {}", figure.title, group.name);
        }
        figures.push(figure);
    }
    Ok(vec![ReportBlock::Figures(figures)])
}

/// A section with the same blocks for each evaluation. `blocks_of` takes an evaluation and its index.
fn of_each_evaluation(
    id: &'static str,
    title: &'static str,
    intro: &str,
    evaluations: &[NamedEvaluation],
    mut blocks_of: impl FnMut(&NamedEvaluation, usize) -> anyhow::Result<Vec<ReportBlock>>,
) -> anyhow::Result<Section> {
    if evaluations.is_empty() {
        let why = "no evaluation was given; write one with recsim eval --policies \
                   actor:RUN,random,popular,pretrained,greedy,anti --out FILE, and give it in addition to the run";
        return Ok(Section::Missing { title, why: why.to_owned() });
    }
    let mut blocks = Vec::new();
    for (n, named) in evaluations.iter().enumerate() {
        blocks.extend(heading(&named.name, evaluations.len()));
        blocks.extend(blocks_of(named, n)?);
    }
    Ok(Section::Present(SectionContent { id, title, intro: intro.to_owned(), blocks }))
}

/// A heading, unless it would be the only one of `count`.
fn heading(name: &str, count: usize) -> Option<ReportBlock> {
    (count > 1).then(|| ReportBlock::Heading(name.to_owned()))
}

/// The id of the n-th figure of the same kind, counted from 0.
fn numbered(id: &str, n: usize) -> String {
    if n == 0 { id.to_owned() } else { format!("{id}-{}", n + 1) }
}

/// The color of each policy of an evaluation. A baseline has the same color in every report.
fn policy_colors(named: &NamedEvaluation) -> Vec<PlotColor> {
    let mut others = [0, 3, 6].into_iter().cycle();
    let policies = named.evaluation.policies.iter();
    policies
        .map(|policy| {
            let baselines = ["anti", "greedy", "popular", "pretrained", "random", "greedy-full", "random-full"];
            let index = baselines.iter().position(|name| *name == policy.policy);
            PlotColor::Series(
                index.map_or_else(|| others.next().unwrap_or(0), |index| [1, 2, 4, 5, 7, 8, 9][index]),
            )
        })
        .collect()
}

/// A section that is missing because no run was given.
fn needs_run(title: &'static str) -> Section {
    Section::Missing { title, why: "no run was given; give the folder of a run of recsim train".to_owned() }
}

/// Header cells.
fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
