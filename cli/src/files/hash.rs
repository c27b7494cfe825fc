//! Checksums that `sha256sum` can verify.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// The hash of all that `reader` gives, and how many bytes that is.
pub(crate) fn of(mut reader: impl Read) -> io::Result<(u64, Sha256)> {
    let (mut hash, mut piece, mut bytes) = (Sha256::new(), vec![0; PIECE], 0);
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok((bytes, hash)),
            Ok(count) => {
                hash.update(&piece[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A hash in hexadecimal.
pub(crate) fn text(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

const PIECE: usize = 1 << 16;
