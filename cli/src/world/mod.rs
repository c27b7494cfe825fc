//! `recsim world`: generates, imports, assembles and describes worlds, and opens them for the other commands.

mod assemble;
mod describe;
mod file;
mod folder;
mod import;
mod info;
mod kmeans;
mod lists;
mod new;
mod table;

use std::path::PathBuf;

use anyhow::Result;

pub(crate) use file::{WorldFile, open};
pub(crate) use new::generate;

/// The subcommands of `recsim world`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum WorldCommand {
    /// Generate a world from a seed, with the same files on every machine
    New(new::New),
    /// Make a world from an interaction log: CSV or TSV with a header
    Import(import::Import),
    /// Make a world from arrays and tables
    Assemble(assemble::Assemble),
    /// Show a world: its sizes, clusters, provenance and checksums
    Info(Info),
}

/// The arguments of `recsim world info`.
#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    /// Folder of the world
    dir: PathBuf,
}

/// Runs the subcommand, and prints a description of the world: a table, or one line of JSON with `json`. With `quiet`
/// and without `json` it prints nothing.
///
/// # Errors
/// If an input is wrong, or the world cannot be written.
pub(crate) fn run(command: WorldCommand, quiet: bool, json: bool, threads: Option<usize>) -> Result<()> {
    let (dir, world) = match command {
        WorldCommand::New(arguments) => arguments.run(threads)?,
        WorldCommand::Import(arguments) => arguments.run(threads)?,
        WorldCommand::Assemble(arguments) => arguments.run(threads)?,
        WorldCommand::Info(Info { dir }) => {
            let world = open(&dir)?;
            world.view()?;
            (dir, world)
        }
    };
    if json || !quiet {
        describe::print(&dir, &world, json)?;
    }
    Ok(())
}

/// The world that `import` or `assemble` makes from its files, without writing it. `None` for other subcommands.
#[cfg(fuzzing)]
pub(crate) fn made(command: &WorldCommand) -> Result<Option<WorldFile>> {
    match command {
        WorldCommand::Import(arguments) => arguments.make(Some(1)).map(Some),
        WorldCommand::Assemble(arguments) => arguments.make(Some(1)).map(Some),
        _ => Ok(None),
    }
}

/// The number of items in each cluster.
fn cluster_counts(cluster: &[u32], clusters: usize) -> Vec<usize> {
    let mut counts = vec![0; clusters];
    cluster.iter().for_each(|&c| counts[c as usize] += 1);
    counts
}

/// Parses an argument that must be a whole number from 1 to 2^32 - 1.
fn at_least_1(text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(number) if number >= 1 => Ok(number as usize),
        _ => Err("must be a whole number from 1 to 4294967295".into()),
    }
}

/// Parses an argument that must be a finite number.
fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| "must be a finite number".into())
}

/// Parses an argument that must be a finite number above 0, in the range of normal `f32` values.
fn positive(text: &str) -> Result<f64, String> {
    let in_range = |number: &f64| (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(number);
    text.parse().ok().filter(in_range).ok_or_else(|| "must be a finite number above 0".into())
}

/// Default length of pre-trained lists, if there are enough items: twice the default length of a slate.
const DEFAULT_PRETRAINED_LEN: usize = 40;
/// `made_by` in the provenance of every world.
const MADE_BY: &str = concat!("recsim ", env!("CARGO_PKG_VERSION"));
