//! Safetensors files of `f32` tables, read.

use std::collections::HashMap;
use std::path::Path;

use recsim_core::session::checkpoint::NamedArray;
use safetensors::{Dtype, SafeTensors};

/// Shapes and numbers by name.
pub(crate) type Tables = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// The tables in the file `name` of `folder`, or what is wrong with it.
pub(crate) fn read(folder: &Path, name: &str) -> Result<Tables, String> {
    let bytes = super::read(&folder.join(name)).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
    parse(&bytes).map_err(|problem| format!("`{name}`: {problem}"))
}

/// The tables in such a file's bytes.
pub(crate) fn parse(bytes: &[u8]) -> Result<Tables, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut tables = HashMap::new();
    for (table, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(format!("it holds `{table}` in {}, not F32", view.dtype()));
        }
        let values = view.data().as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        tables.insert(table, (view.shape().to_vec(), values));
    }
    Ok(tables)
}

/// The table of this name, as a checkpoint wants it.
pub(crate) fn find<'a>(tables: &'a Tables, name: &str) -> Option<NamedArray<'a>> {
    let (shape, values) = tables.get(name)?;
    Some(NamedArray { name: name.to_owned(), shape: shape.clone(), values })
}
