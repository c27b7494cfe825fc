//! `recsim world new`.

use std::path::PathBuf;

use anyhow::Result;
use recsim_core::world::{SyntheticWorldConfig, WorldShape};
use serde_json::json;

use super::about::About;
use super::folder::Folder;
use super::{WorldFile, at_least_1, lists};
use crate::error::BadInput;
use crate::memory;

/// The sizes default to the reference experiment's.
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// The folder to make
    dir: PathBuf,
    /// Users
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = at_least_1)]
    users: usize,
    /// Items
    #[arg(long, value_name = "N", default_value_t = 19_130, value_parser = at_least_1)]
    items: usize,
    /// Clusters of items
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_1)]
    clusters: usize,
    /// Dimensions of the embeddings
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_1)]
    dim: usize,
    /// Length of the pre-trained lists [default: 40, twice the items a slate shows, or all items if fewer]
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    list: Option<usize>,
    /// Every draw is made from it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Replace a world that is there already
    #[arg(long)]
    force: bool,
}

impl New {
    pub(super) fn run(self, threads: Option<usize>) -> Result<(PathBuf, WorldFile)> {
        let folder = Folder::at(&self.dir, self.force)?;
        let recipe = SyntheticWorldConfig {
            users: self.users,
            items: self.items,
            clusters: self.clusters,
            dimensions: self.dim,
            pretrained_len: self.list.unwrap_or(super::DEFAULT_LIST.min(self.items)),
            seed: self.seed,
        };
        let SyntheticWorldConfig { users, items, clusters, dimensions, pretrained_len: list, .. } = recipe;
        let shape = WorldShape { users, items, clusters, dimensions, pretrained_len: list };
        memory::check_world(&shape, "`--users`, `--items` or `--dim`")?;
        let mut world = generate(&recipe, threads)?;
        folder.write(&mut world)?;
        Ok((self.dir, world))
    }
}

/// Generates a world in memory; it is the same for any number of threads.
pub(crate) fn generate(recipe: &SyntheticWorldConfig, threads: Option<usize>) -> Result<WorldFile> {
    let &SyntheticWorldConfig { items, clusters, pretrained_len: list, seed, .. } = recipe;
    for (what, flag, count) in [("clusters", "--clusters", clusters), ("places in a list", "--list", list)] {
        if count > items {
            let problem = format!("{count} {what} are more than the {items} items");
            let remedy = format!("give a greater number to --items, or a smaller one to {flag}");
            return Err(BadInput::new("the generated world", problem, remedy).into());
        }
    }
    let mut failure = None;
    let generated = recsim_core::world::generate(recipe, |items, users, dimensions, list| {
        lists::best_items(items, users, dimensions, list, threads).unwrap_or_else(|error| {
            failure = Some(error);
            Vec::new()
        })
    });
    if let Some(error) = failure {
        return Err(error);
    }
    let arrays = generated;
    let provenance = json!({ "kind": "generated", "seed": seed, "made_by": super::MADE_BY });
    let about = About::new(arrays.shape, provenance, Vec::new(), Vec::new(), Vec::new());
    Ok(WorldFile::generated(arrays, about))
}
