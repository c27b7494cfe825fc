//! A world's folder, written whole or not at all.

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
use super::{WorldFile, about, file};
use crate::error::{self, BadInput};
use crate::files::folder::claim;
use crate::interrupt::Interrupt;

/// A place where a world may be written.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    force: bool,
}

impl Folder {
    /// Refuses, before any work, a place that holds something else, a world without `force`, and one that cannot be
    /// written to. It leaves nothing behind.
    pub(super) fn at(dir: &Path, force: bool) -> Result<Self> {
        let refuse = |problem: &str, remedy: &str| Err(BadInput::new(dir.display(), problem, remedy).into());
        if dir.symlink_metadata().is_ok() {
            let entries = match fs::read_dir(dir) {
                Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(|error| unwritable(dir, error))?,
                Err(_) => return refuse("is there already, and is not a folder", "name a new folder"),
            };
            let names: Vec<_> =
                entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            let is_ours = |name: &str| name == about::FILE || name == file::FILE;
            if names.iter().any(|name| !is_ours(name) && !name.starts_with(HIDDEN)) {
                return refuse("is a folder that holds other files", "name a new folder, or empty this one");
            }
            if names.iter().any(|name| is_ours(name)) && !force {
                return refuse("holds a world already", "name a new folder, or pass --force to replace it");
            }
        }
        let nearest = dir.ancestors().find(|above| above.exists() || above.as_os_str().is_empty());
        hidden_folder(nearest.unwrap_or(Path::new("/"))).map_err(|error| unwritable(dir, error))?;
        Ok(Self { dir: dir.to_owned(), force })
    }

    /// Writes both files in a hidden folder, and gives them their places when they are on the disk: the tensors first,
    /// for `world.json` holds their checksum and so says that both are there. The world learns its checksums.
    pub(super) fn write(&self, world: &mut WorldFile) -> Result<()> {
        let Self { dir, force } = self;
        let existed = dir.exists();
        // Whoever asks it to stop now gets the world whole, and nothing hidden is left.
        let interrupt = Interrupt::listen(|| ())?;
        let written = try_write(dir, *force, world).map_err(|error| {
            if !existed {
                // It is empty; the error that is reported is the first one.
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
    // Somebody else may have made a world here since it was looked at first.
    Folder::at(dir, force)?;
    let new = hidden_folder(dir)?;
    let tensors = new.path().join(file::FILE);
    write_tensors(world, &tensors)?;
    let map = MemoryMappedFile::open_ro(&tensors)?;
    let text = world.about_mut().seal(checksum(map.as_slice_bytes(0, map.len())?))?;
    let about = new.path().join(about::FILE);
    fs::write(&about, text)?;
    // The tensors were written through a private temporary file.
    fs::set_permissions(&tensors, about.metadata()?.permissions())?;
    for name in [file::FILE, about::FILE] {
        File::open(new.path().join(name))?.sync_all()?;
    }
    for name in [file::FILE, about::FILE] {
        fs::rename(new.path().join(name), dir.join(name))?;
    }
    File::open(dir)?.sync_all()?;
    Ok(())
}

/// A folder that goes away when dropped, where the world is to be: a rename must not cross file systems.
fn hidden_folder(dir: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(HIDDEN).tempdir_in(if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    })
}

/// A folder that nobody may write to is the wrong one; a disk that is full is not the input's fault.
fn unwritable(dir: &Path, error: io::Error) -> anyhow::Error {
    if error::remedy(&error).is_some() {
        return anyhow::Error::from(error).context(format!("could not write {}", dir.display()));
    }
    let problem = format!("cannot be written: {}", error.kind());
    BadInput::new(dir.display(), problem, "name a folder that you may write to").into()
}

const HIDDEN: &str = ".recsim-world-";

fn write_tensors(world: &WorldFile, path: &Path) -> Result<()> {
    let parts = world.parts();
    let bytes = [
        bytes_of(parts.item_cluster),
        bytes_of(parts.item_distance),
        bytes_of(parts.item_embedding),
        bytes_of(parts.target),
        bytes_of(parts.user_belief),
        bytes_of(parts.user_embedding),
        bytes_of(parts.user_pretrained),
    ];
    let tensors = tensors(&world.about().shape()).into_iter().zip(bytes);
    let tensors = tensors.map(|((name, dtype, shape), bytes)| (name, Tensor { dtype, shape, bytes }));
    match safetensors::serialize_to_file(tensors, None, path) {
        Ok(()) => Ok(()),
        Err(safetensors::SafeTensorError::IoError(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}

fn bytes_of<T: Pod>(numbers: &[T]) -> &[u8] {
    bytemuck::cast_slice(numbers)
}

/// A borrowed tensor: the file is written from the arrays where they lie.
struct Tensor<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

impl View for Tensor<'_> {
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

    fn small_world(place: &TempDir) -> PathBuf {
        let dir = place.path().join("w");
        let recipe =
            SyntheticWorldConfig { users: 2, items: 4, clusters: 2, dimensions: 2, pretrained_len: 3, seed: 0 };
        Folder::at(&dir, false).unwrap().write(&mut generate(&recipe, Some(1)).unwrap()).unwrap();
        dir
    }

    #[test]
    fn a_world_stays_as_it_was_read_whatever_becomes_of_its_files() {
        let place = tempfile::tempdir().unwrap();
        let dir = small_world(&place);
        let world = open(&dir).unwrap();
        let before = world.view().unwrap().arrays().user_embedding.to_vec();
        for contents in [vec![0xff; 4096], Vec::new()] {
            // Neither a new file under the name, nor a rename: the same file is written over, and cut off.
            fs::write(dir.join(file::FILE), contents).unwrap();
            assert_eq!(world.view().unwrap().arrays().user_embedding, before);
        }
    }

    #[test]
    fn no_byte_of_a_world_can_change_and_nothing_can_be_cut_off() {
        let place = tempfile::tempdir().unwrap();
        let dir = small_world(&place);
        let is_sound = || open(&dir).and_then(|world| Ok(world.view().map(|_| ())?));
        is_sound().unwrap();
        for name in [file::FILE, about::FILE] {
            let path = dir.join(name);
            let whole = fs::read(&path).unwrap();
            let is_refused = |bytes: &[u8], what: &str, at: usize| {
                fs::write(&path, bytes).unwrap();
                let told = is_sound().expect_err(&format!("{name}: {what} {at}"));
                assert!(told.is::<BadInput>() && told.to_string().contains(name), "{name}: {what} {at}: {told}");
            };
            for at in 0..whole.len() {
                let mut changed = whole.clone();
                changed[at] ^= 1 << (at % 8);
                is_refused(&changed, "a bit of byte", at);
                is_refused(&whole[..at], "cut off at", at);
            }
            fs::write(&path, whole).unwrap();
        }
        is_sound().unwrap();
    }
}
