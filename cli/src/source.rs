//! The world that a command works on: opened from a folder, or generated.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use recsim_core::session::config::{Config, InvalidConfig};
use recsim_core::world::{SyntheticWorldConfig, WorldShape};
use serde::{Deserialize, Serialize};

use crate::config::{AUTO, Settings};
use crate::error::BadInput;
use crate::memory;
use crate::output::counted;
use crate::progress::Waiting;
use crate::world::{self, WorldFile};

/// Where a world came from, for the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Provenance {
    /// The folder, or none for a generated one.
    pub(crate) path: Option<String>,
    /// How it came to be.
    pub(crate) provenance: serde_json::Value,
    /// SHA-256 of its tensors' file, if it has one.
    pub(crate) checksum: Option<String>,
    pub(crate) users: usize,
    pub(crate) items: usize,
    pub(crate) clusters: usize,
    pub(crate) dimensions: usize,
    pub(crate) list: usize,
}

impl Provenance {
    /// Whether both are of one world: of the same numbers, wherever they lie.
    pub(crate) fn is_of_the_same(&self, other: &Self) -> bool {
        match (&self.checksum, &other.checksum) {
            (Some(one), Some(other)) => one == other,
            _ => {
                let told = |world: &Self| {
                    let Self { users, items, clusters, dimensions, list, .. } = *world;
                    [users, items, clusters, dimensions, list]
                };
                self.provenance == other.provenance && told(self) == told(other)
            }
        }
    }
}

/// Opens or generates the world that the settings name, having checked against its sizes what can be.
pub(crate) fn world(settings: &Settings, threads: Option<usize>, quiet: bool) -> anyhow::Result<WorldFile> {
    let config = &settings.config;
    let fits = |shape: &WorldShape| {
        config.check_sizes(shape).map_err(|invalid| refuse(settings, &invalid))?;
        memory::check(config, shape)
    };
    if config.world.path != AUTO {
        let world = world::open(Path::new(&config.world.path))?;
        fits(&world.shape())?;
        return Ok(world);
    }
    let recipe = recipe(config);
    fits(&shape(&recipe))?;
    let SyntheticWorldConfig { users, items, .. } = recipe;
    let what = format!("generating a world of {} and {}", counted(users, "user"), counted(items, "item"));
    while_waiting(&what, quiet, || world::generate(&recipe, threads))
}

/// Refuses a value that disagrees with the world.
pub(crate) fn refuse(settings: &Settings, invalid: &InvalidConfig) -> BadInput {
    if settings.config.world.path == AUTO { settings.refuse(invalid) } else { settings.refuse_for_world(invalid) }
}

/// The record of a world.
pub(crate) fn provenance(config: &Config, world: &WorldFile, shape: WorldShape) -> Provenance {
    let path = (config.world.path != AUTO).then(|| config.world.path.clone());
    Provenance {
        checksum: path.is_some().then(|| world.checksum().to_owned()),
        path,
        provenance: world.about().provenance.clone(),
        users: shape.users,
        items: shape.items,
        clusters: shape.clusters,
        dimensions: shape.dimensions,
        list: shape.pretrained_len,
    }
}

/// The built-in world as the settings have it. Its lists hold twice what is shown, or all items if there are fewer.
fn recipe(config: &Config) -> SyntheticWorldConfig {
    let world = &config.world;
    let twice = config.recommendation.total_recommendations.saturating_mul(2).min(world.items);
    SyntheticWorldConfig {
        users: world.users as usize,
        items: world.items as usize,
        clusters: world.clusters as usize,
        dimensions: world.dimensions as usize,
        pretrained_len: world.pretrained_len.unwrap_or(twice) as usize,
        seed: world.seed,
    }
}

fn shape(recipe: &SyntheticWorldConfig) -> WorldShape {
    let &SyntheticWorldConfig { users, items, clusters, dimensions, pretrained_len: list, .. } = recipe;
    WorldShape { users, items, clusters, dimensions, pretrained_len: list }
}

/// Does `work`, and says so if it takes longer than a person waits without wondering.
fn while_waiting<T>(what: &str, quiet: bool, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if !quiet && is_done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let waiting = Waiting::begin(what);
                // The sender is dropped when the work is done, or has panicked.
                let _ = is_done.recv();
                waiting.end();
            }
        });
        let result = work();
        drop(done);
        result
    })
}

const PATIENCE: Duration = Duration::from_secs(2);
