//! NumPy's array format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! What is needed of it is one shape of header; the libraries parse any Python literal, with a parser generator.

use super::embedding::{Float, Raw};

/// The array, if it is one of rows and columns; else what is wrong, in words that follow the file's name.
pub(super) fn read(bytes: &[u8]) -> Result<Raw<'_>, String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("is neither `.npy` nor `.safetensors`")?;
    let (version, rest) = rest.split_at_checked(2).ok_or(TRUNCATED)?;
    let width = if version[0] == 1 { 2 } else { 4 };
    let (length, rest) = rest.split_at_checked(width).ok_or(TRUNCATED)?;
    let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    let (header, data) = rest.split_at_checked(length).ok_or(TRUNCATED)?;
    let header = str::from_utf8(header).map_err(|_| "has a header that is not text")?;

    let float = match value(header, "descr")?.split(['\'', '"']).nth(1) {
        Some("<f4") => Float::F32,
        Some("<f8") => Float::F64,
        other => {
            return Err(format!("holds `{}`, where `<f4` or `<f8` is expected", other.unwrap_or("a structure")));
        }
    };
    if value(header, "fortran_order")?.starts_with("True") {
        return Err("is stored by columns; `numpy.ascontiguousarray` stores it by rows".into());
    }
    let shape = value(header, "shape")?.strip_prefix('(').and_then(|shape| shape.split_once(')'));
    let shape = shape.ok_or("has no shape in its header")?.0;
    let sizes: Result<Vec<usize>, _> =
        shape.split(',').map(str::trim).filter(|size| !size.is_empty()).map(str::parse).collect();
    let Ok(&[rows, columns]) = sizes.as_deref() else {
        return Err(format!("has the shape ({shape}), where rows and columns are expected"));
    };
    let size = if float == Float::F32 { 4 } else { 8 };
    let expected = rows.checked_mul(columns).and_then(|numbers| numbers.checked_mul(size));
    if expected != Some(data.len()) {
        return Err(format!(
            "has {} bytes of numbers, where the shape ({shape}) asks for another count",
            data.len()
        ));
    }
    Ok(Raw { rows, columns, float, bytes: data })
}

/// What follows a key of the header, up to its end.
fn value<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let quoted = header.find(&format!("'{key}'")).or_else(|| header.find(&format!("\"{key}\"")));
    let value = quoted.and_then(|at| header[at..].split_once(':'));
    value.map(|(_, value)| value.trim_start()).ok_or_else(|| format!("has no `{key}` in its header"))
}

const TRUNCATED: &str = "is truncated: its header is not whole";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn an_array_of_rows_and_columns_is_read() {
        let bytes = file("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n", &[0; 48]);
        let raw = read(&bytes).unwrap();
        assert_eq!((raw.rows, raw.columns, raw.float, raw.bytes.len()), (2, 3, Float::F64, 48));
    }

    #[test]
    fn other_arrays_are_refused_in_words() {
        for (header, data, said) in [
            ("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1), }", 8, "`<i8`"),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", 4, "by columns"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", 16, "shape (4,)"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 12, "12 bytes"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 0, "0 bytes"),
            ("{'fortran_order': False, 'shape': (2, 2), }", 12, "no `descr`"),
        ] {
            let problem = read(&file(header, &vec![0; data])).err().unwrap();
            assert!(problem.contains(said), "{header}: {problem}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn no_bytes_make_it_panic(tail: Vec<u8>) {
            let _ = read(&tail);
            let _ = read(&[b"\x93NUMPY\x01\x00".as_slice(), &tail].concat());
        }
    }
}
