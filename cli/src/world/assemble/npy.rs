//! NumPy's array format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! Only headers of two-dimensional float arrays are parsed. The available libraries parse any Python literal.

use super::embedding::{FloatType, StoredMatrix};

/// Parses a two-dimensional array of `f32` or `f64` in row-major order.
///
/// # Errors
/// The problem, in words that follow the file's name.
pub(super) fn read(bytes: &[u8]) -> Result<StoredMatrix<'_>, String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("is neither `.npy` nor `.safetensors`")?;
    let (version, rest) = rest.split_at_checked(2).ok_or(TRUNCATED)?;
    let width = if version[0] == 1 { 2 } else { 4 };
    let (len, rest) = rest.split_at_checked(width).ok_or(TRUNCATED)?;
    let len = len.iter().rev().fold(0, |len, &byte| len << 8 | usize::from(byte));
    let (header, data) = rest.split_at_checked(len).ok_or(TRUNCATED)?;
    let header = str::from_utf8(header).map_err(|_| "has a header that is not text")?;

    let float = match value(header, "descr")?.split(['\'', '"']).nth(1) {
        Some("<f4") => FloatType::F32,
        Some("<f8") => FloatType::F64,
        other => {
            return Err(format!("has the type `{}`, and `<f4` or `<f8` is expected", other.unwrap_or("structure")));
        }
    };
    if value(header, "fortran_order")?.starts_with("True") {
        return Err("is in column-major order; `numpy.ascontiguousarray` makes it row-major".into());
    }
    let shape = value(header, "shape")?.strip_prefix('(').and_then(|shape| shape.split_once(')'));
    let shape = shape.ok_or("has no shape in its header")?.0;
    let sizes: Result<Vec<usize>, _> =
        shape.split(',').map(str::trim).filter(|size| !size.is_empty()).map(str::parse).collect();
    let Ok(&[rows, columns]) = sizes.as_deref() else {
        return Err(format!("has the shape ({shape}), and rows and columns are expected"));
    };
    let size = if float == FloatType::F32 { 4 } else { 8 };
    let expected = rows.checked_mul(columns).and_then(|len| len.checked_mul(size));
    if expected != Some(data.len()) {
        return Err(format!("has {} bytes of values, and the shape ({shape}) asks for another count", data.len()));
    }
    Ok(StoredMatrix { rows, columns, float, bytes: data })
}

/// The rest of the header after a key.
fn value<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let quoted = header.find(&format!("'{key}'")).or_else(|| header.find(&format!("\"{key}\"")));
    let value = quoted.and_then(|offset| header[offset..].split_once(':'));
    value.map(|(_, value)| value.trim_start()).ok_or_else(|| format!("has no `{key}` in its header"))
}

const TRUNCATED: &str = "is truncated: its header is incomplete";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn read_accepts_a_matrix() {
        let bytes = file("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n", &[0; 48]);
        let matrix = read(&bytes).unwrap();
        assert_eq!((matrix.rows, matrix.columns, matrix.float, matrix.bytes.len()), (2, 3, FloatType::F64, 48));
    }

    #[test]
    fn read_refuses_other_arrays() {
        for (header, len, expected) in [
            ("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1), }", 8, "`<i8`"),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", 4, "column-major"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", 16, "shape (4,)"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 12, "12 bytes"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 0, "0 bytes"),
            ("{'fortran_order': False, 'shape': (2, 2), }", 12, "no `descr`"),
        ] {
            let problem = read(&file(header, &vec![0; len])).err().unwrap();
            assert!(problem.contains(expected), "{header}: {problem}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn read_never_panics(tail: Vec<u8>) {
            let _ = read(&tail);
            let _ = read(&[b"\x93NUMPY\x01\x00".as_slice(), &tail].concat());
        }
    }
}
