//! SHA-256 checksums, as `sha256sum` prints them.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// The hash of everything that `reader` yields, after the number of bytes.
///
/// # Errors
/// Errors of `reader`.
pub(crate) fn of(mut reader: impl Read) -> io::Result<(u64, Sha256)> {
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; BUFFER_BYTES], 0);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hash)),
            Ok(count) => {
                hash.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A hash as 64 lowercase hexadecimal digits.
pub(crate) fn text(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

const BUFFER_BYTES: usize = 1 << 16;
