//! What `recsim report` was asked to do, as meant.

use std::fs;
use std::path::{Path, PathBuf};

use super::page::{MARK, PLOT_MARK};
use crate::arguments::Report;
use crate::error::BadInput;
use crate::files::{atomic, folder};

/// Where a report goes.
pub(super) struct Options {
    /// The page.
    pub(super) output: PathBuf,
    /// Where plots and their numbers go.
    pub(super) plots: Option<Plots>,
    /// What makes it again.
    pub(super) command: String,
}

/// A folder for plots.
pub(super) struct Plots {
    pub(super) folder: PathBuf,
    /// What an earlier report has left there.
    pub(super) old: Vec<PathBuf>,
}

impl Options {
    /// Settles the arguments, and refuses places that cannot be written to.
    pub(super) fn of(arguments: &Report) -> Result<Self, BadInput> {
        let output = output(&arguments.out)?;
        let plots = arguments.plots.as_deref().map(|path| plots(path, &output)).transpose()?;
        Ok(Self { output, plots, command: command(arguments) })
    }
}

/// The page that is meant, which may be written.
fn output(out: &Path) -> Result<PathBuf, BadInput> {
    if out.as_os_str().is_empty() {
        return Err(BadInput::new("--out", "the path is empty", "name a file or a folder"));
    }
    let is_folder = out.is_dir() || out.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    let file = if is_folder { out.join(NAME) } else { out.to_owned() };
    there(atomic::folder_of(&file), "--out")?;
    atomic::check_name(&file)?;
    let known = |path: &Path| fs::read(path).is_ok_and(|text| holds_mark(&text));
    if file.symlink_metadata().is_ok() && !known(&file) {
        let problem = "this is there already, and is no report";
        return Err(BadInput::new(file.display(), problem, "give --out another file, or a folder"));
    }
    Ok(file)
}

/// The folder that is meant, which is new, or holds nothing but plots of reports and the page.
fn plots(path: &Path, page: &Path) -> Result<Plots, BadInput> {
    if path.as_os_str().is_empty() {
        return Err(BadInput::new("--plots", "the path is empty", "name a folder"));
    }
    if folder::is_same(path, page) {
        return Err(BadInput::new(path.display(), "this is where the page goes", "give --plots another folder"));
    }
    if path.symlink_metadata().is_err() {
        there(atomic::folder_of(path), "--plots")?;
        return Ok(Plots { folder: path.to_owned(), old: Vec::new() });
    }
    let entries = fs::read_dir(path).map_err(|error| {
        BadInput::new(path.display(), format!("plots cannot be put here: {error}"), "give --plots a folder")
    })?;
    // What another program is about to put here, or never will, is nobody's.
    let counts = |file: &PathBuf| !folder::is_same(file, page) && !atomic::is_beside(file);
    let files = entries.flatten().map(|entry| entry.path()).filter(counts);
    let (old, others): (Vec<PathBuf>, Vec<PathBuf>) = files.partition(|file| is_plot(file));
    if let Some(other) = others.first() {
        let name = other.file_name().unwrap_or_default().to_string_lossy();
        let problem = format!("this folder holds other things than plots of a report: {name}");
        let remedy = "give --plots a new folder, or one that holds nothing else";
        return Err(BadInput::new(path.display(), problem, remedy));
    }
    folder::writable(path)?;
    Ok(Plots { folder: path.to_owned(), old })
}

/// Whether a report has written this: a plot, or the numbers beside one.
fn is_plot(file: &Path) -> bool {
    let marked = |plot: &Path| fs::read(plot).is_ok_and(|text| text.starts_with(PLOT_MARK.as_bytes()));
    match file.extension() {
        Some(kind) if kind == "svg" => marked(file),
        Some(kind) if kind == "csv" => marked(&file.with_extension("svg")),
        _ => false,
    }
}

/// Refuses a folder that does not exist, or cannot be written to.
fn there(path: &Path, flag: &str) -> Result<(), BadInput> {
    if !path.is_dir() {
        let remedy = format!("make it first, or give {flag} a place in a folder that exists");
        return Err(BadInput::new(path.display(), "there is no such folder", remedy));
    }
    folder::writable(path)
}

fn holds_mark(text: &[u8]) -> bool {
    text.windows(MARK.len()).take(HEAD).any(|bytes| bytes == MARK.as_bytes())
}

/// The command that was typed, without what it prints.
fn command(arguments: &Report) -> String {
    let mut words = vec!["recsim".to_owned(), "report".to_owned()];
    words.extend(arguments.inputs.iter().map(|input| input.display().to_string()));
    words.extend(["--out".to_owned(), arguments.out.display().to_string()]);
    let plots = arguments.plots.iter().flat_map(|plots| ["--plots".to_owned(), plots.display().to_string()]);
    words.extend(plots);
    crate::output::command(&words)
}

/// The page in a folder that is given for one.
const NAME: &str = "report.html";
/// So many bytes are looked at.
const HEAD: usize = 200;
