//! `SHA256SUMS`: the checksums of a checkpoint's files.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::files::{self, hash};

/// FileChecksums by file name.
#[derive(Clone, Debug, Default)]
pub(super) struct FileChecksums(pub(super) BTreeMap<String, Sha256>);

impl FileChecksums {
    /// The text that `sha256sum` would print.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|(name, hash)| line(name, hash) + "\n").collect()
    }

    /// Reads `SHA256SUMS` in `folder`, and checks every file that it names.
    ///
    /// # Errors
    /// What is wrong, in words that begin with the name of a file.
    pub(super) fn check(folder: &Path) -> Result<Self, String> {
        let mut text = String::new();
        files::open(&folder.join(FILE))
            .and_then(|mut file| file.read_to_string(&mut text))
            .map_err(|error| format!("`{FILE}` cannot be read: {error}"))?;
        let mut actual = Self::default();
        for expected in text.lines() {
            let name = expected.split_once("  ").map(|(_, name)| name).filter(|name| is_plain(name));
            let name =
                name.ok_or_else(|| format!("`{FILE}` is damaged: it should hold lines as sha256sum writes them"))?;
            let hash =
                hash_file(&folder.join(name)).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
            if line(name, &hash) != expected {
                return Err(format!(
                    "`{name}` was changed or is damaged: it differs from its checksum in `{FILE}`"
                ));
            }
            actual.0.insert(name.to_owned(), hash);
        }
        // They differ if a line's end is missing, or if a line is repeated or out of order.
        if actual.text() == text {
            Ok(actual)
        } else {
            Err(format!("`{FILE}` is damaged: it is not as it was written"))
        }
    }
}

/// Reads one file of a checkpoint.
///
/// # Errors
/// If the file cannot be read, or differs from its checksum in `SHA256SUMS`.
pub(super) fn read_checked(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let (bytes, checksums) = (files::read(&folder.join(name))?, files::read(&folder.join(FILE))?);
    let expected = line(name, &Sha256::new_with_prefix(&bytes));
    let is_whole = checksums.split(|&byte| byte == b'\n').any(|line| line == expected.as_bytes());
    if is_whole { Ok(bytes) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Whether `name` is a file name without a folder.
fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

fn line(name: &str, hash: &Sha256) -> String {
    format!("{}  {name}", hash::text(hash.clone()))
}

fn hash_file(path: &Path) -> io::Result<Sha256> {
    files::open(path).and_then(hash::of).map(|(_, hash)| hash)
}

/// The file's name.
pub(super) const FILE: &str = "SHA256SUMS";
