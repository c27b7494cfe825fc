//! What `recsim report` was asked to do, as meant.

use std::fs;
use std::path::{Path, PathBuf};

use super::page::MARK;
use crate::arguments::Report;
use crate::error::BadInput;
use crate::files::{atomic, folder};

/// Where a report goes.
pub(super) struct Options {
    /// The page.
    pub(super) output: PathBuf,
    /// The folder for plots and their numbers.
    pub(super) plots: Option<PathBuf>,
    /// What makes it again.
    pub(super) command: String,
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
    let known = |path: &Path| fs::read(path).is_ok_and(|text| holds_mark(&text));
    if file.symlink_metadata().is_ok() && !known(&file) {
        let problem = "this is there already, and is no report";
        return Err(BadInput::new(file.display(), problem, "give --out another file, or a folder"));
    }
    Ok(file)
}

/// The folder that is meant, which is new, or holds nothing but plots and the page.
fn plots(path: &Path, page: &Path) -> Result<PathBuf, BadInput> {
    if path.as_os_str().is_empty() {
        return Err(BadInput::new("--plots", "the path is empty", "name a folder"));
    }
    if path.symlink_metadata().is_err() {
        there(atomic::folder_of(path), "--plots")?;
        return Ok(path.to_owned());
    }
    let remedy = "give --plots a new folder, or one that holds nothing else";
    let entries = fs::read_dir(path).map_err(|error| {
        BadInput::new(path.display(), format!("plots cannot be put here: {error}"), "give --plots a folder")
    })?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = Path::new(&name).extension().is_some_and(|kind| kind == "svg" || kind == "csv");
        if !ours && !folder::is_same(&entry.path(), page) {
            let problem = format!("this folder holds other things than plots: {}", name.to_string_lossy());
            return Err(BadInput::new(path.display(), problem, remedy));
        }
    }
    folder::writable(path)?;
    Ok(path.to_owned())
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
