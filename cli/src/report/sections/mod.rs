//! The parts of a report, a file each.

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

use super::groups::{Group, groups};
use super::plot::{Figure, Ink};
use super::sources::{Named, Sources};

/// A part of a report, or why there is none.
pub(super) enum Section {
    There(Part),
    Missing { title: &'static str, why: String },
}

/// A part that there is.
pub(super) struct Part {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What it shows, and how to read it.
    pub(super) words: String,
    pub(super) blocks: Vec<Block>,
}

/// What a part is made of.
pub(super) enum Block {
    Heading(String),
    Figures(Vec<Figure>),
    Table {
        header: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    /// The same, to be unfolded.
    Folded {
        title: &'static str,
        header: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    /// A command for a shell.
    Command(String),
    /// A file that was read, to be unfolded and saved.
    File {
        name: String,
        text: String,
    },
}

/// All parts, in their order.
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

/// What is drawn of all groups, and then of each, which is named if there are several.
fn with_each(
    mut figures: Vec<Figure>,
    groups: &[Group<'_>],
    each: impl Fn(&Group<'_>, usize) -> anyhow::Result<Figure>,
) -> anyhow::Result<Vec<Block>> {
    for (n, group) in groups.iter().enumerate() {
        let mut figure = each(group, n)?;
        if groups.len() > 1 {
            figure.title = format!("{}: {}", figure.title, group.name);
        }
        figures.push(figure);
    }
    Ok(vec![Block::Figures(figures)])
}

/// A part that shows the same of each evaluation, the `n`-th from 0.
fn of_each(
    id: &'static str,
    title: &'static str,
    words: &str,
    evaluations: &[Named],
    mut shown: impl FnMut(&Named, usize) -> anyhow::Result<Vec<Block>>,
) -> anyhow::Result<Section> {
    if evaluations.is_empty() {
        let why = "no evaluation was given; make one with recsim eval --policies \
                   actor:RUN,random,popular,pretrained,greedy,anti --out FILE, and give it beside the run";
        return Ok(Section::Missing { title, why: why.to_owned() });
    }
    let mut blocks = Vec::new();
    for (n, named) in evaluations.iter().enumerate() {
        blocks.extend(heading(&named.name, evaluations.len()));
        blocks.extend(shown(named, n)?);
    }
    Ok(Section::There(Part { id, title, words: words.to_owned(), blocks }))
}

/// A heading for each of several things, and none for a single one.
fn heading(name: &str, of: usize) -> Option<Block> {
    (of > 1).then(|| Block::Heading(name.to_owned()))
}

/// The n-th of several figures of the same kind, by a name of its own.
fn numbered(id: &str, n: usize) -> String {
    if n == 0 { id.to_owned() } else { format!("{id}-{}", n + 1) }
}

/// The ink of each policy of an evaluation: a policy that everybody knows has the same in every report.
fn inks(named: &Named) -> Vec<Ink> {
    let mut others = [0, 3, 6].into_iter().cycle();
    let policies = named.evaluation.policies.iter();
    policies
        .map(|policy| {
            let known = ["anti", "greedy", "popular", "pretrained", "random", "greedy-full", "random-full"];
            let place = known.iter().position(|name| *name == policy.policy);
            Ink::Series(place.map_or_else(|| others.next().unwrap_or(0), |place| [1, 2, 4, 5, 7, 8, 9][place]))
        })
        .collect()
}

/// What is missing without a run.
fn needs_run(title: &'static str) -> Section {
    Section::Missing { title, why: "no run was given; give the folder of a run of recsim train".to_owned() }
}

/// Header cells.
fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
