//! `recsim world import`: a world from an interaction log (`spec` section 1).

mod factors;
mod log;
mod names;

use std::path::{Path, PathBuf};

use anyhow::Result;
use recsim_core::world::{OwnedWorld, WorldShape, distances, target};
use serde_json::json;

use super::about::About;
use super::folder::Folder;
use super::{WorldFile, at_least_1, kmeans, lists, positive};
use crate::error::BadInput;
use crate::memory;
use log::Log;

/// What to import, and how large the world's spaces are to be.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// The folder to make
    dir: PathBuf,
    /// The interactions, a row each: CSV or TSV with a header, plain or typed as RecBole's (`user_id:token`)
    #[arg(long, value_name = "FILE")]
    ratings: PathBuf,
    /// The items' names: CSV or TSV with a header
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// Leave out interactions rated lower
    #[arg(long, value_name = "R", allow_negative_numbers = true, value_parser = super::finite)]
    min_rating: Option<f64>,
    #[command(flatten)]
    columns: Columns,
    /// Clusters of items
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_1)]
    clusters: usize,
    /// Dimensions of the embeddings
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_1)]
    dim: usize,
    /// Length of the pre-trained lists: twice the items a slate shows, or all items if there are fewer
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    list: Option<usize>,
    /// The seed of the factorisation and of the clusters
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The farthest item's distance to its cluster's centre
    #[arg(long, value_name = "X", default_value_t = 5.0, value_parser = positive)]
    max_cluster_distance: f64,
    /// Replace a world that is there already
    #[arg(long)]
    force: bool,
}

/// What the columns are called.
#[derive(Debug, clap::Args)]
struct Columns {
    /// The column of user ids
    #[arg(long, value_name = "NAME", default_value = "user_id")]
    user_column: String,
    /// The column of item ids, in the items' file too
    #[arg(long, value_name = "NAME", default_value = "item_id")]
    item_column: String,
    /// The column of ratings [default: rating, if there is one]
    #[arg(long, value_name = "NAME")]
    rating_column: Option<String>,
    /// The column of times [default: timestamp, if there is one]
    #[arg(long, value_name = "NAME")]
    timestamp_column: Option<String>,
    /// The column of names in the items' file [default: name, title or movie_title]
    #[arg(long, value_name = "NAME", requires = "items")]
    name_column: Option<String>,
}

impl Import {
    pub(super) fn run(self, threads: Option<usize>) -> Result<(PathBuf, WorldFile)> {
        let folder = Folder::at(&self.dir, self.force)?;
        let mut world = self.make(threads)?;
        folder.write(&mut world)?;
        Ok((self.dir, world))
    }

    /// The world, in memory.
    pub(super) fn make(&self, threads: Option<usize>) -> Result<WorldFile> {
        let mut log = log::read(&self.ratings, &self.columns, self.min_rating)?;
        let (item_names, unseen) = match &self.items {
            Some(path) => {
                names::read(path, &self.columns.item_column, self.columns.name_column.as_deref(), &log.item_ids)?
            }
            None => (Vec::new(), Vec::new()),
        };
        let list = self.fits(&log)?;
        let arrays = self.arrays(&log, list, threads)?;
        log.items_left_out.extend(unseen);
        log.items_left_out.sort_unstable();
        log.items_left_out.dedup();
        let provenance = self.provenance(&log);
        let about = About::new(arrays.shape, provenance, log.item_ids, log.user_ids, item_names);
        let made = WorldFile::new(arrays, about);
        Ok(made.map_err(|problem| BadInput::new(self.ratings.display(), problem, UNUSABLE))?)
    }

    /// The lists' length, if the log has items enough for it and for the clusters.
    fn fits(&self, log: &Log) -> Result<usize> {
        let items = log.item_ids.len();
        let too_many = |what: &str, count: usize, flag: &str| {
            let problem = format!("its {items} items are fewer than the {count} {what}");
            BadInput::new(self.ratings.display(), problem, format!("pass {flag} {items} or less"))
        };
        if self.clusters > items {
            return Err(too_many("clusters", self.clusters, "--clusters").into());
        }
        let list = self.list.unwrap_or(super::DEFAULT_LIST.min(items));
        if list > items {
            return Err(too_many("places of a list", list, "--list").into());
        }
        let (users, clusters, dimensions) = (log.user_ids.len(), self.clusters, self.dim);
        memory::check_world(&WorldShape { users, items, clusters, dimensions, pretrained_len: list }, "`--dim`")?;
        memory::check_factorisation(dimensions)?;
        Ok(list)
    }

    fn arrays(&self, log: &Log, list: usize, threads: Option<usize>) -> Result<OwnedWorld> {
        let (users, items, dimensions) = (log.user_ids.len(), log.item_ids.len(), self.dim);
        let (user_embedding, item_embedding) = factors::factorise(&log.taken, items, dimensions, self.seed);
        if let Some(place) = user_embedding.iter().chain(&item_embedding).position(|x| !x.is_finite()) {
            let problem = format!("the factorisation did not settle (component {place} is not a number)");
            return Err(BadInput::new(self.ratings.display(), problem, "pass a smaller --dim").into());
        }
        let item_cluster = kmeans::cluster(&item_embedding, dimensions, self.clusters, self.seed, threads)?;
        let item_distance =
            distances(&item_embedding, &item_cluster, self.clusters, dimensions, self.max_cluster_distance);
        let target = target(&super::cluster_counts(&item_cluster, self.clusters));
        let user_belief = beliefs(&log.taken, &item_cluster, &target);
        let user_pretrained =
            lists::best_new_items(&item_embedding, &user_embedding, dimensions, list, &log.taken, threads)?;
        let shape = WorldShape { users, items, clusters: self.clusters, dimensions, pretrained_len: list };
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

    /// What the world was made with; no paths and no times, so that the same log gives the same files.
    fn provenance(&self, log: &Log) -> serde_json::Value {
        json!({
            "kind": "imported",
            "made_by": super::MADE_BY,
            "ratings": file_name(&self.ratings),
            "items": self.items.as_deref().map(file_name),
            "min_rating": self.min_rating,
            "max_cluster_distance": self.max_cluster_distance,
            "seed": self.seed,
            "rows": log.rows,
            "rows_below_min_rating": log.below_minimum,
            "rows_repeated": log.repeated,
            "interactions": log.taken.iter().map(Vec::len).sum::<usize>(),
            "items_left_out": log.items_left_out.len(),
            "users_left_out": log.users_left_out,
        })
    }
}

/// A user's belief in a cluster is the share of the whole catalogue, in that cluster, that the user has taken up.
fn beliefs(taken: &[Vec<u32>], cluster: &[u32], target: &[f32]) -> Vec<f32> {
    let of_user = |taken: &Vec<u32>| {
        let mut counts = vec![0_usize; target.len()];
        taken.iter().for_each(|&item| counts[cluster[item as usize] as usize] += 1);
        // The target was rounded, so that one who has taken up everything may lie above it by an ulp.
        let share = |(count, &most): (usize, &f32)| ((count as f64 / cluster.len() as f64) as f32).min(most);
        counts.into_iter().zip(target).map(share).collect::<Vec<f32>>()
    };
    taken.iter().flat_map(of_user).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
const UNUSABLE: &str = "look for what is unusual in the log, or pass other --clusters or --dim";
