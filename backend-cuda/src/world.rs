//! The world as a GPU keeps it.

use recsim_core::model::EnvironmentSpec;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::reward::{BeliefScore, RewardForm};
use recsim_core::model::slate::{Similarity, normalize};
use recsim_core::model::user::UserModel;
use recsim_core::world::error_bound::scale_exponent;
use recsim_core::world::{World as HostWorld, WorldShape};

use crate::ffi::Machine;
use crate::ffi::kernels::{Catalogue, MOST_COUNTS, Site, TILE, bytes_of_halves};
use crate::table::table;
use crate::{CudaError, sources};

/// Items, users and rules on the device, and the kernels compiled for their sizes.
pub struct World<M: Machine> {
    pub(crate) shape: WorldShape,
    pub(crate) environment: EnvironmentSpec,
    /// As `respond.cu` has them.
    pub(crate) rules: [u32; 13],
    /// `[I, D]`, normalised for `cosine`
    pub(crate) rows: M::Memory,
    /// The same as halves, for the search of candidates, and their scale.
    pub(crate) halves: M::Memory,
    pub(crate) exponent: i32,
    pub(crate) longest: f64,
    /// `[I]`: cluster and distance
    pub(crate) item: M::Memory,
    /// `[U, K]`
    pub(crate) initial: M::Memory,
    /// `[U, D]`
    pub(crate) embedding: M::Memory,
    /// `[U, L]`
    pub(crate) pretrained: M::Memory,
    /// `[K]`
    pub(crate) target: M::Memory,
    /// `[K]`: what beliefs are multiplied by in states
    pub(crate) belief_scale: M::Memory,
    pub(crate) observe: M::Module,
    pub(crate) recommend: M::Module,
    pub(crate) respond: M::Module,
}

impl<M: Machine> World<M> {
    pub(crate) fn new(
        machine: &M,
        world: &HostWorld<'_>,
        environment: &EnvironmentSpec,
    ) -> Result<Self, CudaError> {
        let (shape, parts) = (world.shape(), world.arrays());
        if shape.clusters > MOST_COUNTS {
            return Err(CudaError::Size { what: "clusters", found: shape.clusters, most: MOST_COUNTS });
        }
        let mut rows = parts.item_embedding.to_vec();
        if environment.similarity == Similarity::Cosine {
            rows.chunks_exact_mut(shape.dimensions).for_each(normalize);
        }
        let items = parts.item_cluster.iter().zip(parts.item_distance);
        let items: Vec<u32> = items.flat_map(|(&cluster, distance)| [cluster, distance.to_bits()]).collect();
        let constants = [
            ("K", shape.clusters),
            ("D", shape.dimensions),
            ("LIST", shape.pretrained_len),
            ("CHOSEN", environment.rl_slots),
            ("SHOWN", environment.slate_len),
        ];
        let module = |unit| machine.module(unit, &sources::unit(unit), &constants);
        let (rows_on_device, recommend) = (table(machine, "items", &rows)?, module("recommend.cu")?);
        let (exponent, longest) = scale(&rows, shape.dimensions);
        let mut halves = machine.zeros("items as halves", bytes_of_halves(shape.items, shape.dimensions))?;
        Site::new(machine, &shape, environment).halve(&recommend, &rows_on_device, exponent, &mut halves)?;
        Ok(Self {
            shape,
            environment: *environment,
            rules: rules(&environment.user_model),
            rows: rows_on_device,
            halves,
            exponent,
            longest,
            item: table(machine, "items' clusters", &items)?,
            initial: table(machine, "initial beliefs", parts.user_belief)?,
            embedding: table(machine, "users' embeddings", parts.user_embedding)?,
            pretrained: table(machine, "pre-trained lists", parts.user_pretrained)?,
            target: table(machine, "target", parts.target)?,
            belief_scale: table(machine, "scales of beliefs", &environment.belief_scales(parts.target))?,
            observe: module("observe.cu")?,
            recommend,
            respond: module("respond.cu")?,
        })
    }

    /// Into how many parts the catalogue is divided for a batch, so that a search keeps every processor busy.
    pub(crate) fn parts(&self, machine: &M, users: usize) -> usize {
        let (rows, columns) = (users.div_ceil(TILE).max(1), self.shape.items.div_ceil(TILE));
        machine.blocks().div_ceil(rows).clamp(1, columns)
    }

    pub(crate) fn site<'a>(&self, machine: &'a M) -> Site<'a, M> {
        Site::new(machine, &self.shape, &self.environment)
    }

    pub(crate) fn catalogue(&self) -> Catalogue<'_, M> {
        Catalogue { rows: &self.rows, halves: &self.halves, exponent: self.exponent, longest: self.longest }
    }
}

/// The exponent that scales rows for half precision, and the length of the longest of them when it has.
fn scale(rows: &[f32], dimensions: usize) -> (i32, f64) {
    let exponent = scale_exponent(rows.iter().fold(0.0, |largest: f32, x| largest.max(x.abs())));
    let scale = 2.0_f64.powi(exponent);
    let square = |row: &[f32]| row.iter().map(|&x| (f64::from(x) * scale).powi(2)).sum::<f64>();
    let longest = rows.chunks_exact(dimensions).map(square).fold(0.0, f64::max).sqrt();
    (exponent, longest)
}

/// The rules word by word, as `respond.cu` has them.
fn rules(rules: &UserModel<f32>) -> [u32; 13] {
    let (fixed, max_cluster_distance, sigmoid_scale, baseline) = match rules.acceptance {
        Acceptance::Fixed(probability) => (1, 1.0, 0.0, probability),
        Acceptance::Belief { max_cluster_distance, sigmoid_scale, baseline } => {
            (0, max_cluster_distance, sigmoid_scale, baseline)
        }
    };
    let reward = &rules.reward;
    let (kind, maintenance_factor, exploration_bonus) = match reward.kind {
        RewardForm::Strict => (0, 0.0, 0.0),
        RewardForm::Hybrid { maintenance_factor, exploration_bonus } => (1, maintenance_factor, exploration_bonus),
        RewardForm::Potential => (2, 0.0, 0.0),
    };
    let score = match reward.score {
        BeliefScore::Combined => 0,
        BeliefScore::Distance => 1,
    };
    let f = f32::to_bits;
    [
        fixed,
        f(max_cluster_distance),
        f(sigmoid_scale),
        f(baseline),
        f(rules.belief_increment),
        kind,
        score,
        f(reward.scale),
        f(reward.max),
        f(reward.improvement_threshold),
        f(maintenance_factor),
        f(exploration_bonus),
        f(reward.bound()),
    ]
}
