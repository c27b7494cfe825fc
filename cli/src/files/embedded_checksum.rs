//! A file's checksum inside the file: the SHA-256 of its bytes, computed with zeros in place of the checksum's digits.

use sha2::{Digest, Sha256};

use super::hash;

/// The placeholder that the digits replace.
pub(crate) const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Replaces [`ZEROS`] behind the first `key` by the checksum of `bytes`, and returns its digits.
///
/// # Panics
/// If [`ZEROS`] do not follow the first `key`.
pub(crate) fn insert(bytes: &mut [u8], key: &str) -> String {
    let digits = hash::text(Sha256::new_with_prefix(&*bytes));
    let placeholder = end_of_key(bytes, key).and_then(|offset| bytes[offset..].get_mut(..ZEROS.len()));
    let placeholder = placeholder.filter(|bytes| **bytes == *ZEROS.as_bytes());
    placeholder.expect("the caller wrote the placeholder").copy_from_slice(digits.as_bytes());
    digits
}

/// Whether the digits behind the first `key` are the checksum of `bytes`.
pub(crate) fn matches(bytes: &[u8], key: &str) -> bool {
    let Some((before, rest)) = end_of_key(bytes, key).map(|offset| bytes.split_at(offset)) else { return false };
    let Some((digits, after)) = rest.split_at_checked(ZEROS.len()) else { return false };
    let hash = Sha256::new().chain_update(before).chain_update(ZEROS).chain_update(after);
    hash::text(hash).as_bytes() == digits
}

/// The offset behind the first `key`.
fn end_of_key(bytes: &[u8], key: &str) -> Option<usize> {
    bytes.windows(key.len()).position(|window| window == key.as_bytes()).map(|start| start + key.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_checksum_detects_every_flipped_bit_and_truncation() {
        let mut bytes = format!("before, sum={ZEROS}, and after").into_bytes();
        let digits = insert(&mut bytes, "sum=");
        assert!(matches(&bytes, "sum=") && bytes.windows(64).any(|window| window == digits.as_bytes()));
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches(&changed, "sum="), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(!matches(&bytes[..len], "sum="), "cut off at {len}");
        }
    }
}
