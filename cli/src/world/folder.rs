//! Writes the folder of a world, completely or not at all.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use bytemuck::Pod;
use mmap_io::MemoryMappedFile;
use safetensors::{Dtype, View};
use tempfile::TempDir;

use super::file::{checksum, tensors};
use super::{WorldFile, file, info};
use crate::error::{self, BadInput};
use crate::files::folder::claim;
use crate::interrupt::Interrupt;

/// A folder to which a world can be written.
#[derive(Debug)]
pub(super) struct WorldFolder {
    dir: PathBuf,
    force: bool,
}

impl WorldFolder {
    /// Checks, before any work, that a world can be written to `dir`. It creates nothing that remains.
    ///
    /// # Errors
    /// If `dir` contains other files, or a world and `force` is false, or cannot be written to.
    pub(super) fn at(dir: &Path, force: bool) -> Result<Self> {
        let refuse = |problem: &str, remedy: &str| Err(BadInput::new(dir.display(), problem, remedy).into());
        if dir.symlink_metadata().is_ok() {
            let entries = match fs::read_dir(dir) {
                Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(|error| unwritable(dir, error))?,
                Err(_) => return refuse("exists already, and is not a folder", "give a new folder"),
            };
            let names: Vec<_> =
                entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            let is_of_world = |name: &str| name == info::FILE || name == file::FILE;
            if names.iter().any(|name| !is_of_world(name) && !name.starts_with(HIDDEN)) {
                return refuse("is a folder that contains other files", "give a new folder, or empty this one");
            }
            if names.iter().any(|name| is_of_world(name)) && !force {
                return refuse("contains a world already", "give a new folder, or pass --force to replace it");
            }
        }
        let nearest = dir.ancestors().find(|above| above.exists() || above.as_os_str().is_empty());
        hidden_folder(nearest.unwrap_or(Path::new("/"))).map_err(|error| unwritable(dir, error))?;
        Ok(Self { dir: dir.to_owned(), force })
    }

    /// Writes both files to a hidden folder, flushes them to disk, and moves them into the world's folder. `world.json`
    /// is moved last: with the checksum of the tensors it confirms that both files are complete. Sets the checksums of
    /// `world`.
    ///
    /// # Errors
    /// If a file cannot be written, or the command was interrupted; the world is complete in the latter case.
    pub(super) fn write(&self, world: &mut WorldFile) -> Result<()> {
        let Self { dir, force } = self;
        let existed = dir.exists();
        // A signal is handled after the write: the world is complete then, and the hidden folder removed.
        let interrupt = Interrupt::listen(|| ())?;
        let written = try_write(dir, *force, world).map_err(|error| {
            if !existed {
                // Removes it only if it is empty. The first error is the one to report.
                let _ = fs::remove_dir(dir);
            }
            match error.downcast::<io::Error>() {
                Ok(error) => unwritable(dir, error),
                Err(other) => other,
            }
        });
        written.and_then(|()| interrupt.asked().map_or(Ok(()), |interrupted| Err(interrupted.into())))
    }
}

fn try_write(dir: &Path, force: bool, world: &mut WorldFile) -> Result<()> {
    fs::create_dir_all(dir)?;
    let _claim = claim(dir)?;
    // Another process may have written a world here since the first check.
    WorldFolder::at(dir, force)?;
    let new = hidden_folder(dir)?;
    let tensors = new.path().join(file::FILE);
    write_tensors(world, &tensors)?;
    let map = MemoryMappedFile::open_ro(&tensors)?;
    let text = world.info_mut().seal(checksum(map.as_slice_bytes(0, map.len())?))?;
    let info = new.path().join(info::FILE);
    fs::write(&info, text)?;
    // safetensors writes through a temporary file that only its owner can read.
    fs::set_permissions(&tensors, info.metadata()?.permissions())?;
    for name in [file::FILE, info::FILE] {
        File::open(new.path().join(name))?.sync_all()?;
    }
    for name in [file::FILE, info::FILE] {
        fs::rename(new.path().join(name), dir.join(name))?;
    }
    File::open(dir)?.sync_all()?;
    Ok(())
}

/// A temporary folder inside `dir`, because a rename cannot cross file systems. It is removed on drop.
fn hidden_folder(dir: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(HIDDEN).tempdir_in(if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    })
}

/// The error for a folder that cannot be written to. A full disk is a failure; any other error is one of the input.
fn unwritable(dir: &Path, error: io::Error) -> anyhow::Error {
    if error::remedy(&error).is_some() {
        return anyhow::Error::from(error).context(format!("could not write {}", dir.display()));
    }
    let problem = format!("cannot be written: {}", error.kind());
    BadInput::new(dir.display(), problem, "give a folder that you may write to").into()
}

const HIDDEN: &str = ".recsim-world-";

fn write_tensors(world: &WorldFile, path: &Path) -> Result<()> {
    let arrays = world.arrays();
    let bytes = [
        as_bytes(arrays.item_cluster),
        as_bytes(arrays.item_distance),
        as_bytes(arrays.item_embedding),
        as_bytes(arrays.target),
        as_bytes(arrays.user_belief),
        as_bytes(arrays.user_embedding),
        as_bytes(arrays.user_pretrained),
    ];
    let tensors = tensors(&world.info().shape()).into_iter().zip(bytes);
    let tensors = tensors.map(|((name, dtype, shape), bytes)| (name, TensorView { dtype, shape, bytes }));
    match safetensors::serialize_to_file(tensors, None, path) {
        Ok(()) => Ok(()),
        Err(safetensors::SafeTensorError::IoError(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}

fn as_bytes<T: Pod>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

/// A borrowed tensor. The file is written from the arrays without a copy.
struct TensorView<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

impl View for TensorView<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.bytes.into()
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{generate, open};
    use super::*;
    use recsim_core::world::SyntheticWorldConfig;

    fn small_world(parent: &TempDir) -> PathBuf {
        let dir = parent.path().join("w");
        let config =
            SyntheticWorldConfig { users: 2, items: 4, clusters: 2, dimensions: 2, pretrained_len: 3, seed: 0 };
        WorldFolder::at(&dir, false).unwrap().write(&mut generate(&config, Some(1)).unwrap()).unwrap();
        dir
    }

    #[test]
    fn open_world_does_not_change_with_its_files() {
        let parent = tempfile::tempdir().unwrap();
        let dir = small_world(&parent);
        let world = open(&dir).unwrap();
        let before = world.view().unwrap().arrays().user_embedding.to_vec();
        for contents in [vec![0xff; 4096], Vec::new()] {
            // The same file is overwritten and truncated, not replaced.
            fs::write(dir.join(file::FILE), contents).unwrap();
            assert_eq!(world.view().unwrap().arrays().user_embedding, before);
        }
    }

    #[test]
    fn changed_or_truncated_files_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let dir = small_world(&parent);
        let open_and_check = || open(&dir).and_then(|world| Ok(world.view().map(|_| ())?));
        open_and_check().unwrap();
        for name in [file::FILE, info::FILE] {
            let path = dir.join(name);
            let whole = fs::read(&path).unwrap();
            let is_refused = |bytes: &[u8], what: &str, offset: usize| {
                fs::write(&path, bytes).unwrap();
                let error = open_and_check().expect_err(&format!("{name}: {what} {offset}"));
                assert!(
                    error.is::<BadInput>() && error.to_string().contains(name),
                    "{name}: {what} {offset}: {error}"
                );
            };
            for offset in 0..whole.len() {
                let mut changed = whole.clone();
                changed[offset] ^= 1 << (offset % 8);
                is_refused(&changed, "a bit of byte", offset);
                is_refused(&whole[..offset], "truncated at", offset);
            }
            fs::write(&path, whole).unwrap();
        }
        open_and_check().unwrap();
    }
}
