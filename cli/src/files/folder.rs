//! The folder of a run: which, and whether it may be used.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::names;
use crate::error::BadInput;

/// `runs/<UTC date-time>-<seed>`, with a number behind it where that is taken.
pub(crate) fn default_path(seed: u64) -> PathBuf {
    let name = format!("{}-{seed}", jiff::Timestamp::now().strftime("%Y-%m-%d-%H%M%S"));
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut free = std::iter::once(name.clone()).chain(numbered).map(|name| Path::new("runs").join(name));
    free.find(|path| !path.exists()).expect("there are more numbers than folders")
}

/// Refuses a folder that a run cannot be written to, or that holds what would be lost. Leaves nothing behind.
pub(crate) fn check(path: &Path, force: bool) -> Result<(), BadInput> {
    let refuse = |problem: &str, remedy: &str| Err(BadInput::new(path.display(), problem, remedy));
    if path.exists() && !path.is_dir() {
        return refuse("this is a file, and a run needs a folder", "give another folder with --out");
    }
    let holds = |files: &[&str]| files.iter().any(|file| path.join(file).exists());
    if !force && holds(&OF_A_WORLD) {
        return refuse(
            "this folder holds a world",
            "give another folder with --out, or --force to write beside it",
        );
    }
    if !force && holds(&OF_A_RUN) {
        return refuse("this folder holds a run", "give another folder with --out, or --force to replace the run");
    }
    writable(path)
}

/// Refuses a folder in which, or in the nearest one that exists above it, no file can be made.
pub(crate) fn writable(path: &Path) -> Result<(), BadInput> {
    let nearest = path.ancestors().find(|above| above.exists() && !above.as_os_str().is_empty());
    let nearest = nearest.unwrap_or(Path::new("."));
    match tempfile::tempfile_in(nearest) {
        Ok(_) => Ok(()),
        Err(error) => {
            let problem = format!("nothing can be written in {}: {error}", nearest.display());
            Err(BadInput::new(path.display(), problem, "give a folder that can be written to"))
        }
    }
}

/// Makes the folder and clears it of what a former run left.
pub(crate) fn prepare(path: &Path) -> anyhow::Result<()> {
    let cleared = fs::create_dir_all(path).and_then(|()| {
        OF_A_RUN.iter().map(|name| path.join(name)).try_for_each(|old| match old.is_dir() {
            true => fs::remove_dir_all(old),
            false => fs::remove_file(old).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        })
    });
    cleared.with_context(|| format!("could not make the folder {}", path.display()))
}

const OF_A_WORLD: [&str; 2] = ["world.json", "world.safetensors"];
const OF_A_RUN: [&str; 8] = [
    names::CONFIG,
    names::RUN,
    names::ROUNDS,
    names::EPISODES,
    names::SUMMARY,
    names::RESULTS,
    names::MODELS,
    names::TENSORBOARD,
];
