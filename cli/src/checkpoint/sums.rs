//! `SHA256SUMS`: what seals a folder of files.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::files::{self, hash};

/// Files' checksums by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums(pub(super) BTreeMap<String, Sha256>);

impl Sums {
    /// As `sha256sum` writes them.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|(name, sum)| line(name, sum) + "\n").collect()
    }

    /// The sums of the files that the one in `folder` names, each of which is as it was: else what is wrong, beginning with
    /// the file's name.
    pub(super) fn check(folder: &Path) -> Result<Self, String> {
        let mut sealed = String::new();
        files::open(&folder.join(FILE))
            .and_then(|mut file| file.read_to_string(&mut sealed))
            .map_err(|error| format!("`{FILE}` cannot be read: {error}"))?;
        let mut found = Self::default();
        for sealed in sealed.lines() {
            let name = sealed.split_once("  ").map(|(_, name)| name).filter(|name| is_plain(name));
            let name =
                name.ok_or_else(|| format!("`{FILE}` is damaged: it should hold lines as sha256sum writes them"))?;
            let sum = sum(&folder.join(name)).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
            if line(name, &sum) != sealed {
                return Err(format!(
                    "`{name}` was changed or is damaged: it differs from its checksum in `{FILE}`"
                ));
            }
            found.0.insert(name.to_owned(), sum);
        }
        // Whoever lost a line's end, or has one twice.
        if found.text() == sealed {
            Ok(found)
        } else {
            Err(format!("`{FILE}` is damaged: it is not as it was written"))
        }
    }
}

/// What is in one of the files that are sealed, as it was.
pub(super) fn read(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let (bytes, sealed) = (files::read(&folder.join(name))?, files::read(&folder.join(FILE))?);
    let due = line(name, &Sha256::new_with_prefix(&bytes));
    let is_sealed = sealed.split(|&byte| byte == b'\n').any(|line| line == due.as_bytes());
    if is_sealed { Ok(bytes) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Whether it names a file in a folder, and none elsewhere.
fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

fn line(name: &str, sum: &Sha256) -> String {
    format!("{}  {name}", hash::text(sum.clone()))
}

fn sum(path: &Path) -> io::Result<Sha256> {
    files::open(path).and_then(hash::of).map(|(_, hash)| hash)
}

/// The file's name.
pub(super) const FILE: &str = "SHA256SUMS";
