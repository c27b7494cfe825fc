//! What may happen to a file's bytes.

#[derive(Debug, arbitrary::Arbitrary)]
pub struct Damage {
    /// Everything, by something else.
    replaced: Option<Vec<u8>>,
    /// Bytes, by place.
    changed: Vec<(u16, u8)>,
    /// Whole numbers in the text, by their place among all of them, and what stands there instead.
    numbers: Vec<(u16, u8)>,
    /// Bytes put in between.
    inserted: Vec<(u16, Vec<u8>)>,
    /// Where it ends.
    cut: Option<u16>,
    /// Of a safetensors file: whether the header's length goes with what it holds.
    fits: bool,
}

impl Damage {
    /// The damaged file; perhaps the whole one.
    pub fn to(&self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = self.replaced.clone().unwrap_or_else(|| whole.to_vec());
        for &(which, number) in &self.numbers {
            let number = HOSTILE[usize::from(number) % HOSTILE.len()];
            let before = bytes.len();
            replace_number(&mut bytes, usize::from(which), number);
            if self.fits
                && let Some(length) = bytes.first_chunk().copied().map(u64::from_le_bytes)
            {
                let length = length.wrapping_add(bytes.len() as u64).wrapping_sub(before as u64);
                bytes[..8].copy_from_slice(&length.to_le_bytes());
            }
        }
        for (place, more) in &self.inserted {
            let place = usize::from(*place) % (bytes.len() + 1);
            bytes.splice(place..place, more.iter().copied());
        }
        for &(place, byte) in &self.changed {
            let length = bytes.len().max(1);
            if let Some(old) = bytes.get_mut(usize::from(place) % length) {
                *old = byte;
            }
        }
        if let Some(cut) = self.cut {
            bytes.truncate(usize::from(cut));
        }
        bytes
    }
}

fn replace_number(bytes: &mut Vec<u8>, which: usize, number: &str) {
    let is_first = |&at: &usize| bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit());
    let firsts: Vec<usize> = (0..bytes.len()).filter(is_first).collect();
    if let Some(&start) = firsts.get(which % firsts.len().max(1)) {
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
