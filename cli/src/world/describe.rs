//! The description of a world that `recsim world` prints.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::WorldFile;
use super::info::Checksums;
use crate::output;

/// Prints the description of a valid world: tables, or one line of JSON.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn print(dir: &Path, world: &WorldFile, json: bool) -> Result<()> {
    let description = WorldDescription::of(world);
    if json { output::json(&description) } else { output::text(&description.text(dir)) }
}

/// Sizes, clusters, provenance and checksums of a world.
#[derive(Serialize)]
struct WorldDescription<'a> {
    users: usize,
    items: usize,
    clusters: Vec<ClusterDescription<'a>>,
    dimensions: usize,
    pretrained_len: usize,
    provenance: &'a serde_json::Value,
    checksums: &'a Checksums,
}

#[derive(Serialize)]
struct ClusterDescription<'a> {
    name: &'a str,
    items: usize,
    share: f64,
    target: f32,
    mean_distance: f64,
    mean_belief: f64,
    /// Number of users whose highest belief is in this cluster and above 0. Of equal beliefs, the first counts.
    users_leaning: usize,
    /// The items nearest to the centre: their names, or their ids if there are no names.
    nearest: Vec<&'a str>,
}

impl<'a> WorldDescription<'a> {
    fn of(world: &'a WorldFile) -> Self {
        let shape = world.shape();
        let arrays = world.arrays();
        let mut leaning = vec![0; shape.clusters];
        let mut belief = vec![0.0; shape.clusters];
        for beliefs in arrays.user_belief.chunks_exact(shape.clusters) {
            let first_best = |best: usize, c: usize| if beliefs[c] > beliefs[best] { c } else { best };
            let highest = (1..shape.clusters).fold(0, first_best);
            leaning[highest] += usize::from(beliefs[highest] > 0.0);
            belief.iter_mut().zip(beliefs).for_each(|(sum, &b)| *sum += f64::from(b));
        }
        let mut members = vec![Vec::new(); shape.clusters];
        for (item, &c) in arrays.item_cluster.iter().enumerate() {
            members[c as usize].push(item);
        }
        let info = world.info();
        let label = |item: usize| info.names.items.get(item).unwrap_or(&world.item_ids()[item]).as_str();
        let distance = |item: usize| arrays.item_distance[item];
        let clusters = members.into_iter().enumerate().map(|(c, mut members)| {
            members.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
            let distances: f64 = members.iter().map(|&item| f64::from(distance(item))).sum();
            ClusterDescription {
                name: &info.names.clusters[c],
                items: members.len(),
                share: members.len() as f64 / shape.items as f64,
                target: arrays.target[c],
                mean_distance: distances / members.len().max(1) as f64,
                mean_belief: belief[c] / shape.users as f64,
                users_leaning: leaning[c],
                nearest: members.iter().take(NEAREST).map(|&item| label(item)).collect(),
            }
        });
        Self {
            users: shape.users,
            items: shape.items,
            clusters: clusters.collect(),
            dimensions: shape.dimensions,
            pretrained_len: shape.pretrained_len,
            provenance: &info.provenance,
            checksums: &info.checksums,
        }
    }

    fn text(&self, dir: &Path) -> String {
        let &Self { users, items, dimensions, pretrained_len, .. } = self;
        let clusters = self.clusters.iter().map(|cluster| {
            vec![
                cluster.name.to_owned(),
                cluster.items.to_string(),
                format!("{:.5}", cluster.share),
                format!("{:.5}", cluster.target),
                format!("{:.3}", cluster.mean_distance),
                format!("{:.2e}", cluster.mean_belief),
                cluster.users_leaning.to_string(),
            ]
        });
        let header = ["cluster", "items", "share", "target", "mean distance", "mean belief", "users leaning"];
        let nearest = self.clusters.iter().map(|cluster| vec![cluster.name.to_owned(), cluster.nearest.join("; ")]);
        let provenance = self.provenance.as_object().into_iter().flatten();
        let provenance = provenance.map(|(key, value)| (key.replace('_', " "), value));
        let provenance = provenance
            .map(|(key, value)| vec![key, value.as_str().map_or_else(|| value.to_string(), str::to_owned)]);
        let checksums = [("world.json", &self.checksums.info), ("world.safetensors", &self.checksums.tensors)];
        let checksums = checksums.map(|(file, checksum)| vec![file.to_owned(), checksum.clone()]);
        format!(
            "{}: {}, {} of {}, lists of {pretrained_len}\n\n{}\n{}\n{}\n{}",
            dir.display(),
            output::counted(users, "user"),
            output::counted(items, "item"),
            output::counted(dimensions, "dimension"),
            output::table(&header, clusters, true),
            output::table(&["cluster", "items nearest to its centre"], nearest, false),
            output::table(&["provenance"], provenance, false),
            output::table(&["file", "sha256"], checksums, false),
        )
    }
}

/// Items named for each cluster.
const NEAREST: usize = 3;
