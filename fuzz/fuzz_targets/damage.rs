//! Damage to a file's bytes.

#[derive(Debug, arbitrary::Arbitrary)]
pub struct Damage {
    /// Bytes that replace the whole file.
    replaced: Option<Vec<u8>>,
    /// Offsets, and the bytes that are written there.
    changed: Vec<(u16, u8)>,
    /// Indices of integers in the text, and indices into [`HOSTILE`] of what replaces them.
    numbers: Vec<(u16, u8)>,
    /// Offsets, and bytes that are inserted there.
    inserted: Vec<(u16, Vec<u8>)>,
    /// The length to which the file is cut.
    cut: Option<u16>,
    /// Whether the header length of a safetensors file is corrected after replacing numbers.
    fits_header: bool,
}

impl Damage {
    /// Returns the damaged bytes, which may equal the undamaged ones.
    pub fn apply(&self, undamaged: &[u8]) -> Vec<u8> {
        let mut bytes = self.replaced.clone().unwrap_or_else(|| undamaged.to_vec());
        for &(index, number) in &self.numbers {
            let number = HOSTILE[usize::from(number) % HOSTILE.len()];
            let before = bytes.len();
            replace_number(&mut bytes, usize::from(index), number);
            if self.fits_header
                && let Some(length) = bytes.first_chunk().copied().map(u64::from_le_bytes)
            {
                let length = length.wrapping_add(bytes.len() as u64).wrapping_sub(before as u64);
                bytes[..8].copy_from_slice(&length.to_le_bytes());
            }
        }
        for (offset, more) in &self.inserted {
            let offset = usize::from(*offset) % (bytes.len() + 1);
            bytes.splice(offset..offset, more.iter().copied());
        }
        for &(offset, byte) in &self.changed {
            let length = bytes.len().max(1);
            if let Some(old) = bytes.get_mut(usize::from(offset) % length) {
                *old = byte;
            }
        }
        if let Some(cut) = self.cut {
            bytes.truncate(usize::from(cut));
        }
        bytes
    }
}

/// Replaces the integer with this index among those in the text.
fn replace_number(bytes: &mut Vec<u8>, index: usize, number: &str) {
    let is_start = |&at: &usize| bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit());
    let starts: Vec<usize> = (0..bytes.len()).filter(is_start).collect();
    if let Some(&start) = starts.get(index % starts.len().max(1)) {
        let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        bytes.splice(start..start + digits, number.bytes());
    }
}

const HOSTILE: [&str; 14] = [
    "0",
    "1",
    "2",
    "-1",
    "3.5",
    "1e308",
    "1e999",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "null",
    "[1,1]",
];
