//! `recsim report`: runs and evaluations, drawn.

mod groups;
mod options;
mod page;
mod plot;
mod sections;
mod sources;
mod trained;

use std::fs;
use std::io::Write;

use anyhow::Context;
use serde::Serialize;

use crate::arguments::Report;
use crate::files::atomic::Replacement;
use crate::files::unless_missing;
use crate::output;
use options::{Options, Plots};
use plot::Figure;
use sections::{Block, Section};
use sources::Sources;

/// Draws everything that the inputs hold. Whatever can be refused is refused before anything is written.
pub(crate) fn run(arguments: &Report) -> anyhow::Result<()> {
    let options = Options::of(arguments)?;
    let sources = Sources::read(&arguments.inputs)?;
    let sections = sections::all(&sources)?;
    let page = page::page(&sections, &options.command)?;
    let mut files = vec![Replacement::write(&options.output, |file| file.write_all(page.as_bytes()))?];
    let figures: Vec<&Figure> = sections.iter().flat_map(figures).collect();
    let mut stale = Vec::new();
    if let Some(Plots { folder, old }) = &options.plots {
        stale.clone_from(old);
        for figure in &figures {
            let (svg, csv) = (page::standalone(figure), figure.numbers.csv()?);
            for (kind, text) in [("svg", svg), ("csv", csv)] {
                let path = folder.join(format!("{}.{kind}", figure.id));
                stale.retain(|old| *old != path);
                files.push(Replacement::write(&path, |file| file.write_all(text.as_bytes()))?);
            }
        }
    }
    files.into_iter().try_for_each(Replacement::commit)?;
    for file in stale {
        unless_missing(fs::remove_file(&file)).with_context(|| format!("could not remove {}", file.display()))?;
    }
    let mut missing: Vec<Missing<'_>> = sections.iter().filter_map(missing).collect();
    // What is missing for one reason stands together.
    missing.sort_by_key(|missing| missing.why);
    let told = Told {
        report: options.output.display().to_string(),
        plots: figures.iter().map(|figure| &*figure.id).collect(),
        missing,
    };
    match (arguments.json, arguments.quiet) {
        (true, _) => output::json(&told),
        (false, true) => Ok(()),
        (false, false) => output::text(&told.to_string()),
    }
}

/// What was written.
#[derive(Serialize)]
struct Told<'a> {
    report: String,
    plots: Vec<&'a str>,
    missing: Vec<Missing<'a>>,
}

/// A part that there is not.
#[derive(Serialize)]
struct Missing<'a> {
    part: &'a str,
    why: &'a str,
}

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", self.report, output::counted(self.plots.len(), "plot"))?;
        self.missing.chunk_by(|a, b| a.why == b.why).try_for_each(|missing| {
            let parts: Vec<&str> = missing.iter().map(|missing| missing.part).collect();
            writeln!(f, "  without {}: {}", parts.join(", "), missing[0].why)
        })
    }
}

fn figures(section: &Section) -> Vec<&Figure> {
    let Section::There(part) = section else { return Vec::new() };
    let figures = part.blocks.iter().filter_map(|block| match block {
        Block::Figures(figures) => Some(figures),
        _ => None,
    });
    figures.flatten().collect()
}

fn missing(section: &Section) -> Option<Missing<'_>> {
    match section {
        Section::There(_) => None,
        Section::Missing { title, why } => Some(Missing { part: title, why }),
    }
}
