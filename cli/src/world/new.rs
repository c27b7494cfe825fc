//! `recsim world new`.

use std::path::PathBuf;

use anyhow::Result;
use recsim_core::world::{SyntheticWorldConfig, WorldShape};
use serde_json::json;

use super::folder::WorldFolder;
use super::info::WorldInfo;
use super::{WorldFile, at_least_1, lists};
use crate::error::BadInput;
use crate::memory;

/// The default sizes are those of the original experiment.
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// Folder for the world
    dir: PathBuf,
    /// Number of users
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = at_least_1)]
    users: usize,
    /// Number of items
    #[arg(long, value_name = "N", default_value_t = 19_130, value_parser = at_least_1)]
    items: usize,
    /// Number of clusters of items
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_1)]
    clusters: usize,
    /// Dimensions of the embeddings
    #[arg(long, alias = "dim", value_name = "N", default_value_t = 64, value_parser = at_least_1)]
    dimensions: usize,
    /// Length of the pre-trained lists [default: 40, or all items if there are fewer]
    #[arg(long, alias = "list", value_name = "N", value_parser = at_least_1)]
    pretrained_len: Option<usize>,
    /// Seed of all random draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Replace a world that exists already
    #[arg(long)]
    force: bool,
}

impl New {
    pub(super) fn run(self, threads: Option<usize>) -> Result<(PathBuf, WorldFile)> {
        let folder = WorldFolder::at(&self.dir, self.force)?;
        let config = SyntheticWorldConfig {
            users: self.users,
            items: self.items,
            clusters: self.clusters,
            dimensions: self.dimensions,
            pretrained_len: self.pretrained_len.unwrap_or(super::DEFAULT_PRETRAINED_LEN.min(self.items)),
            seed: self.seed,
        };
        let SyntheticWorldConfig { users, items, clusters, dimensions, pretrained_len, .. } = config;
        let shape = WorldShape { users, items, clusters, dimensions, pretrained_len };
        memory::check_world(&shape, "`--users`, `--items` or `--dimensions`")?;
        let mut world = generate(&config, threads)?;
        folder.write(&mut world)?;
        Ok((self.dir, world))
    }
}

/// Generates a world in memory. The number of threads does not change it.
///
/// # Errors
/// If there are more clusters or list entries than items, or the threads cannot be started.
pub(crate) fn generate(config: &SyntheticWorldConfig, threads: Option<usize>) -> Result<WorldFile> {
    let &SyntheticWorldConfig { items, clusters, pretrained_len, seed, .. } = config;
    let list = ("entries of a pre-trained list", "--pretrained-len", pretrained_len);
    for (what, flag, count) in [("clusters", "--clusters", clusters), list] {
        if count > items {
            let problem = format!("{count} {what} are more than the {items} items");
            let remedy = format!("give a larger number to --items, or a smaller one to {flag}");
            return Err(BadInput::new("the generated world", problem, remedy).into());
        }
    }
    let mut failure = None;
    let arrays = recsim_core::world::generate(config, |items, users, dimensions, len| {
        lists::best_items(items, users, dimensions, len, threads).unwrap_or_else(|error| {
            failure = Some(error);
            Vec::new()
        })
    });
    if let Some(error) = failure {
        return Err(error);
    }
    let provenance = json!({ "kind": "generated", "seed": seed, "made_by": super::MADE_BY });
    let info = WorldInfo::new(arrays.shape, provenance, Vec::new(), Vec::new(), Vec::new());
    Ok(WorldFile::generated(arrays, info))
}
