//! `recsim world`: worlds made, imported, assembled and shown, and opened for the other commands.

mod about;
mod assemble;
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

/// What can be done with worlds.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Generate a world from a seed: the same files on every machine
    New(new::New),
    /// Make a world from a log of interactions: CSV or TSV with a header
    Import(import::Import),
    /// Make a world from arrays and tables
    Assemble(assemble::Assemble),
    /// Show a world: its sizes, clusters, provenance and checksums
    Info(Info),
}

/// Where the world is.
#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    /// The world's folder
    dir: PathBuf,
}

/// Carries out the command. What is made is described on standard output: as a table, with `json` as one line of
/// JSON, with `quiet` not at all.
pub(crate) fn run(command: Command, quiet: bool, json: bool, threads: Option<usize>) -> Result<()> {
    let (dir, world) = match command {
        Command::New(arguments) => arguments.run(threads)?,
        Command::Import(arguments) => arguments.run(threads)?,
        Command::Assemble(arguments) => arguments.run(threads)?,
        Command::Info(Info { dir }) => {
            let world = open(&dir)?;
            world.view()?;
            (dir, world)
        }
    };
    if json || !quiet {
        info::print(&dir, &world, json)?;
    }
    Ok(())
}

/// What a command makes of somebody's files, before it is written.
#[cfg(fuzzing)]
pub(crate) fn made(command: &Command) -> Result<Option<WorldFile>> {
    match command {
        Command::Import(arguments) => arguments.make(Some(1)).map(Some),
        Command::Assemble(arguments) => arguments.make(Some(1)).map(Some),
        _ => Ok(None),
    }
}

/// How many items each cluster has.
fn cluster_counts(cluster: &[u32], clusters: usize) -> Vec<usize> {
    let mut counts = vec![0; clusters];
    cluster.iter().for_each(|&c| counts[c as usize] += 1);
    counts
}

/// An argument that is a whole number from 1 to 2^32 - 1.
fn at_least_1(text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(number) if number >= 1 => Ok(number as usize),
        _ => Err("must be a whole number from 1 to 4294967295".into()),
    }
}

/// An argument that is a finite number.
fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| "must be a finite number".into())
}

/// An argument that is a finite number above 0, as a `f32` too.
fn positive(text: &str) -> Result<f64, String> {
    let in_range = |number: &f64| (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(number);
    text.parse().ok().filter(in_range).ok_or_else(|| "must be a finite number above 0".into())
}

/// The length of pre-trained lists where items allow it: twice what a slate shows by default.
const DEFAULT_LIST: usize = 40;
/// Stands in the provenance of every world made here.
const MADE_BY: &str = concat!("recsim ", env!("CARGO_PKG_VERSION"));
