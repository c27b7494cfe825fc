//! A world with its ids: as it was read from a folder, or as it will be written to one.

use std::io;
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use bytemuck::AnyBitPattern;
use mmap_io::MemoryMappedFile;
use recsim_core::world::{OwnedWorld, World, WorldArrays, WorldShape};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use super::about::{self, About};
use crate::error::BadInput;
use crate::files::{self, hash};
use crate::memory;

/// The tensors' file in a world's folder.
pub(super) const FILE: &str = "world.safetensors";

/// A world in order, with its ids.
#[derive(Debug)]
pub(crate) struct WorldFile {
    /// The tensors' file, or what stands for it in a message.
    place: String,
    store: Store,
    about: About,
}

#[derive(Debug)]
enum Store {
    Read(Tensors),
    Made(OwnedWorld),
}

/// The bytes of a tensor file, and where its tensors lie. They are a copy: what somebody writes over the file later
/// is seen by nobody who was told that it is whole.
#[derive(Debug)]
struct Tensors {
    /// As numbers, so that they are aligned; the last may be filled up.
    words: Vec<u32>,
    ranges: [Range<usize>; 7],
}

/// Opens a world's folder. Both files are held to their checksums; what the tensors hold is checked by
/// [`WorldFile::view`].
pub(crate) fn open(dir: &Path) -> Result<WorldFile> {
    if let Err(error) = std::fs::metadata(dir.join(about::FILE)) {
        let (problem, remedy) = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                let problem = format!("is not a world: it holds no `{}`", about::FILE);
                (problem, "name a world's folder; `recsim world new DIR` makes one")
            }
            _ => (format!("cannot be read: {error}"), "name a world's folder that you may read"),
        };
        return Err(BadInput::new(dir.display(), problem, remedy).into());
    }
    let about = About::read(&dir.join(about::FILE))?;
    let path = dir.join(FILE);
    let tensors = Tensors::read(&path, &about)?;
    Ok(WorldFile { place: path.display().to_string(), store: Store::Read(tensors), about })
}

impl WorldFile {
    /// A world that was just made of what somebody gave, checked as one from a file is.
    pub(super) fn new(arrays: OwnedWorld, about: About) -> Result<Self, String> {
        World::new(arrays.shape, arrays.arrays()).map_err(|error| error.to_string())?;
        about.check()?;
        Ok(Self::generated(arrays, about))
    }

    /// A world that was generated, and is in order by construction.
    pub(super) fn generated(arrays: OwnedWorld, about: About) -> Self {
        Self { place: "the world that was made".to_owned(), store: Store::Made(arrays), about }
    }

    /// The arrays, in the type that says they are in order. It looks through all of them, so keep it.
    pub(crate) fn view(&self) -> Result<World<'_>, BadInput> {
        World::new(self.shape(), self.parts()).map_err(|problem| BadInput::new(&self.place, problem, REMEDY))
    }

    /// The sizes that `world.json` gives, which those of the tensors agree with.
    pub(crate) fn shape(&self) -> WorldShape {
        self.about.shape()
    }

    pub(super) fn parts(&self) -> WorldArrays<'_> {
        match &self.store {
            Store::Read(tensors) => tensors.parts(),
            Store::Made(arrays) => arrays.arrays(),
        }
    }

    /// U ids, such as `U100`.
    pub(crate) fn user_ids(&self) -> &[String] {
        &self.about.user_ids
    }

    /// The U ids alone: the rest is let go.
    pub(crate) fn into_user_ids(self) -> Vec<String> {
        self.about.user_ids
    }

    /// I ids.
    pub(crate) fn item_ids(&self) -> &[String] {
        &self.about.item_ids
    }

    /// Names, provenance and checksums; a world that is in no folder has no checksums yet.
    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    pub(super) fn about_mut(&mut self) -> &mut About {
        &mut self.about
    }

    /// The SHA-256 of the tensors' file, in hexadecimal.
    pub(crate) fn checksum(&self) -> &str {
        &self.about.checksums.tensors
    }
}

impl Tensors {
    fn read(path: &Path, about: &About) -> Result<Self, BadInput> {
        let refuse = |problem: String| BadInput::new(path.display(), problem, REMEDY);
        files::open(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        let map = MemoryMappedFile::open_ro(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        let length = map.len();
        memory::check_file(length)?;
        let mut words = vec![0_u32; (length as usize).div_ceil(size_of::<u32>())];
        let bytes = &mut bytemuck::cast_slice_mut(&mut words)[..length as usize];
        map.read_into(0, bytes).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        if checksum(bytes) != about.checksums.tensors {
            let other = about::FILE;
            return Err(refuse(format!(
                "was changed or damaged: its {length} bytes differ from the checksum in `{other}`"
            )));
        }
        let ranges = ranges(bytes, &about.shape()).map_err(refuse)?;
        Ok(Self { words, ranges })
    }

    fn parts(&self) -> WorldArrays<'_> {
        let bytes = bytemuck::cast_slice(&self.words);
        let [item_cluster, item_distance, item_embedding, target, user_belief, user_embedding, user_pretrained] =
            &self.ranges;
        WorldArrays {
            item_embedding: numbers(bytes, item_embedding),
            item_cluster: numbers(bytes, item_cluster),
            item_distance: numbers(bytes, item_distance),
            user_belief: numbers(bytes, user_belief),
            user_embedding: numbers(bytes, user_embedding),
            user_pretrained: numbers(bytes, user_pretrained),
            target: numbers(bytes, target),
        }
    }
}

fn numbers<'a, T: AnyBitPattern>(bytes: &'a [u8], range: &Range<usize>) -> &'a [T] {
    bytemuck::cast_slice(&bytes[range.clone()])
}

/// The SHA-256 of a file's bytes, in hexadecimal.
pub(super) fn checksum(bytes: &[u8]) -> String {
    hash::text(Sha256::new_with_prefix(bytes))
}

/// The names of a world's tensors in their order in [`Tensors::ranges`], with their types and shapes.
pub(super) fn tensors(shape: &WorldShape) -> [(&'static str, Dtype, Vec<usize>); 7] {
    let WorldShape { users, items, clusters, dimensions, pretrained_len: list } = *shape;
    [
        ("item.cluster", Dtype::U32, vec![items]),
        ("item.distance", Dtype::F32, vec![items]),
        ("item.embedding", Dtype::F32, vec![items, dimensions]),
        ("target", Dtype::F32, vec![clusters]),
        ("user.belief", Dtype::F32, vec![users, clusters]),
        ("user.embedding", Dtype::F32, vec![users, dimensions]),
        ("user.pretrained", Dtype::U32, vec![users, list]),
    ]
}

/// Where the tensors lie in the file, each with the type and shape that `world.json` gives, and aligned.
fn ranges(bytes: &[u8], shape: &WorldShape) -> Result<[Range<usize>; 7], String> {
    let (header, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| format!("is not a safetensors file: {error}"))?;
    let mut ranges = [const { 0..0 }; 7];
    for (range, (name, dtype, expected)) in ranges.iter_mut().zip(tensors(shape)) {
        let info = metadata.info(name).ok_or_else(|| format!("has no tensor `{name}`"))?;
        if info.dtype != dtype || info.shape != expected {
            let found = (info.dtype, &info.shape);
            return Err(format!(
                "`{name}` is {} {:?}, where `{}` asks for {dtype} {expected:?}",
                found.0,
                found.1,
                about::FILE
            ));
        }
        // The offsets count from the header's end, which lies behind the eight bytes of its length.
        let start = size_of::<u64>() + header;
        *range = start + info.data_offsets.0..start + info.data_offsets.1;
        if bytemuck::try_cast_slice::<u8, u32>(&bytes[range.clone()]).is_err() {
            return Err(format!("`{name}` does not begin at a multiple of 4 bytes"));
        }
    }
    Ok(ranges)
}

const REMEDY: &str = "make the world anew, or copy both of its files again";
