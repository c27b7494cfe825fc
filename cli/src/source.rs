//! The world that a command uses: opened from a folder, or generated.

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

/// The origin and sizes of a world, as they are recorded in files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Provenance {
    /// The folder, or `None` for the built-in world.
    pub(crate) path: Option<String>,
    /// `provenance` of `world.json`: how the world was made.
    pub(crate) provenance: serde_json::Value,
    /// SHA-256 of its `world.safetensors`, or `None` for the built-in world.
    pub(crate) checksum: Option<String>,
    pub(crate) users: usize,
    pub(crate) items: usize,
    pub(crate) clusters: usize,
    pub(crate) dimensions: usize,
    #[serde(alias = "list")]
    pub(crate) pretrained_len: usize,
}

impl Provenance {
    /// Whether both describe the same world. Its folder does not matter.
    pub(crate) fn is_of_the_same(&self, other: &Self) -> bool {
        match (&self.checksum, &other.checksum) {
            (Some(one), Some(other)) => one == other,
            _ => {
                let sizes = |world: &Self| {
                    let Self { users, items, clusters, dimensions, pretrained_len, .. } = *world;
                    [users, items, clusters, dimensions, pretrained_len]
                };
                self.provenance == other.provenance && sizes(self) == sizes(other)
            }
        }
    }
}

/// Opens or generates the world that the settings name. The settings and the memory are checked against its sizes
/// first.
///
/// # Errors
/// If the world cannot be read, or its sizes do not fit the settings or the memory.
pub(crate) fn world(settings: &Settings, threads: Option<usize>, quiet: bool) -> anyhow::Result<WorldFile> {
    let config = &settings.config;
    let check = |shape: &WorldShape| {
        config.check_sizes(shape).map_err(|invalid| refuse(settings, &invalid))?;
        memory::check(config, shape)
    };
    if config.world.path != AUTO {
        let world = world::open(Path::new(&config.world.path))?;
        check(&world.shape())?;
        return Ok(world);
    }
    let synthetic = synthetic_config(config);
    check(&shape(&synthetic))?;
    let SyntheticWorldConfig { users, items, .. } = synthetic;
    let what = format!("generating a world of {} and {}", counted(users, "user"), counted(items, "item"));
    while_waiting(&what, quiet, || world::generate(&synthetic, threads))
}

/// The error for a value that contradicts the world.
pub(crate) fn refuse(settings: &Settings, invalid: &InvalidConfig) -> BadInput {
    if settings.config.world.path == AUTO { settings.refuse(invalid) } else { settings.refuse_for_world(invalid) }
}

/// The record of a world.
pub(crate) fn provenance(config: &Config, world: &WorldFile, shape: WorldShape) -> Provenance {
    let path = (config.world.path != AUTO).then(|| config.world.path.clone());
    Provenance {
        checksum: path.is_some().then(|| world.checksum().to_owned()),
        path,
        provenance: world.info().provenance.clone(),
        users: shape.users,
        items: shape.items,
        clusters: shape.clusters,
        dimensions: shape.dimensions,
        pretrained_len: shape.pretrained_len,
    }
}

/// The built-in world of the settings. By default, a pre-trained list has twice the length of a slate, or all items if
/// there are fewer.
fn synthetic_config(config: &Config) -> SyntheticWorldConfig {
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

fn shape(config: &SyntheticWorldConfig) -> WorldShape {
    let &SyntheticWorldConfig { users, items, clusters, dimensions, pretrained_len, .. } = config;
    WorldShape { users, items, clusters, dimensions, pretrained_len }
}

/// Runs `work`. Shows `what` and the elapsed time if it takes longer than [`PATIENCE`].
fn while_waiting<T>(what: &str, quiet: bool, work: impl FnOnce() -> T) -> T {
    let (done, done_receiver) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if !quiet && done_receiver.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let waiting = Waiting::begin(what);
                // Returns when the sender is dropped, also if the work panics.
                let _ = done_receiver.recv();
                waiting.end();
            }
        });
        let result = work();
        drop(done);
        result
    })
}

const PATIENCE: Duration = Duration::from_secs(2);
