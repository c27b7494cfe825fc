//! The folder of a run: its default path, whether a run may use it, and how it is cleared.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{names, tensorboard, unless_missing};
use crate::checkpoint;
use crate::error::BadInput;

/// `runs/<date in UTC>-<seed>`, with `-2`, `-3`, ... appended if that exists.
pub(crate) fn default_path(seed: u64) -> PathBuf {
    let name = format!("{}-{seed}", jiff::Timestamp::now().strftime("%Y-%m-%d"));
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut paths = std::iter::once(name.clone()).chain(numbered).map(|name| Path::new("runs").join(name));
    paths.find(|path| !path.exists()).expect("there are more numbers than folders")
}

/// Checks whether a run may be written to `path`. Creates nothing.
///
/// # Errors
/// If `path` is not a folder, cannot be written to, or, without `force`, contains a run or a world.
pub(crate) fn check(path: &Path, force: bool) -> Result<(), BadInput> {
    let refuse = |problem: &str, remedy: &str| Err(BadInput::new(path.display(), problem, remedy));
    if path.symlink_metadata().is_ok() && !path.is_dir() {
        return refuse("this is no folder, and a run needs one", "give another folder with --out");
    }
    let holds = |files: &[&str]| files.iter().any(|file| path.join(file).exists());
    if !force && holds(&WORLD_FILES) {
        return refuse(
            "this folder holds a world",
            "give another folder with --out, or --force to write beside it",
        );
    }
    if !force && (holds(&RUN_FILES) || holds(&names::FOLDERS)) {
        return refuse("this folder holds a run", "give another folder with --out, or --force to replace the run");
    }
    writable(path)
}

/// Checks whether a file can be created in `path`, or in its nearest existing ancestor.
///
/// # Errors
/// If it cannot, or if no file can have the name.
pub(crate) fn writable(path: &Path) -> Result<(), BadInput> {
    let nearest = path.ancestors().find(|ancestor| ancestor.exists() && !ancestor.as_os_str().is_empty());
    let nearest = nearest.unwrap_or(Path::new("."));
    if let Err(error) = path.symlink_metadata()
        && error.kind() == io::ErrorKind::InvalidFilename
    {
        return Err(BadInput::new(
            path.display(),
            format!("no file can have this name: {error}"),
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

/// Creates the folder and locks it for as long as the returned file is open. Repeats [`check`], because another process
/// may have started a run there since.
///
/// # Errors
/// If the folder cannot be created, is locked, or fails [`check`].
pub(crate) fn prepare(path: &Path, force: bool) -> anyhow::Result<Option<File>> {
    fs::create_dir_all(path).with_context(|| format!("could not make the folder {}", path.display()))?;
    let claim = claim(path)?;
    check(path, force)?;
    Ok(claim)
}

/// Removes the files that an earlier run wrote, and no others. `config.yaml` stays until the new run replaces it, so
/// that a run can be started again if the process is killed in between.
///
/// # Errors
/// If a file cannot be removed.
pub(crate) fn clear(path: &Path) -> anyhow::Result<()> {
    try_clear(path).with_context(|| format!("could not clear the folder {}", path.display()))
}

/// Locks a folder or a file for as long as the returned file is open. Returns `None` where it cannot be opened or
/// locked.
///
/// # Errors
/// If another process has locked it.
pub(crate) fn claim(path: &Path) -> Result<Option<File>, BadInput> {
    let Ok(file) = File::open(path) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(is_taken(path)),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// The error of a path that another process has locked.
pub(crate) fn is_taken(path: &Path) -> BadInput {
    BadInput::new(
        path.display(),
        "another program is writing here",
        "give another path, or wait until it has ended",
    )
}

fn try_clear(path: &Path) -> io::Result<()> {
    // First, so that a run that is partly removed does not count as finished: it is resumed or started again.
    unless_missing(fs::remove_file(path.join(names::SUMMARY)))?;
    checkpoint::clear(&path.join(names::CHECKPOINTS))?;
    let models = names::MODEL_FILES.map(|file| path.join(names::MODELS).join(file));
    let files = RUN_FILES.into_iter().filter(|file| *file != names::CONFIG).map(|file| path.join(file));
    files.chain(models).try_for_each(|file| unless_missing(fs::remove_file(file)))?;
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
        // A folder with other files is not empty, and stays.
        let _ = fs::remove_dir(path.join(folder));
    }
    Ok(())
}

/// Whether `file` is a file that a run writes to the folder `run`, or a file of the world in the folder `world`.
pub(crate) fn is_reserved(file: &Path, run: &Path, world: Option<&Path>) -> bool {
    let file = canonical(file);
    let is_in = |folder: &Path, names: &[&str]| names.iter().any(|name| canonical(&folder.join(name)) == file);
    let is_below = |folder: &str| file.starts_with(canonical(&run.join(folder)));
    // The run's folder, or a folder above it.
    canonical(run).starts_with(&file)
        || is_in(run, &RUN_FILES)
        || names::FOLDERS.into_iter().any(is_below)
        || [Some(run), world].into_iter().flatten().any(|folder| is_in(folder, &WORLD_FILES))
}

/// Whether both paths lead to the same file.
pub(crate) fn is_same(a: &Path, b: &Path) -> bool {
    canonical(a) == canonical(b)
}

/// The absolute path. Links, `.` and `..` are resolved in the part of it that exists.
fn canonical(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = Vec::new();
    for ancestor in absolute.ancestors() {
        if let Ok(existing) = ancestor.canonicalize() {
            return missing.iter().rev().fold(existing, |path, name| path.join(name));
        }
        missing.extend(ancestor.file_name());
    }
    absolute
}

const WORLD_FILES: [&str; 2] = ["world.json", "world.safetensors"];
const RUN_FILES: [&str; 6] =
    [names::CONFIG, names::RUN, names::ROUNDS, names::EPISODES, names::SUMMARY, names::BELIEFS];
