//! The folder of a run: which, and whether it may be used.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{names, tensorboard, unless_missing};
use crate::checkpoint;
use crate::error::BadInput;

/// `runs/<date in UTC>-<seed>`, with a number behind it where that is taken.
pub(crate) fn default_path(seed: u64) -> PathBuf {
    let name = format!("{}-{seed}", jiff::Timestamp::now().strftime("%Y-%m-%d"));
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut free = std::iter::once(name.clone()).chain(numbered).map(|name| Path::new("runs").join(name));
    free.find(|path| !path.exists()).expect("there are more numbers than folders")
}

/// Refuses a folder that a run cannot be written to, or that holds what would be lost. Leaves nothing behind.
pub(crate) fn check(path: &Path, force: bool) -> Result<(), BadInput> {
    let refuse = |problem: &str, remedy: &str| Err(BadInput::new(path.display(), problem, remedy));
    if path.symlink_metadata().is_ok() && !path.is_dir() {
        return refuse("this is no folder, and a run needs one", "give another folder with --out");
    }
    let holds = |files: &[&str]| files.iter().any(|file| path.join(file).exists());
    if !force && holds(&OF_A_WORLD) {
        return refuse(
            "this folder holds a world",
            "give another folder with --out, or --force to write beside it",
        );
    }
    if !force && (holds(&OF_A_RUN) || holds(&names::FOLDERS)) {
        return refuse("this folder holds a run", "give another folder with --out, or --force to replace the run");
    }
    writable(path)
}

/// Refuses a folder in which, or in the nearest one that exists above it, no file can be made.
pub(crate) fn writable(path: &Path) -> Result<(), BadInput> {
    let nearest = path.ancestors().find(|above| above.exists() && !above.as_os_str().is_empty());
    let nearest = nearest.unwrap_or(Path::new("."));
    if let Err(error) = path.symlink_metadata()
        && error.kind() == io::ErrorKind::InvalidFilename
    {
        return Err(BadInput::new(
            path.display(),
            format!("there can be no such name: {error}"),
            "give a shorter one",
        ));
    }
    match tempfile::tempfile_in(nearest) {
        Ok(_) => Ok(()),
        Err(error) => {
            let problem = format!("nothing can be written in {}: {error}", nearest.display());
            Err(BadInput::new(path.display(), problem, "give a folder that can be written to"))
        }
    }
}

/// Makes the folder. It is this run's while what is returned lives. Without `force` there may be no run in it: another may
/// have come since [`check`].
pub(crate) fn prepare(path: &Path, force: bool) -> anyhow::Result<Option<File>> {
    fs::create_dir_all(path).with_context(|| format!("could not make the folder {}", path.display()))?;
    let claim = claim(path)?;
    check(path, force)?;
    Ok(claim)
}

/// Clears the folder of what a former run left: of the files that a run writes, and of no other. Its settings stay until
/// others take their place, so that it can be begun again whenever this is cut short.
pub(crate) fn clear(path: &Path) -> anyhow::Result<()> {
    try_clear(path).with_context(|| format!("could not clear the folder {}", path.display()))
}

/// Locks a folder or a file, where the system can; refuses one that somebody else has locked.
pub(crate) fn claim(path: &Path) -> Result<Option<File>, BadInput> {
    let Ok(file) = File::open(path) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(is_taken(path)),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Somebody else has locked it.
pub(crate) fn is_taken(path: &Path) -> BadInput {
    BadInput::new(path.display(), "another program is writing here", "give another place, or wait for it to end")
}

fn try_clear(path: &Path) -> io::Result<()> {
    // Without it the run has not ended, and is gone on from the checkpoint that is left, or begun again.
    unless_missing(fs::remove_file(path.join(names::SUMMARY)))?;
    checkpoint::clear(&path.join(names::CHECKPOINTS))?;
    let models = names::MODEL_FILES.map(|file| path.join(names::MODELS).join(file));
    let named = OF_A_RUN.into_iter().filter(|file| *file != names::CONFIG).map(|file| path.join(file));
    named.chain(models).try_for_each(|file| unless_missing(fs::remove_file(file)))?;
    let tensorboard = path.join(names::TENSORBOARD);
    if tensorboard.is_dir() {
        for entry in fs::read_dir(&tensorboard)? {
            let entry = entry?;
            if tensorboard::is_ours(&entry.file_name().to_string_lossy()) {
                fs::remove_file(entry.path())?;
            }
        }
    }
    for folder in names::FOLDERS {
        // One that holds somebody's file is not empty, and stays.
        let _ = fs::remove_dir(path.join(folder));
    }
    Ok(())
}

/// Whether `file` is one that a run writes to its folder `run`, or one of the world in the folder `world`.
pub(crate) fn is_reserved(file: &Path, run: &Path, world: Option<&Path>) -> bool {
    let file = resolved(file);
    let among = |folder: &Path, names: &[&str]| names.iter().any(|name| resolved(&folder.join(name)) == file);
    let inside = |folder: &str| file.starts_with(resolved(&run.join(folder)));
    // A file of that name would stand where the folder is to be.
    resolved(run).starts_with(&file)
        || among(run, &OF_A_RUN)
        || names::FOLDERS.into_iter().any(inside)
        || [Some(run), world].into_iter().flatten().any(|folder| among(folder, &OF_A_WORLD))
}

/// Whether both are paths of one file.
pub(crate) fn is_same(a: &Path, b: &Path) -> bool {
    resolved(a) == resolved(b)
}

/// A path without links, and without `.` and `..`, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = Vec::new();
    for above in absolute.ancestors() {
        if let Ok(known) = above.canonicalize() {
            return missing.iter().rev().fold(known, |path, name| path.join(name));
        }
        missing.extend(above.file_name());
    }
    absolute
}

const OF_A_WORLD: [&str; 2] = ["world.json", "world.safetensors"];
const OF_A_RUN: [&str; 6] =
    [names::CONFIG, names::RUN, names::ROUNDS, names::EPISODES, names::SUMMARY, names::BELIEFS];
