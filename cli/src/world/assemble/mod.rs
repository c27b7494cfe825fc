//! `recsim world assemble`: a world from arrays and tables that somebody already has.

mod embedding;
mod npy;
mod records;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::Result;
use recsim_core::world::{OwnedWorld, WorldShape, distances, shrink_to_unit_sum, target};
use serde_json::json;

use super::about::{About, or_numbered};
use super::folder::Folder;
use super::{WorldFile, at_least_1, kmeans, lists, positive};
use crate::error::BadInput;
use crate::memory;
use embedding::Embedding;
use tables::{Items, Users};

/// What there is. What is left out is derived: clusters by k-means, distances from the embeddings, the target from the
/// clusters' shares, lists by score; beliefs are 0.
#[derive(Debug, clap::Args)]
pub(crate) struct Assemble {
    /// The folder to make
    dir: PathBuf,
    /// The items' embeddings [I, D]: `.npy`, or `.safetensors` with a tensor `item.embedding`
    #[arg(long, value_name = "FILE")]
    item_embedding: PathBuf,
    /// The users' embeddings [U, D]: `.npy`, or `.safetensors` with a tensor `user.embedding`
    #[arg(long, value_name = "FILE")]
    user_embedding: PathBuf,
    /// The items, a record each in the embedding's order, CSV or JSON: any of `item_id`, `name`, `cluster` (from 0),
    /// `distance`
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// The users, a record each in the embedding's order, CSV or JSON: any of `user_id`, `beliefs` (K numbers),
    /// `pretrained` (L item ids, best first); in CSV parted by spaces
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// The optimal beliefs: a JSON array of K numbers, or CSV with a column `target`
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    /// Clusters, where no table says [default: 5]
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    clusters: Option<usize>,
    /// Length of the pre-trained lists, where no table has them [default: 40, or all items]
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    list: Option<usize>,
    /// The seed of the clusters, where no table has them
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The farthest item's distance to its cluster's centre, where no table has distances
    #[arg(long, value_name = "X", default_value_t = 5.0, value_parser = positive)]
    max_cluster_distance: f64,
    /// Replace a world that is there already
    #[arg(long)]
    force: bool,
}

impl Assemble {
    pub(super) fn run(self, threads: Option<usize>) -> Result<(PathBuf, WorldFile)> {
        let folder = Folder::at(&self.dir, self.force)?;
        let mut world = self.make(threads)?;
        folder.write(&mut world)?;
        Ok((self.dir, world))
    }

    /// The world, in memory.
    pub(super) fn make(&self, threads: Option<usize>) -> Result<WorldFile> {
        let item_embedding = embedding::read(&self.item_embedding, "item.embedding")?;
        let user_embedding = embedding::read(&self.user_embedding, "user.embedding")?;
        self.match_up(&item_embedding, &user_embedding)?;
        let mut items = match &self.items {
            Some(path) => tables::items(path, item_embedding.rows)?,
            None => Items::default(),
        };
        items.ids = or_numbered(items.ids, 'I', item_embedding.rows);
        let mut users = match &self.users {
            Some(path) => tables::users(path, user_embedding.rows, &items.ids)?,
            None => Users::default(),
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
        let about = About::new(arrays.shape, provenance, item_ids, user_ids, item_names);
        Ok(WorldFile::new(arrays, about).map_err(|problem| self.blame(&problem))?)
    }

    fn match_up(&self, items: &Embedding, users: &Embedding) -> Result<()> {
        if items.columns == users.columns {
            return Ok(());
        }
        let (other, users, items) = (self.item_embedding.display(), users.columns, items.columns);
        let problem = format!("has {users} dimensions where {other} has {items}");
        Err(BadInput::new(self.user_embedding.display(), problem, "give embeddings of the same space").into())
    }

    /// The tensors that were not derived.
    fn given(&self, items: &Items, users: &Users) -> Vec<&'static str> {
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
        mut items: Items,
        mut users: Users,
        threads: Option<usize>,
    ) -> Result<OwnedWorld> {
        let Embedding { rows: count, columns: dimensions, numbers: item_embedding } = item_embedding;
        let Embedding { rows: user_count, numbers: user_embedding, .. } = user_embedding;
        if count == 0 || dimensions == 0 || user_count == 0 {
            let file = if user_count == 0 { &self.user_embedding } else { &self.item_embedding };
            return Err(BadInput::new(file.display(), "is empty", "give at least one row and one column").into());
        }
        let given_target = self.target.as_deref().map(records::target).transpose()?;
        let clusters = self.clusters(&items, &users, given_target.as_deref());
        let list = if users.list > 0 { users.list } else { self.list.unwrap_or(super::DEFAULT_LIST.min(count)) };
        // Clusters that are given may outnumber the items; those to be found cannot.
        let found = if items.cluster.is_empty() { clusters } else { 0 };
        for (what, number, flag) in [("clusters", found, "--clusters"), ("places of a list", list, "--list")] {
            if number > count {
                let problem = format!("its {count} items are fewer than the {number} {what}");
                let remedy = format!("pass {flag} {count} or less");
                return Err(BadInput::new(self.item_embedding.display(), problem, remedy).into());
            }
        }
        let shape = WorldShape { users: user_count, items: count, clusters, dimensions, pretrained_len: list };
        memory::check_world(&shape, "the clusters, or the embeddings")?;
        if users.pretrained.is_empty() {
            self.check_scores(&item_embedding, &user_embedding, dimensions)?;
        }
        if items.cluster.is_empty() {
            items.cluster = kmeans::cluster(&item_embedding, dimensions, clusters, self.seed, threads)?;
        }
        if let Some(at) = items.cluster.iter().position(|&cluster| cluster as usize >= clusters) {
            let found = items.cluster[at];
            return Err(self
                .blame(&format!("`item.cluster` is {found} at row {at}, where there are {clusters}"))
                .into());
        }
        if items.distance.is_empty() {
            let farthest = self.max_cluster_distance;
            items.distance = distances(&item_embedding, &items.cluster, clusters, dimensions, farthest);
        }
        let mut target = given_target.unwrap_or_else(|| target(&super::cluster_counts(&items.cluster, clusters)));
        if target.iter().map(|&share| f64::from(share)).sum::<f64>() < 1.0 + ROUNDING {
            let given = target.clone();
            shrink_to_unit_sum(&mut target);
            // Who had reached a share that was lowered has reached it still.
            for beliefs in users.beliefs.chunks_exact_mut(clusters.max(1)) {
                for ((belief, most), given) in beliefs.iter_mut().zip(&target).zip(&given) {
                    if *belief <= *given {
                        *belief = belief.min(*most);
                    }
                }
            }
        }
        if users.beliefs.is_empty() {
            users.beliefs = vec![0.0; user_count * clusters];
        }
        if users.pretrained.is_empty() {
            users.pretrained = lists::best_items(&item_embedding, &user_embedding, dimensions, list, threads)?;
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

    /// Refuses embeddings by which a score, a sum of products of 32 bits, may exceed what 32 bits hold.
    fn check_scores(&self, items: &[f32], users: &[f32], dimensions: usize) -> Result<(), BadInput> {
        let longest = |rows: &[f32]| {
            let lengths = rows.chunks_exact(dimensions).map(|row| {
                let squares: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
                squares.sqrt()
            });
            lengths.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).expect("there is at least one row")
        };
        // No sum of some of the products is more than the product of the lengths (Cauchy and Schwarz).
        let ((item, item_length), (user, user_length)) = (longest(items), longest(users));
        if item_length * user_length <= f64::from(f32::MAX) {
            return Ok(());
        }
        let (here, other) = (self.user_embedding.display(), self.item_embedding.display());
        let problem =
            format!("row {user} and row {item} of {other} are so long that their score is not a finite number");
        Err(BadInput::new(here, problem, "scale the embeddings down, or give the lists with --users"))
    }

    /// K, by whatever tells it.
    fn clusters(&self, items: &Items, users: &Users, target: Option<&[f32]>) -> usize {
        let told = self.clusters.or(target.map(<[f32]>::len)).or((users.clusters > 0).then_some(users.clusters));
        told.or(items.cluster.iter().max().map(|&last| last as usize + 1)).unwrap_or(DEFAULT_CLUSTERS)
    }

    /// The file that a tensor came from.
    fn blame(&self, problem: &str) -> BadInput {
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
/// How far above 1 shares that sum to 1 may come to lie when each is rounded to 32 bits.
const ROUNDING: f64 = 1e-6;
