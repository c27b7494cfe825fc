//! A file's checksum inside the file: the SHA-256 of all of it, with the checksum's own digits as zeros.

use sha2::{Digest, Sha256};

use super::hash;

/// What stands where the digits will be.
pub(crate) const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Puts the checksum of `bytes` behind the first `key`, where [`ZEROS`] stand, and gives its digits.
///
/// # Panics
/// If they do not stand there.
pub(crate) fn put(bytes: &mut [u8], key: &str) -> String {
    let digits = hash::text(Sha256::new_with_prefix(&*bytes));
    let place = behind(bytes, key).and_then(|at| bytes[at..].get_mut(..ZEROS.len()));
    let place = place.filter(|place| **place == *ZEROS.as_bytes()).expect("whoever wrote the bytes left room");
    place.copy_from_slice(digits.as_bytes());
    digits
}

/// Whether the digits behind the first `key` are the checksum of `bytes`.
pub(crate) fn holds(bytes: &[u8], key: &str) -> bool {
    let Some((before, rest)) = behind(bytes, key).map(|at| bytes.split_at(at)) else { return false };
    let Some((digits, after)) = rest.split_at_checked(ZEROS.len()) else { return false };
    let hash = Sha256::new().chain_update(before).chain_update(ZEROS).chain_update(after);
    hash::text(hash).as_bytes() == digits
}

fn behind(bytes: &[u8], key: &str) -> Option<usize> {
    bytes.windows(key.len()).position(|window| window == key.as_bytes()).map(|at| at + key.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_sealed_file_is_held() {
        let mut bytes = format!("before, sum={ZEROS}, and after").into_bytes();
        let digits = put(&mut bytes, "sum=");
        assert!(holds(&bytes, "sum=") && bytes.windows(64).any(|window| window == digits.as_bytes()));
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&changed, "sum="), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(!holds(&bytes[..length], "sum="), "cut off at {length}");
        }
    }
}
