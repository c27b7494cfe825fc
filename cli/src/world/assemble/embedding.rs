//! Embeddings from NumPy's `.npy` and from `.safetensors`.

use std::path::Path;

use mmap_io::MemoryMappedFile;
use safetensors::{Dtype, SafeTensors};

use super::npy;
use crate::error::BadInput;

/// A table of finite numbers, row by row.
#[derive(Debug)]
pub(super) struct Embedding {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) numbers: Vec<f32>,
}

/// How the file holds a number; all little-endian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Float {
    F32,
    F64,
}

/// A table as it lies in a file.
pub(super) struct Raw<'a> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) float: Float,
    /// Exactly `rows * columns` numbers.
    pub(super) bytes: &'a [u8],
}

/// Reads a table of 32-bit or 64-bit numbers: the array of a `.npy`, or of a `.safetensors` the tensor of that name or
/// else its only one.
pub(super) fn read(path: &Path, tensor: &str) -> Result<Embedding, BadInput> {
    let refuse = |problem: String| BadInput::new(path.display(), problem, REMEDY);
    let file = MemoryMappedFile::open_ro(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let bytes = file.as_slice_bytes(0, file.len()).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let raw = if path.extension().is_some_and(|extension| extension == "safetensors") {
        of_safetensors(bytes, tensor)
    } else {
        npy::read(bytes)
    };
    raw.and_then(|raw| raw.numbers()).map_err(refuse)
}

impl Raw<'_> {
    fn numbers(&self) -> Result<Embedding, String> {
        let &Self { rows, columns, float, bytes } = self;
        let numbers: Vec<f32> = match float {
            Float::F32 => bytes.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number)).collect(),
            Float::F64 => bytes.as_chunks().0.iter().map(|&number| f64::from_le_bytes(number) as f32).collect(),
        };
        match numbers.iter().position(|x| !x.is_finite()) {
            None => Ok(Embedding { rows, columns, numbers }),
            Some(at) => {
                Err(format!("is not a finite 32-bit number at row {}, column {}", at / columns, at % columns))
            }
        }
    }
}

fn of_safetensors<'a>(bytes: &'a [u8], tensor: &str) -> Result<Raw<'a>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is not a safetensors file: {error}"))?;
    let view = match (tensors.tensor(tensor), tensors.iter().next()) {
        (Ok(view), _) => view,
        (Err(_), Some((_, only))) if tensors.len() == 1 => only,
        _ => return Err(format!("has no tensor `{tensor}`; its tensors are `{}`", tensors.names().join("`, `"))),
    };
    let float = match view.dtype() {
        Dtype::F32 => Float::F32,
        Dtype::F64 => Float::F64,
        other => return Err(format!("holds {other}, where F32 or F64 is expected")),
    };
    let &[rows, columns] = view.shape() else {
        return Err(format!("has the shape {:?}, where rows and columns are expected", view.shape()));
    };
    Ok(Raw { rows, columns, float, bytes: view.data() })
}

const REMEDY: &str = "save a two-dimensional array of float32 or float64: `numpy.save(FILE, array)`";
