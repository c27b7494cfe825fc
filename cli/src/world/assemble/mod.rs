//! `recsim world assemble`: makes a world from existing arrays and tables.

mod embedding;
mod npy;
mod records;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::Result;
use recsim_core::world::{OwnedWorld, WorldShape, distances, shrink_to_unit_sum, target};
use serde_json::json;

use super::folder::WorldFolder;
use super::info::{WorldInfo, or_numbered};
use super::{WorldFile, at_least_1, kmeans, lists, positive};
use crate::error::BadInput;
use crate::memory;
use embedding::Embedding;
use tables::{ItemTable, UserTable};

/// What is not given is derived: clusters by k-means, distances from the embeddings, the target from the clusters'
/// shares of the catalogue, pre-trained lists by score. Beliefs are 0.
#[derive(Debug, clap::Args)]
pub(crate) struct Assemble {
    /// Folder for the world
    dir: PathBuf,
    /// Embeddings of the items, [I, D]: `.npy`, or `.safetensors` with a tensor `item.embedding`
    #[arg(long, value_name = "FILE")]
    item_embedding: PathBuf,
    /// Embeddings of the users, [U, D]: `.npy`, or `.safetensors` with a tensor `user.embedding`
    #[arg(long, value_name = "FILE")]
    user_embedding: PathBuf,
    /// Table of items in the order of the embedding, CSV or JSON, with any of the fields `item_id`, `name`, `cluster`
    /// (from 0), `distance`
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// Table of users in the order of the embedding, CSV or JSON, with any of the fields `user_id`, `beliefs` (K
    /// numbers), `pretrained` (L item ids, best first); in CSV, lists are separated by spaces
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// Target of each cluster: a JSON array of K numbers, or CSV with a column `target`
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    /// Number of clusters, if no table gives it [default: 5]
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    clusters: Option<usize>,
    /// Length of the pre-trained lists, if no table has them [default: 40, or all items if there are fewer]
    #[arg(long, alias = "list", value_name = "N", value_parser = at_least_1)]
    pretrained_len: Option<usize>,
    /// Seed of the clustering, if no table has clusters
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Distance of the farthest item to the centre of its cluster, if no table has distances
    #[arg(long, value_name = "X", default_value_t = 5.0, value_parser = positive)]
    max_cluster_distance: f64,
    /// Replace a world that exists already
    #[arg(long)]
    force: bool,
}

impl Assemble {
    pub(super) fn run(self, threads: Option<usize>) -> Result<(PathBuf, WorldFile)> {
        let folder = WorldFolder::at(&self.dir, self.force)?;
        let mut world = self.make(threads)?;
        folder.write(&mut world)?;
        Ok((self.dir, world))
    }

    /// The world, in memory.
    ///
    /// # Errors
    /// If a file cannot be read, or the files do not fit together.
    pub(super) fn make(&self, threads: Option<usize>) -> Result<WorldFile> {
        let item_embedding = embedding::read(&self.item_embedding, "item.embedding")?;
        let user_embedding = embedding::read(&self.user_embedding, "user.embedding")?;
        self.check_dimensions(&item_embedding, &user_embedding)?;
        let mut items = match &self.items {
            Some(path) => tables::items(path, item_embedding.rows)?,
            None => ItemTable::default(),
        };
        items.ids = or_numbered(items.ids, 'I', item_embedding.rows);
        let mut users = match &self.users {
            Some(path) => tables::users(path, user_embedding.rows, &items.ids)?,
            None => UserTable::default(),
        };
        let (item_ids, item_names, user_ids) =
            (std::mem::take(&mut items.ids), std::mem::take(&mut items.names), std::mem::take(&mut users.ids));
        let given = self.given(&items, &users);
        let arrays = self.arrays(item_embedding, user_embedding, items, users, threads)?;
        let provenance = json!({
            "kind": "assembled",
            "made_by": super::MADE_BY,
            "seed": self.seed,
            "max_cluster_distance": self.max_cluster_distance,
            "given": given,
        });
        let info = WorldInfo::new(arrays.shape, provenance, item_ids, user_ids, item_names);
        Ok(WorldFile::new(arrays, info).map_err(|problem| self.refuse_tensor(&problem))?)
    }

    fn check_dimensions(&self, items: &Embedding, users: &Embedding) -> Result<()> {
        if items.columns == users.columns {
            return Ok(());
        }
        let (other, users, items) = (self.item_embedding.display(), users.columns, items.columns);
        let problem = format!("has {users} dimensions, and {other} has {items}");
        Err(BadInput::new(self.user_embedding.display(), problem, "give embeddings of the same space").into())
    }

    /// The names of the tensors that were given.
    fn given(&self, items: &ItemTable, users: &UserTable) -> Vec<&'static str> {
        let all = [
            ("item.cluster", !items.cluster.is_empty()),
            ("item.distance", !items.distance.is_empty()),
            ("item.embedding", true),
            ("target", self.target.is_some()),
            ("user.belief", !users.beliefs.is_empty()),
            ("user.embedding", true),
            ("user.pretrained", !users.pretrained.is_empty()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(tensor, _)| tensor).collect()
    }

    fn arrays(
        &self,
        item_embedding: Embedding,
        user_embedding: Embedding,
        mut items: ItemTable,
        mut users: UserTable,
        threads: Option<usize>,
    ) -> Result<OwnedWorld> {
        let Embedding { rows: count, columns: dimensions, values: item_embedding } = item_embedding;
        let Embedding { rows: user_count, values: user_embedding, .. } = user_embedding;
        if count == 0 || dimensions == 0 || user_count == 0 {
            let file = if user_count == 0 { &self.user_embedding } else { &self.item_embedding };
            return Err(BadInput::new(file.display(), "is empty", "give at least one row and one column").into());
        }
        let given_target = self.target.as_deref().map(records::target).transpose()?;
        let clusters = self.clusters(&items, &users, given_target.as_deref());
        let default_len = super::DEFAULT_PRETRAINED_LEN.min(count);
        let pretrained_len = match users.pretrained_len {
            0 => self.pretrained_len.unwrap_or(default_len),
            len => len,
        };
        // There may be more given clusters than items, but not more derived ones.
        let derived = if items.cluster.is_empty() { clusters } else { 0 };
        let list = ("entries of a pre-trained list", pretrained_len, "--pretrained-len");
        for (what, number, flag) in [("clusters", derived, "--clusters"), list] {
            if number > count {
                let problem = format!("its {count} items are fewer than the {number} {what}");
                let remedy = format!("pass {flag} {count} or less");
                return Err(BadInput::new(self.item_embedding.display(), problem, remedy).into());
            }
        }
        let shape = WorldShape { users: user_count, items: count, clusters, dimensions, pretrained_len };
        memory::check_world(&shape, "the clusters, or the embeddings")?;
        if users.pretrained.is_empty() {
            self.check_scores(&item_embedding, &user_embedding, dimensions)?;
        }
        if items.cluster.is_empty() {
            items.cluster = kmeans::cluster(&item_embedding, dimensions, clusters, self.seed, threads)?;
        }
        if let Some(row) = items.cluster.iter().position(|&cluster| cluster as usize >= clusters) {
            let cluster = items.cluster[row];
            let problem = format!("`item.cluster` is {cluster} at row {row}, and there are {clusters} clusters");
            return Err(self.refuse_tensor(&problem).into());
        }
        if items.distance.is_empty() {
            let farthest = self.max_cluster_distance;
            items.distance = distances(&item_embedding, &items.cluster, clusters, dimensions, farthest);
        }
        let mut target = given_target.unwrap_or_else(|| target(&super::cluster_counts(&items.cluster, clusters)));
        if target.iter().map(|&share| f64::from(share)).sum::<f64>() < 1.0 + ROUNDING {
            let given = target.clone();
            shrink_to_unit_sum(&mut target);
            // A belief that was within a target which was lowered stays within it.
            for beliefs in users.beliefs.chunks_exact_mut(clusters.max(1)) {
                for ((belief, max), given) in beliefs.iter_mut().zip(&target).zip(&given) {
                    if *belief <= *given {
                        *belief = belief.min(*max);
                    }
                }
            }
        }
        if users.beliefs.is_empty() {
            users.beliefs = vec![0.0; user_count * clusters];
        }
        if users.pretrained.is_empty() {
            users.pretrained =
                lists::best_items(&item_embedding, &user_embedding, dimensions, pretrained_len, threads)?;
        }
        Ok(OwnedWorld {
            shape,
            item_embedding,
            item_cluster: items.cluster,
            item_distance: items.distance,
            user_belief: users.beliefs,
            user_embedding,
            user_pretrained: users.pretrained,
            target,
        })
    }

    /// Checks that no score, a sum of `f32` products, can overflow.
    ///
    /// # Errors
    /// If the product of the longest vectors exceeds `f32::MAX`.
    fn check_scores(&self, items: &[f32], users: &[f32], dimensions: usize) -> Result<(), BadInput> {
        let longest = |rows: &[f32]| {
            let norms = rows.chunks_exact(dimensions).map(|row| {
                let squares: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
                squares.sqrt()
            });
            norms.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).expect("there is at least one row")
        };
        // No partial sum of the products exceeds the product of the norms (Cauchy-Schwarz inequality).
        let ((item, item_norm), (user, user_norm)) = (longest(items), longest(users));
        if item_norm * user_norm <= f64::from(f32::MAX) {
            return Ok(());
        }
        let (here, other) = (self.user_embedding.display(), self.item_embedding.display());
        let problem =
            format!("row {user} and row {item} of {other} are so long that their score is not a finite number");
        Err(BadInput::new(here, problem, "scale the embeddings down, or give pre-trained lists with --users"))
    }

    /// K: `--clusters`, or else the number of targets, of beliefs, or of clusters in the table of items.
    fn clusters(&self, items: &ItemTable, users: &UserTable, target: Option<&[f32]>) -> usize {
        let given = self.clusters.or(target.map(<[f32]>::len)).or((users.clusters > 0).then_some(users.clusters));
        given.or(items.cluster.iter().max().map(|&last| last as usize + 1)).unwrap_or(DEFAULT_CLUSTERS)
    }

    /// The error for a tensor, which `problem` names in backticks, with the file it was read from.
    fn refuse_tensor(&self, problem: &str) -> BadInput {
        let items = self.items.as_ref().unwrap_or(&self.item_embedding);
        let users = self.users.as_ref().unwrap_or(&self.user_embedding);
        let file: &Path = match problem.split('`').nth(1) {
            Some("item.embedding") => &self.item_embedding,
            Some("user.embedding") => &self.user_embedding,
            Some("target") => self.target.as_ref().unwrap_or(items),
            Some("user.belief" | "user.pretrained" | "user_ids") => users,
            _ => items,
        };
        BadInput::new(file.display(), problem, "correct the file, or leave out what can be derived")
    }
}

const DEFAULT_CLUSTERS: usize = 5;
/// Tolerance for the sum of a target, which the rounding of its shares to `f32` can raise above 1.
const ROUNDING: f64 = 1e-6;
