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
use crate::error::BadInput;

/// A place where a world may be written.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    replaces: bool,
}

impl Folder {
    /// Refuses, before any work, a place that holds something else, a world without `force`, and one that cannot be
    /// written to. It leaves nothing behind.
    pub(super) fn at(dir: &Path, force: bool) -> Result<Self> {
        let refuse = |problem: &str, remedy: &str| Err(BadInput::new(dir.display(), problem, remedy).into());
        let mut replaces = false;
        if dir.symlink_metadata().is_ok() {
            let entries = match fs::read_dir(dir) {
                Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(|error| unwritable(dir, &error))?,
                Err(_) => return refuse("is there already, and is not a folder", "name a new folder"),
            };
            let is_ours = |name: &std::ffi::OsStr| name == about::FILE || name == file::FILE;
            let holds_a_world = entries.iter().any(|entry| is_ours(&entry.file_name()));
            let holds_more = entries.iter().any(|entry| !is_ours(&entry.file_name()));
            if holds_more {
                return refuse("is a folder that holds other files", "name a new folder, or empty this one");
            }
            if holds_a_world && !force {
                return refuse("holds a world already", "name a new folder, or pass --force to replace it");
            }
            replaces = !entries.is_empty();
        }
        let above = dir.ancestors().skip(1).find(|above| above.exists() || above.as_os_str().is_empty());
        hidden_folder(above.unwrap_or(Path::new("/"))).map_err(|error| unwritable(dir, &error))?;
        Ok(Self { dir: dir.to_owned(), replaces })
    }

    /// Writes both files under a temporary name, and gives the folder its own when they are on the disk. The world
    /// learns its checksums.
    pub(super) fn write(&self, world: &mut WorldFile) -> Result<()> {
        self.try_write(world).map_err(|error| match error.downcast::<io::Error>() {
            Ok(error) => unwritable(&self.dir, &error).into(),
            Err(other) => other,
        })
    }

    fn try_write(&self, world: &mut WorldFile) -> Result<()> {
        let parent = match self.dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent)?;
        let new = hidden_folder(parent)?;
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
        let old = hidden_folder(parent)?;
        if self.replaces {
            fs::rename(&self.dir, old.path())?;
        }
        if let Err(error) = fs::rename(new.path(), &self.dir) {
            if self.replaces {
                fs::rename(old.path(), &self.dir)?;
            }
            return Err(error.into());
        }
        // Now under its own name, it must not be removed with the temporary one's owner.
        let _ = new.keep();
        File::open(parent)?.sync_all()?;
        Ok(())
    }
}

/// A folder that goes away when dropped, beside the one to be written: a rename must not cross file systems.
fn hidden_folder(parent: &Path) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".recsim-world-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777)); // less what the user's mask takes
    builder.tempdir_in(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

fn unwritable(dir: &Path, error: &io::Error) -> BadInput {
    BadInput::new(
        dir.display(),
        format!("cannot be written: {}", error.kind()),
        "name a folder that you may write to",
    )
}

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
