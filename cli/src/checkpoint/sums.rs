//! `SHA256SUMS`: what seals a folder of files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use sha2::Sha256;

use crate::files::hash;

/// Files' checksums by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums(pub(super) BTreeMap<String, Sha256>);

impl Sums {
    /// As `sha256sum` writes them.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|(name, sum)| line(name, sum) + "\n").collect()
    }

    /// The sums of the files in `folder`, each of which is the one it was: else what is wrong, beginning with its name.
    pub(super) fn check(folder: &Path) -> Result<Self, String> {
        let unreadable = |name: &str, error: io::Error| format!("`{name}` cannot be read: {error}");
        let sealed = fs::read(folder.join(FILE)).map_err(|error| unreadable(FILE, error))?;
        let mut found = Self::default();
        for entry in fs::read_dir(folder).map_err(|error| unreadable(".", error))? {
            let name = entry.map_err(|error| unreadable(".", error))?.file_name();
            let name = name.to_str().ok_or("a file in it has a name that is no text")?;
            if name != FILE {
                let sum = sum(&folder.join(name)).map_err(|error| unreadable(name, error))?;
                found.0.insert(name.to_owned(), sum);
            }
        }
        if found.text().as_bytes() == sealed {
            return Ok(found);
        }
        let sealed = String::from_utf8_lossy(&sealed);
        let lost = |sealed: &&str| !found.0.iter().any(|(name, sum)| **sealed == line(name, sum));
        let name = sealed.lines().find(lost).and_then(|line| line.split_once("  ")).map_or(FILE, |(_, name)| name);
        Err(format!("`{name}` is missing, was changed or is damaged: it differs from its checksum in `{FILE}`"))
    }
}

fn line(name: &str, sum: &Sha256) -> String {
    format!("{}  {name}", hash::text(sum.clone()))
}

fn sum(path: &Path) -> io::Result<Sha256> {
    File::open(path).and_then(hash::of).map(|(_, hash)| hash)
}

/// The file's name.
pub(super) const FILE: &str = "SHA256SUMS";
