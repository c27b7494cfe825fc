//! A world with its ids, read from a folder or about to be written to one.

use std::io;
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use bytemuck::AnyBitPattern;
use mmap_io::MemoryMappedFile;
use recsim_core::world::{OwnedWorld, World, WorldArrays, WorldShape};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use super::info::{self, WorldInfo};
use crate::error::BadInput;
use crate::files::{self, hash};
use crate::memory;

/// Name of the tensors' file in a world's folder.
pub(super) const FILE: &str = "world.safetensors";

/// A world with its ids, names and provenance.
#[derive(Debug)]
pub(crate) struct WorldFile {
    /// The path of the tensors' file, or a description of the world, for error messages.
    location: String,
    arrays: Arrays,
    info: WorldInfo,
}

#[derive(Debug)]
enum Arrays {
    Loaded(WorldTensors),
    Owned(OwnedWorld),
}

/// The bytes of a tensor file, and the byte range of each tensor. The bytes are a copy, so that they stay as they were
/// checked when another process writes to the file.
#[derive(Debug)]
struct WorldTensors {
    /// The bytes in words, so that they are aligned to 4 bytes. The last word may be padded with zeros.
    words: Vec<u32>,
    /// In the order of [`tensors`].
    ranges: [Range<usize>; 7],
}

/// Opens a world's folder, and checks both files against their checksums. [`WorldFile::view`] checks the values of the
/// tensors.
///
/// # Errors
/// If a file is missing, cannot be read or is damaged, or the tensors do not have the sizes of `world.json`.
pub(crate) fn open(dir: &Path) -> Result<WorldFile> {
    if let Err(error) = std::fs::metadata(dir.join(info::FILE)) {
        let (problem, remedy) = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                let problem = format!("is not a world: it contains no `{}`", info::FILE);
                (problem, "give the folder of a world; `recsim world new DIR` makes one")
            }
            _ => (format!("cannot be read: {error}"), "give the folder of a world that you may read"),
        };
        return Err(BadInput::new(dir.display(), problem, remedy).into());
    }
    let info = WorldInfo::read(&dir.join(info::FILE))?;
    let path = dir.join(FILE);
    let tensors = WorldTensors::read(&path, &info)?;
    Ok(WorldFile { location: path.display().to_string(), arrays: Arrays::Loaded(tensors), info })
}

impl WorldFile {
    /// A world made from the user's files. It is checked like a world that is read from a folder.
    ///
    /// # Errors
    /// The problem, which names the array in backticks.
    pub(super) fn new(arrays: OwnedWorld, info: WorldInfo) -> Result<Self, String> {
        World::new(arrays.shape, arrays.arrays()).map_err(|error| error.to_string())?;
        info.check()?;
        Ok(Self::generated(arrays, info))
    }

    /// A generated world, which is valid by construction.
    pub(super) fn generated(arrays: OwnedWorld, info: WorldInfo) -> Self {
        Self { location: "the new world".to_owned(), arrays: Arrays::Owned(arrays), info }
    }

    /// The validated arrays. Every call checks all values, so call it once.
    ///
    /// # Errors
    /// If a value is impossible.
    pub(crate) fn view(&self) -> Result<World<'_>, BadInput> {
        World::new(self.shape(), self.arrays()).map_err(|problem| BadInput::new(&self.location, problem, REMEDY))
    }

    /// The sizes in `world.json`, which are those of the tensors.
    pub(crate) fn shape(&self) -> WorldShape {
        self.info.shape()
    }

    pub(super) fn arrays(&self) -> WorldArrays<'_> {
        match &self.arrays {
            Arrays::Loaded(tensors) => tensors.arrays(),
            Arrays::Owned(world) => world.arrays(),
        }
    }

    /// `[U]`, such as `U100`.
    pub(crate) fn user_ids(&self) -> &[String] {
        &self.info.user_ids
    }

    /// `[U]`; frees everything else.
    pub(crate) fn into_user_ids(self) -> Vec<String> {
        self.info.user_ids
    }

    /// `[I]`
    pub(crate) fn item_ids(&self) -> &[String] {
        &self.info.item_ids
    }

    /// The content of `world.json`. The checksums of a world that was not written yet are zeros.
    pub(crate) fn info(&self) -> &WorldInfo {
        &self.info
    }

    pub(super) fn info_mut(&mut self) -> &mut WorldInfo {
        &mut self.info
    }

    /// SHA-256 of the tensors' file, in hexadecimal.
    pub(crate) fn checksum(&self) -> &str {
        &self.info.checksums.tensors
    }
}

impl WorldTensors {
    fn read(path: &Path, info: &WorldInfo) -> Result<Self, BadInput> {
        let refuse = |problem: String| BadInput::new(path.display(), problem, REMEDY);
        files::open(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        let map = MemoryMappedFile::open_ro(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        let len = map.len();
        memory::check_file(len)?;
        let mut words = vec![0_u32; (len as usize).div_ceil(size_of::<u32>())];
        let bytes = &mut bytemuck::cast_slice_mut(&mut words)[..len as usize];
        map.read_into(0, bytes).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        if checksum(bytes) != info.checksums.tensors {
            let other = info::FILE;
            return Err(refuse(format!(
                "was changed or damaged: the checksum of its {len} bytes differs from the one in `{other}`"
            )));
        }
        let ranges = ranges(bytes, &info.shape()).map_err(refuse)?;
        Ok(Self { words, ranges })
    }

    fn arrays(&self) -> WorldArrays<'_> {
        let bytes = bytemuck::cast_slice(&self.words);
        let [item_cluster, item_distance, item_embedding, target, user_belief, user_embedding, user_pretrained] =
            &self.ranges;
        WorldArrays {
            item_embedding: slice(bytes, item_embedding),
            item_cluster: slice(bytes, item_cluster),
            item_distance: slice(bytes, item_distance),
            user_belief: slice(bytes, user_belief),
            user_embedding: slice(bytes, user_embedding),
            user_pretrained: slice(bytes, user_pretrained),
            target: slice(bytes, target),
        }
    }
}

/// The values in a range of bytes that is aligned to 4 bytes.
fn slice<'a, T: AnyBitPattern>(bytes: &'a [u8], range: &Range<usize>) -> &'a [T] {
    bytemuck::cast_slice(&bytes[range.clone()])
}

/// SHA-256 of a file's bytes, in hexadecimal.
pub(super) fn checksum(bytes: &[u8]) -> String {
    hash::text(Sha256::new_with_prefix(bytes))
}

/// Name, type and shape of each tensor of a world, in the order of the file.
pub(super) fn tensors(shape: &WorldShape) -> [(&'static str, Dtype, Vec<usize>); 7] {
    let WorldShape { users, items, clusters, dimensions, pretrained_len } = *shape;
    [
        ("item.cluster", Dtype::U32, vec![items]),
        ("item.distance", Dtype::F32, vec![items]),
        ("item.embedding", Dtype::F32, vec![items, dimensions]),
        ("target", Dtype::F32, vec![clusters]),
        ("user.belief", Dtype::F32, vec![users, clusters]),
        ("user.embedding", Dtype::F32, vec![users, dimensions]),
        ("user.pretrained", Dtype::U32, vec![users, pretrained_len]),
    ]
}

/// The byte range of each tensor in the file.
///
/// # Errors
/// If a tensor is missing or not aligned, or does not have the type and shape that `shape` asks for.
fn ranges(bytes: &[u8], shape: &WorldShape) -> Result<[Range<usize>; 7], String> {
    let (header, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| format!("is not a safetensors file: {error}"))?;
    let mut ranges = [const { 0..0 }; 7];
    for (range, (name, dtype, expected)) in ranges.iter_mut().zip(tensors(shape)) {
        let tensor = metadata.info(name).ok_or_else(|| format!("has no tensor `{name}`"))?;
        if tensor.dtype != dtype || tensor.shape != expected {
            return Err(format!(
                "`{name}` is {} {:?}, and `{}` asks for {dtype} {expected:?}",
                tensor.dtype,
                tensor.shape,
                info::FILE
            ));
        }
        // Offsets are relative to the end of the header, which follows the eight bytes of its length.
        let start = size_of::<u64>() + header;
        *range = start + tensor.data_offsets.0..start + tensor.data_offsets.1;
        if bytemuck::try_cast_slice::<u8, u32>(&bytes[range.clone()]).is_err() {
            return Err(format!("`{name}` is not aligned to 4 bytes"));
        }
    }
    Ok(ranges)
}

const REMEDY: &str = "make the world again, or restore both of its files from a copy";
