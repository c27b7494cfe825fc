//! `recsim report`: draws runs and evaluations as one HTML page.

mod groups;
mod options;
mod page;
mod plot;
mod run_data;
mod sections;
mod sources;

use std::fs;
use std::io::Write;

use anyhow::Context;
use serde::Serialize;

use crate::arguments::Report;
use crate::files::atomic::Replacement;
use crate::files::unless_missing;
use crate::output;
use options::{PlotFolder, ReportOptions};
use plot::Figure;
use sections::{ReportBlock, Section};
use sources::Sources;

/// Draws all inputs, writes the page and the plots, and prints what was written.
///
/// # Errors
/// If an argument or an input is invalid, in which case nothing is written; or if a file cannot be written.
pub(crate) fn run(arguments: &Report) -> anyhow::Result<()> {
    let options = ReportOptions::of(arguments)?;
    let sources = Sources::read(&arguments.inputs)?;
    let sections = sections::all(&sources)?;
    let page = page::page(&sections, &options.command)?;
    let mut files = vec![Replacement::write(&options.output, |file| file.write_all(page.as_bytes()))?];
    let figures: Vec<&Figure> = sections.iter().flat_map(figures).collect();
    let mut stale = Vec::new();
    if let Some(PlotFolder { folder, old_plots }) = &options.plots {
        stale.clone_from(old_plots);
        for figure in &figures {
            let (svg, csv) = (page::standalone(figure), figure.data.csv()?);
            for (kind, text) in [("svg", svg), ("csv", csv)] {
                let path = folder.join(format!("{}.{kind}", figure.id));
                stale.retain(|other| *other != path);
                files.push(Replacement::write(&path, |file| file.write_all(text.as_bytes()))?);
            }
        }
    }
    files.into_iter().try_for_each(Replacement::commit)?;
    for file in stale {
        unless_missing(fs::remove_file(&file)).with_context(|| format!("could not remove {}", file.display()))?;
    }
    let mut missing: Vec<MissingPart<'_>> = sections.iter().filter_map(missing).collect();
    // Parts that are missing for the same reason are printed together.
    missing.sort_by_key(|missing| missing.why);
    let summary = ReportSummary {
        report: options.output.display().to_string(),
        plots: figures.iter().map(|figure| &*figure.id).collect(),
        missing,
    };
    match (arguments.json, arguments.quiet) {
        (true, _) => output::json(&summary),
        (false, true) => Ok(()),
        (false, false) => output::text(&summary.to_string()),
    }
}

/// What was written, as it is printed.
#[derive(Serialize)]
struct ReportSummary<'a> {
    report: String,
    plots: Vec<&'a str>,
    missing: Vec<MissingPart<'a>>,
}

/// A part of the report without data.
#[derive(Serialize)]
struct MissingPart<'a> {
    part: &'a str,
    why: &'a str,
}

impl std::fmt::Display for ReportSummary<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", self.report, output::counted(self.plots.len(), "plot"))?;
        self.missing.chunk_by(|a, b| a.why == b.why).try_for_each(|missing| {
            let parts: Vec<&str> = missing.iter().map(|missing| missing.part).collect();
            writeln!(f, "  without {}: {}", parts.join(", "), missing[0].why)
        })
    }
}

fn figures(section: &Section) -> Vec<&Figure> {
    let Section::Present(content) = section else { return Vec::new() };
    let figures = content.blocks.iter().filter_map(|block| match block {
        ReportBlock::Figures(figures) => Some(figures),
        _ => None,
    });
    figures.flatten().collect()
}

fn missing(section: &Section) -> Option<MissingPart<'_>> {
    match section {
        Section::Present(_) => None,
        Section::Missing { title, why } => Some(MissingPart { part: title, why }),
    }
}
