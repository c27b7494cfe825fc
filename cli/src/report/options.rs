//! The options of `recsim report`, resolved from its arguments.

use std::fs;
use std::path::{Path, PathBuf};

use super::page::{MARK, PLOT_MARK};
use crate::arguments::Report;
use crate::error::BadInput;
use crate::files::{atomic, folder};

/// Where a report is written.
pub(super) struct ReportOptions {
    /// The HTML file.
    pub(super) output: PathBuf,
    /// The folder for plots and their values.
    pub(super) plots: Option<PlotFolder>,
    /// The command that repeats the report.
    pub(super) command: String,
}

/// A folder for plots.
pub(super) struct PlotFolder {
    pub(super) folder: PathBuf,
    /// Plots of an earlier report in it.
    pub(super) old_plots: Vec<PathBuf>,
}

impl ReportOptions {
    /// Resolves the arguments.
    ///
    /// # Errors
    /// If a path cannot be written, or would replace something other than a report.
    pub(super) fn of(arguments: &Report) -> Result<Self, BadInput> {
        let output = output_file(&arguments.out)?;
        let plots = arguments.plots.as_deref().map(|path| plot_folder(path, &output)).transpose()?;
        Ok(Self { output, plots, command: command(arguments) })
    }
}

/// The HTML file that `--out` means, once it is known that it can be written.
fn output_file(out: &Path) -> Result<PathBuf, BadInput> {
    if out.as_os_str().is_empty() {
        return Err(BadInput::new("--out", "the path is empty", "name a file or a folder"));
    }
    let is_folder = out.is_dir() || out.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    let file = if is_folder { out.join(NAME) } else { out.to_owned() };
    check_folder(atomic::folder_of(&file), "--out")?;
    atomic::check_name(&file)?;
    let is_report = |path: &Path| fs::read(path).is_ok_and(|text| has_mark(&text));
    if file.symlink_metadata().is_ok() && !is_report(&file) {
        let problem = "this file exists and is not a report";
        return Err(BadInput::new(file.display(), problem, "give --out another file, or a folder"));
    }
    Ok(file)
}

/// The folder that `--plots` means. It is new, or contains nothing but plots of a report and the page.
fn plot_folder(path: &Path, page: &Path) -> Result<PlotFolder, BadInput> {
    if path.as_os_str().is_empty() {
        return Err(BadInput::new("--plots", "the path is empty", "name a folder"));
    }
    if folder::is_same(path, page) {
        return Err(BadInput::new(
            path.display(),
            "the page is written to this path",
            "give --plots another folder",
        ));
    }
    if path.symlink_metadata().is_err() {
        check_folder(atomic::folder_of(path), "--plots")?;
        return Ok(PlotFolder { folder: path.to_owned(), old_plots: Vec::new() });
    }
    let entries = fs::read_dir(path).map_err(|error| {
        BadInput::new(path.display(), format!("plots cannot be written here: {error}"), "give --plots a folder")
    })?;
    // Temporary files of interrupted writes are ignored.
    let is_relevant = |file: &PathBuf| !folder::is_same(file, page) && !atomic::is_temporary(file);
    let files = entries.flatten().map(|entry| entry.path()).filter(is_relevant);
    let (old_plots, others): (Vec<PathBuf>, Vec<PathBuf>) = files.partition(|file| is_plot(file));
    if let Some(other) = others.first() {
        let name = other.file_name().unwrap_or_default().to_string_lossy();
        let problem = format!("this folder contains a file that is not a plot of a report: {name}");
        let remedy = "give --plots a new folder, or one that contains only plots of a report";
        return Err(BadInput::new(path.display(), problem, remedy));
    }
    folder::writable(path)?;
    Ok(PlotFolder { folder: path.to_owned(), old_plots })
}

/// Whether this is a plot of a report, or the values of one.
fn is_plot(file: &Path) -> bool {
    let has_plot_mark = |plot: &Path| fs::read(plot).is_ok_and(|text| text.starts_with(PLOT_MARK.as_bytes()));
    match file.extension() {
        Some(kind) if kind == "svg" => has_plot_mark(file),
        Some(kind) if kind == "csv" => has_plot_mark(&file.with_extension("svg")),
        _ => false,
    }
}

/// Checks that a folder exists and can be written to.
fn check_folder(path: &Path, flag: &str) -> Result<(), BadInput> {
    if !path.is_dir() {
        let remedy = format!("create it first, or give {flag} a path in a folder that exists");
        return Err(BadInput::new(path.display(), "this folder does not exist", remedy));
    }
    folder::writable(path)
}

fn has_mark(text: &[u8]) -> bool {
    text.windows(MARK.len()).take(MARK_RANGE).any(|bytes| bytes == MARK.as_bytes())
}

/// The command as typed, without `--json` and `--quiet`.
fn command(arguments: &Report) -> String {
    let mut words = vec!["recsim".to_owned(), "report".to_owned()];
    words.extend(arguments.inputs.iter().map(|input| input.display().to_string()));
    words.extend(["--out".to_owned(), arguments.out.display().to_string()]);
    let plots = arguments.plots.iter().flat_map(|plots| ["--plots".to_owned(), plots.display().to_string()]);
    words.extend(plots);
    crate::output::command(&words)
}

/// The page's name in a folder.
const NAME: &str = "report.html";
/// Bytes in which [`MARK`] must start.
const MARK_RANGE: usize = 200;
