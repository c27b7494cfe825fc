//! `recsim world import`: makes a world from an interaction log (`docs/spec.md`, section 1, the world).

mod factors;
mod log;
mod names;

use std::path::{Path, PathBuf};

use anyhow::Result;
use recsim_core::world::{OwnedWorld, WorldShape, distances, target};
use serde_json::json;

use super::folder::WorldFolder;
use super::info::WorldInfo;
use super::{WorldFile, at_least_1, kmeans, lists, positive};
use crate::error::BadInput;
use crate::memory;
use log::InteractionLog;

/// The arguments of `recsim world import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// Folder for the world
    dir: PathBuf,
    /// Interactions, one per row: CSV or TSV with a header, plain or typed as in RecBole (`user_id:token`)
    #[arg(long, value_name = "FILE")]
    ratings: PathBuf,
    /// Names of the items: CSV or TSV with a header
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// Leave out interactions with a lower rating
    #[arg(long, value_name = "R", allow_negative_numbers = true, value_parser = super::finite)]
    min_rating: Option<f64>,
    #[command(flatten)]
    columns: ColumnNames,
    /// Number of clusters of items
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_1)]
    clusters: usize,
    /// Dimensions of the embeddings
    #[arg(long, alias = "dim", value_name = "N", default_value_t = 64, value_parser = at_least_1)]
    dimensions: usize,
    /// Length of the pre-trained lists [default: 40, or all items if there are fewer]
    #[arg(long, alias = "list", value_name = "N", value_parser = at_least_1)]
    pretrained_len: Option<usize>,
    /// Seed of the factorization and of the clustering
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Distance of the farthest item to the centre of its cluster
    #[arg(long, value_name = "X", default_value_t = 5.0, value_parser = positive)]
    max_cluster_distance: f64,
    /// Replace a world that exists already
    #[arg(long)]
    force: bool,
}

/// The names of the columns.
#[derive(Debug, clap::Args)]
struct ColumnNames {
    /// Column of user ids
    #[arg(long, value_name = "NAME", default_value = "user_id")]
    user_column: String,
    /// Column of item ids, also in the file of items
    #[arg(long, value_name = "NAME", default_value = "item_id")]
    item_column: String,
    /// Column of ratings [default: rating, if it exists]
    #[arg(long, value_name = "NAME")]
    rating_column: Option<String>,
    /// Column of timestamps [default: timestamp, if it exists]
    #[arg(long, value_name = "NAME")]
    timestamp_column: Option<String>,
    /// Column of names in the file of items [default: name, title or movie_title]
    #[arg(long, value_name = "NAME", requires = "items")]
    name_column: Option<String>,
}

impl Import {
    pub(super) fn run(self, threads: Option<usize>) -> Result<(PathBuf, WorldFile)> {
        let folder = WorldFolder::at(&self.dir, self.force)?;
        let mut world = self.make(threads)?;
        folder.write(&mut world)?;
        Ok((self.dir, world))
    }

    /// The world, in memory.
    ///
    /// # Errors
    /// If a file cannot be read, or has too few items for the clusters and the pre-trained lists.
    pub(super) fn make(&self, threads: Option<usize>) -> Result<WorldFile> {
        let mut log = log::read(&self.ratings, &self.columns, self.min_rating)?;
        let (item_names, unseen) = match &self.items {
            Some(path) => {
                names::read(path, &self.columns.item_column, self.columns.name_column.as_deref(), &log.item_ids)?
            }
            None => (Vec::new(), Vec::new()),
        };
        let pretrained_len = self.check_sizes(&log)?;
        let arrays = self.arrays(&log, pretrained_len, threads)?;
        log.items_left_out.extend(unseen);
        log.items_left_out.sort_unstable();
        log.items_left_out.dedup();
        let provenance = self.provenance(&log);
        let info = WorldInfo::new(arrays.shape, provenance, log.item_ids, log.user_ids, item_names);
        let world = WorldFile::new(arrays, info);
        Ok(world.map_err(|problem| BadInput::new(self.ratings.display(), problem, UNUSABLE))?)
    }

    /// Returns the length of the pre-trained lists.
    ///
    /// # Errors
    /// If the log has too few items for the lists or the clusters, or the world does not fit into memory.
    fn check_sizes(&self, log: &InteractionLog) -> Result<usize> {
        let items = log.item_ids.len();
        let too_many = |what: &str, count: usize, flag: &str| {
            let problem = format!("its {items} items are fewer than the {count} {what}");
            BadInput::new(self.ratings.display(), problem, format!("pass {flag} {items} or less"))
        };
        if self.clusters > items {
            return Err(too_many("clusters", self.clusters, "--clusters").into());
        }
        let pretrained_len = self.pretrained_len.unwrap_or(super::DEFAULT_PRETRAINED_LEN.min(items));
        if pretrained_len > items {
            return Err(too_many("entries of a pre-trained list", pretrained_len, "--pretrained-len").into());
        }
        let (users, clusters, dimensions) = (log.user_ids.len(), self.clusters, self.dimensions);
        let shape = WorldShape { users, items, clusters, dimensions, pretrained_len };
        memory::check_world(&shape, "`--dimensions`")?;
        memory::check_factorization(dimensions)?;
        Ok(pretrained_len)
    }

    fn arrays(&self, log: &InteractionLog, pretrained_len: usize, threads: Option<usize>) -> Result<OwnedWorld> {
        let (users, items, dimensions) = (log.user_ids.len(), log.item_ids.len(), self.dimensions);
        let (user_embedding, item_embedding) = factors::factorize(&log.user_items, items, dimensions, self.seed);
        if let Some(index) = user_embedding.iter().chain(&item_embedding).position(|x| !x.is_finite()) {
            let problem = format!("the factorization did not converge: component {index} is not a finite number");
            return Err(BadInput::new(self.ratings.display(), problem, "pass a smaller --dimensions").into());
        }
        let item_cluster = kmeans::cluster(&item_embedding, dimensions, self.clusters, self.seed, threads)?;
        let item_distance =
            distances(&item_embedding, &item_cluster, self.clusters, dimensions, self.max_cluster_distance);
        let target = target(&super::cluster_counts(&item_cluster, self.clusters));
        let user_belief = beliefs(&log.user_items, &item_cluster, &target);
        let user_pretrained = lists::best_new_items(
            &item_embedding,
            &user_embedding,
            dimensions,
            pretrained_len,
            &log.user_items,
            threads,
        )?;
        let shape = WorldShape { users, items, clusters: self.clusters, dimensions, pretrained_len };
        Ok(OwnedWorld {
            shape,
            item_embedding,
            item_cluster,
            item_distance,
            user_belief,
            user_embedding,
            user_pretrained,
            target,
        })
    }

    /// The inputs and options of the import. Without paths and times, so that the same log gives the same files.
    fn provenance(&self, log: &InteractionLog) -> serde_json::Value {
        json!({
            "kind": "imported",
            "made_by": super::MADE_BY,
            "ratings": file_name(&self.ratings),
            "items": self.items.as_deref().map(file_name),
            "min_rating": self.min_rating,
            "max_cluster_distance": self.max_cluster_distance,
            "seed": self.seed,
            "rows": log.num_rows,
            "rows_below_min_rating": log.below_minimum,
            "rows_repeated": log.repeated,
            "interactions": log.user_items.iter().map(Vec::len).sum::<usize>(),
            "items_left_out": log.items_left_out.len(),
            "users_left_out": log.users_left_out,
        })
    }
}

/// The beliefs of all users, `[U, K]`. A belief is the number of the user's items in the cluster, divided by the number
/// of all items in the catalogue.
fn beliefs(user_items: &[Vec<u32>], cluster: &[u32], target: &[f32]) -> Vec<f32> {
    let of_user = |items: &Vec<u32>| {
        let mut counts = vec![0_usize; target.len()];
        items.iter().for_each(|&item| counts[cluster[item as usize] as usize] += 1);
        // The target was rounded. The belief of a user with all items of a cluster may exceed it by one ulp.
        let share = |(count, &max): (usize, &f32)| ((count as f64 / cluster.len() as f64) as f32).min(max);
        counts.into_iter().zip(target).map(share).collect::<Vec<f32>>()
    };
    user_items.iter().flat_map(of_user).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
const UNUSABLE: &str = "check the log for unusual rows, or pass other --clusters or --dimensions";
