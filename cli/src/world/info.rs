//! A world, described.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::WorldFile;
use super::about::Checksums;
use crate::output;

/// Prints a table, or one line of JSON, of a world that is in order.
pub(super) fn print(dir: &Path, world: &WorldFile, json: bool) -> Result<()> {
    let summary = Summary::of(world);
    if json { output::json(&summary) } else { output::text(&summary.text(dir)) }
}

/// The figures that say whether a world makes sense.
#[derive(Serialize)]
struct Summary<'a> {
    users: usize,
    items: usize,
    clusters: Vec<Cluster<'a>>,
    dimensions: usize,
    list: usize,
    provenance: &'a serde_json::Value,
    checksums: &'a Checksums,
}

#[derive(Serialize)]
struct Cluster<'a> {
    name: &'a str,
    items: usize,
    share: f64,
    target: f32,
    mean_distance: f64,
    mean_belief: f64,
    /// Users of whose beliefs this is the highest, and above 0; the first of equal ones.
    users_leaning: usize,
    /// The items nearest to the centre, by name or else by id.
    nearest: Vec<&'a str>,
}

impl<'a> Summary<'a> {
    fn of(world: &'a WorldFile) -> Self {
        let shape = world.shape();
        let parts = world.parts();
        let mut leaning = vec![0; shape.clusters];
        let mut belief = vec![0.0; shape.clusters];
        for beliefs in parts.user_belief.chunks_exact(shape.clusters) {
            let first_best = |best: usize, c: usize| if beliefs[c] > beliefs[best] { c } else { best };
            let highest = (1..shape.clusters).fold(0, first_best);
            leaning[highest] += usize::from(beliefs[highest] > 0.0);
            belief.iter_mut().zip(beliefs).for_each(|(sum, &b)| *sum += f64::from(b));
        }
        let mut members = vec![Vec::new(); shape.clusters];
        for (item, &c) in parts.item_cluster.iter().enumerate() {
            members[c as usize].push(item);
        }
        let about = world.about();
        let label = |item: usize| about.names.items.get(item).unwrap_or(&world.item_ids()[item]).as_str();
        let distance = |item: usize| parts.item_distance[item];
        let clusters = members.into_iter().enumerate().map(|(c, mut members)| {
            members.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
            let distances: f64 = members.iter().map(|&item| f64::from(distance(item))).sum();
            Cluster {
                name: &about.names.clusters[c],
                items: members.len(),
                share: members.len() as f64 / shape.items as f64,
                target: parts.target[c],
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
            list: shape.pretrained_len,
            provenance: &about.provenance,
            checksums: &about.checksums,
        }
    }

    fn text(&self, dir: &Path) -> String {
        let &Self { users, items, dimensions, list, .. } = self;
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
        let made_with = self.provenance.as_object().into_iter().flatten();
        let made_with = made_with.map(|(key, value)| (key.replace('_', " "), value));
        let made_with = made_with
            .map(|(key, value)| vec![key, value.as_str().map_or_else(|| value.to_string(), str::to_owned)]);
        let checksums = [("world.json", &self.checksums.about), ("world.safetensors", &self.checksums.tensors)];
        let checksums = checksums.map(|(file, checksum)| vec![file.to_owned(), checksum.clone()]);
        format!(
            "{}: {}, {} of {}, lists of {list}\n\n{}\n{}\n{}\n{}",
            dir.display(),
            output::counted(users, "user"),
            output::counted(items, "item"),
            output::counted(dimensions, "dimension"),
            output::table(&header, clusters, true),
            output::table(&["cluster", "items nearest to its centre"], nearest, false),
            output::table(&["provenance"], made_with, false),
            output::table(&["file", "sha256"], checksums, false),
        )
    }
}

const NEAREST: usize = 3;
