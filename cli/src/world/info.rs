//! `world.json`: names, ids, sizes and provenance of a world, and the checksums of its files.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;
use recsim_core::world::WorldShape;
use serde::{Deserialize, Serialize};

use crate::error::BadInput;
use crate::files;
use crate::files::embedded_checksum;

/// Name of the file in a world's folder.
pub(super) const FILE: &str = "world.json";
const FORMAT: &str = "recsim-world";
const VERSION: u32 = 1;

/// The content of `world.json`, in the order of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorldInfo {
    format: String,
    version: u32,
    pub(crate) checksums: Checksums,
    /// How the world was made: `kind`, and the inputs and options of that kind.
    pub(crate) provenance: serde_json::Value,
    pub(super) shape: Sizes,
    pub(crate) names: WorldNames,
    pub(crate) item_ids: Vec<String>,
    pub(crate) user_ids: Vec<String>,
}

/// SHA-256 of both files, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checksums {
    /// Of `world.json`, computed with these 64 digits replaced by zeros.
    #[serde(rename = "world.json")]
    pub(crate) info: String,
    /// Of `world.safetensors`, as `sha256sum` prints it.
    #[serde(rename = "world.safetensors")]
    pub(crate) tensors: String,
}

/// A [`WorldShape`] as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sizes {
    users: usize,
    items: usize,
    clusters: usize,
    dimensions: usize,
    #[serde(alias = "list")]
    pretrained_len: usize,
}

/// Names for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorldNames {
    /// `[K]`
    pub(crate) clusters: Vec<String>,
    /// `[I]`, or empty if no names were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) items: Vec<String>,
}

impl WorldInfo {
    /// The content before the checksums are known. Empty ids become `I1`, `I2`, ... and `U1`, `U2`, ...; empty item
    /// names stay empty.
    pub(super) fn new(
        shape: WorldShape,
        provenance: serde_json::Value,
        item_ids: Vec<String>,
        user_ids: Vec<String>,
        item_names: Vec<String>,
    ) -> Self {
        let clusters = (0..shape.clusters).map(|cluster| format!("cluster {cluster}")).collect();
        Self {
            format: FORMAT.into(),
            version: VERSION,
            checksums: Checksums {
                info: embedded_checksum::ZEROS.into(),
                tensors: embedded_checksum::ZEROS.into(),
            },
            provenance,
            shape: shape.into(),
            names: WorldNames { clusters, items: item_names },
            item_ids: or_numbered(item_ids, 'I', shape.items),
            user_ids: or_numbered(user_ids, 'U', shape.users),
        }
    }

    /// Sets both checksums, given that of the tensors, and returns the text of the file.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub(super) fn seal(&mut self, tensors: String) -> Result<Vec<u8>> {
        self.checksums = Checksums { info: embedded_checksum::ZEROS.into(), tensors };
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        self.checksums.info = embedded_checksum::insert(&mut text, &own_key());
        Ok(text)
    }

    /// Reads the file, and checks its format, its version, its checksum and its lengths.
    ///
    /// # Errors
    /// If one of these checks fails, or the file cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bad = |problem: String| BadInput::new(path.display(), problem, REMEDY);
        let bytes = files::read(path).map_err(|error| bad(format!("cannot be read: {error}")))?;
        let FormatVersion { format, version } = serde_json::from_slice(&bytes)
            .map_err(|error| bad(format!("is not the description of a world: {error}")))?;
        if format != FORMAT || version != VERSION {
            let problem = format!(
                "has the format `{format}` {version}, and this version of recsim reads `{FORMAT}` {VERSION}"
            );
            return Err(BadInput::new(path.display(), problem, "use the version of recsim that wrote it").into());
        }
        if !embedded_checksum::matches(&bytes, &own_key()) {
            return Err(bad("was changed or damaged: it differs from its own checksum".into()).into());
        }
        let info: Self =
            serde_json::from_slice(&bytes).map_err(|error| bad(format!("does not describe a world: {error}")))?;
        info.check().map_err(bad)?;
        Ok(info)
    }

    /// Checks that the lengths agree with the sizes, and that ids are distinct.
    ///
    /// # Errors
    /// The problem, in words that follow the file's name.
    pub(super) fn check(&self) -> Result<(), String> {
        let Sizes { users, items, clusters, .. } = self.shape;
        let lengths = [
            ("user_ids", self.user_ids.len(), users),
            ("item_ids", self.item_ids.len(), items),
            ("names.clusters", self.names.clusters.len(), clusters),
            ("names.items", self.names.items.len(), if self.names.items.is_empty() { 0 } else { items }),
        ];
        for (key, actual, expected) in lengths {
            if actual != expected {
                return Err(format!("`{key}` has {actual} entries, and `shape` asks for {expected}"));
            }
        }
        check_distinct("user_ids", &self.user_ids)?;
        check_distinct("item_ids", &self.item_ids)
    }

    pub(super) fn shape(&self) -> WorldShape {
        let Sizes { users, items, clusters, dimensions, pretrained_len } = self.shape;
        WorldShape { users, items, clusters, dimensions, pretrained_len }
    }
}

impl From<WorldShape> for Sizes {
    fn from(shape: WorldShape) -> Self {
        let WorldShape { users, items, clusters, dimensions, pretrained_len } = shape;
        Self { users, items, clusters, dimensions, pretrained_len }
    }
}

/// The ids, or `letter` with the numbers from 1 to `count` if there are none.
pub(super) fn or_numbered(ids: Vec<String>, letter: char, count: usize) -> Vec<String> {
    if ids.is_empty() { (1..=count).map(|n| format!("{letter}{n}")).collect() } else { ids }
}

/// The keys that say whether the rest of the file can be read.
#[derive(Deserialize)]
struct FormatVersion {
    format: String,
    version: u32,
}

fn check_distinct(key: &str, ids: &[String]) -> Result<(), String> {
    let mut seen = HashSet::with_capacity(ids.len());
    match ids.iter().position(|id| !seen.insert(id.as_str())) {
        None => Ok(()),
        Some(index) => Err(format!("`{key}` contains `{}` twice; the second time at index {index}", ids[index])),
    }
}

/// The text before the file's own checksum. It cannot occur in names and ids, whose quotation marks are escaped.
fn own_key() -> String {
    format!("\"{FILE}\": \"")
}

const REMEDY: &str = "make the world again, or restore it from a copy";
