//! Reads embeddings from NumPy's `.npy` and from `.safetensors`.

use std::path::Path;

use mmap_io::MemoryMappedFile;
use safetensors::{Dtype, SafeTensors};

use super::npy;
use crate::error::BadInput;

/// A matrix of finite values, `[rows, columns]` in row-major order.
#[derive(Debug)]
pub(super) struct Embedding {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: Vec<f32>,
}

/// The type of a file's values, little-endian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FloatType {
    F32,
    F64,
}

/// A matrix as it is stored in a file, in row-major order.
pub(super) struct StoredMatrix<'a> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) float: FloatType,
    /// Exactly `rows * columns` values.
    pub(super) bytes: &'a [u8],
}

/// Reads a matrix of `f32` or `f64`: the array of a `.npy` file, or the tensor `tensor` of a `.safetensors` file. If
/// that file has a single tensor, its name does not matter.
///
/// # Errors
/// If the file cannot be read, does not contain such a matrix, or a value is not a finite `f32`.
pub(super) fn read(path: &Path, tensor: &str) -> Result<Embedding, BadInput> {
    let refuse = |problem: String| BadInput::new(path.display(), problem, REMEDY);
    let file = MemoryMappedFile::open_ro(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let bytes = file.as_slice_bytes(0, file.len()).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let matrix = if path.extension().is_some_and(|extension| extension == "safetensors") {
        read_safetensors(bytes, tensor)
    } else {
        npy::read(bytes)
    };
    matrix.and_then(|matrix| matrix.embedding()).map_err(refuse)
}

impl StoredMatrix<'_> {
    fn embedding(&self) -> Result<Embedding, String> {
        let &Self { rows, columns, float, bytes } = self;
        let values: Vec<f32> = match float {
            FloatType::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            FloatType::F64 => bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32).collect(),
        };
        match values.iter().position(|x| !x.is_finite()) {
            None => Ok(Embedding { rows, columns, values }),
            Some(index) => {
                let (row, column) = (index / columns, index % columns);
                Err(format!("is not a finite 32-bit number at row {row}, column {column}"))
            }
        }
    }
}

fn read_safetensors<'a>(bytes: &'a [u8], tensor: &str) -> Result<StoredMatrix<'a>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is not a safetensors file: {error}"))?;
    let view = match (tensors.tensor(tensor), tensors.iter().next()) {
        (Ok(view), _) => view,
        (Err(_), Some((_, only))) if tensors.len() == 1 => only,
        _ => return Err(format!("has no tensor `{tensor}`; its tensors are `{}`", tensors.names().join("`, `"))),
    };
    let float = match view.dtype() {
        Dtype::F32 => FloatType::F32,
        Dtype::F64 => FloatType::F64,
        other => return Err(format!("has the type {other}, and F32 or F64 is expected")),
    };
    let &[rows, columns] = view.shape() else {
        return Err(format!("has the shape {:?}, and rows and columns are expected", view.shape()));
    };
    Ok(StoredMatrix { rows, columns, float, bytes: view.data() })
}

const REMEDY: &str = "save a two-dimensional array of float32 or float64: `numpy.save(FILE, array)`";
