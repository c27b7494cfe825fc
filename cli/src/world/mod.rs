//! `recsim world`: worlds made, imported, assembled and shown, and opened for the other commands.

mod about;
mod file;
mod folder;
mod info;
mod lists;
mod new;

use std::path::PathBuf;

use anyhow::Result;

pub(crate) use file::{WorldFile, open};
pub(crate) use new::generate;

/// What can be done with worlds.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Generate a world from a seed: the same files on every machine
    New(new::New),
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
        Command::Info(Info { dir }) => {
            let world = open(&dir)?;
            info::print(&dir, &world, json)?;
            return Ok(());
        }
    };
    if json || !quiet {
        info::print(&dir, &world, json)?;
    }
    Ok(())
}

/// Stands in the provenance of every world made here.
const MADE_BY: &str = concat!("recsim ", env!("CARGO_PKG_VERSION"));
