//! Reading of safetensors files with `f32` tensors.

use std::collections::HashMap;
use std::path::Path;

use recsim_core::session::checkpoint::NamedArray;
use safetensors::{Dtype, SafeTensors};

/// Shapes and values by tensor name.
pub(crate) type TensorMap = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// The tensors in the file `name` of `folder`.
///
/// # Errors
/// What is wrong with the file, naming it.
pub(crate) fn read(folder: &Path, name: &str) -> Result<TensorMap, String> {
    let bytes = super::read(&folder.join(name)).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
    parse(&bytes).map_err(|problem| format!("`{name}`: {problem}"))
}

/// The tensors in a file's bytes.
///
/// # Errors
/// If the bytes are not a safetensors file, or a tensor is not of type F32.
pub(crate) fn parse(bytes: &[u8]) -> Result<TensorMap, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(format!("it holds `{name}` in {}, not F32", view.dtype()));
        }
        let values = view.data().as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        tensors.insert(name, (view.shape().to_vec(), values));
    }
    Ok(tensors)
}

/// The tensor `name` as core's restore functions take it.
pub(crate) fn find<'a>(tensors: &'a TensorMap, name: &str) -> Option<NamedArray<'a>> {
    let (shape, values) = tensors.get(name)?;
    Some(NamedArray { name: name.to_owned(), shape: shape.clone(), values })
}
