//! `world.json`: what a world is called, where it comes from, and the checksums that seal it.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;
use recsim_core::world::WorldShape;
use serde::{Deserialize, Serialize};

use crate::error::BadInput;
use crate::files;
use crate::files::seal;

/// The file's name in a world's folder.
pub(super) const FILE: &str = "world.json";
const FORMAT: &str = "recsim-world";
const VERSION: u32 = 1;

/// All that stands in the file, in its order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    format: String,
    version: u32,
    pub(crate) checksums: Checksums,
    /// How the world came to be: `kind` and what it was made with.
    pub(crate) provenance: serde_json::Value,
    pub(super) shape: Sizes,
    pub(crate) names: Names,
    pub(crate) item_ids: Vec<String>,
    pub(crate) user_ids: Vec<String>,
}

/// SHA-256 of both files, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checksums {
    /// Of this file, with these 64 digits replaced by zeros.
    #[serde(rename = "world.json")]
    pub(crate) about: String,
    /// As `sha256sum world.safetensors` prints it.
    #[serde(rename = "world.safetensors")]
    pub(crate) tensors: String,
}

/// A [`WorldShape`] as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sizes {
    users: usize,
    items: usize,
    clusters: usize,
    dimensions: usize,
    list: usize,
}

/// What people call things.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Names {
    /// K names.
    pub(crate) clusters: Vec<String>,
    /// I names, or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) items: Vec<String>,
}

impl About {
    /// A file yet to be sealed. Ids and item names left empty are `I1`, `U1`... and none.
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
            checksums: Checksums { about: seal::ZEROS.into(), tensors: seal::ZEROS.into() },
            provenance,
            shape: shape.into(),
            names: Names { clusters, items: item_names },
            item_ids: or_numbered(item_ids, 'I', shape.items),
            user_ids: or_numbered(user_ids, 'U', shape.users),
        }
    }

    /// Takes the tensors' checksum, computes its own, and gives the file's text.
    pub(super) fn seal(&mut self, tensors: String) -> Result<Vec<u8>> {
        self.checksums = Checksums { about: seal::ZEROS.into(), tensors };
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        self.checksums.about = seal::put(&mut text, &own_key());
        Ok(text)
    }

    /// Reads the file and holds it to its checksum, its version and its own counts.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bad = |problem: String| BadInput::new(path.display(), problem, "make the world anew, or copy it again");
        let bytes = files::read(path).map_err(|error| bad(format!("cannot be read: {error}")))?;
        let Head { format, version } = serde_json::from_slice(&bytes)
            .map_err(|error| bad(format!("is not the description of a world: {error}")))?;
        if format != FORMAT || version != VERSION {
            let problem = format!("is of format `{format}` {version}, and this recsim reads `{FORMAT}` {VERSION}");
            return Err(BadInput::new(path.display(), problem, "use the recsim that made it").into());
        }
        if !seal::holds(&bytes, &own_key()) {
            return Err(bad("was changed or damaged: it differs from its own checksum".into()).into());
        }
        let about: Self =
            serde_json::from_slice(&bytes).map_err(|error| bad(format!("does not describe a world: {error}")))?;
        about.check().map_err(bad)?;
        Ok(about)
    }

    /// Counts agree with the sizes, and no id stands twice.
    pub(super) fn check(&self) -> Result<(), String> {
        let Sizes { users, items, clusters, .. } = self.shape;
        let counts = [
            ("user_ids", self.user_ids.len(), users),
            ("item_ids", self.item_ids.len(), items),
            ("names.clusters", self.names.clusters.len(), clusters),
            ("names.items", self.names.items.len(), if self.names.items.is_empty() { 0 } else { items }),
        ];
        for (key, found, expected) in counts {
            if found != expected {
                return Err(format!("`{key}` has {found} entries where the sizes ask for {expected}"));
            }
        }
        no_duplicate("user_ids", &self.user_ids)?;
        no_duplicate("item_ids", &self.item_ids)
    }

    pub(super) fn shape(&self) -> WorldShape {
        let Sizes { users, items, clusters, dimensions, list } = self.shape;
        WorldShape { users, items, clusters, dimensions, pretrained_len: list }
    }
}

impl From<WorldShape> for Sizes {
    fn from(shape: WorldShape) -> Self {
        let WorldShape { users, items, clusters, dimensions, pretrained_len: list } = shape;
        Self { users, items, clusters, dimensions, list }
    }
}

/// The ids, or `I1`, `I2`... if there are none.
pub(super) fn or_numbered(ids: Vec<String>, letter: char, count: usize) -> Vec<String> {
    if ids.is_empty() { (1..=count).map(|n| format!("{letter}{n}")).collect() } else { ids }
}

/// What tells whether the rest can be understood.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

fn no_duplicate(key: &str, ids: &[String]) -> Result<(), String> {
    let mut seen = HashSet::with_capacity(ids.len());
    match ids.iter().position(|id| !seen.insert(id.as_str())) {
        None => Ok(()),
        Some(place) => Err(format!("`{key}` holds `{}` twice, at entry {place} again", ids[place])),
    }
}

/// What stands before the file's own checksum. Names and ids cannot hold it: their quotation marks are escaped.
fn own_key() -> String {
    format!("\"{FILE}\": \"")
}
