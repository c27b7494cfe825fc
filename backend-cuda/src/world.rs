//! The world on the device.

use recsim_core::model::EnvironmentSpec;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::reward::{BeliefScore, RewardForm};
use recsim_core::model::slate::{Similarity, normalize};
use recsim_core::model::user::UserModel;
use recsim_core::world::error_bound::scale_exponent;
use recsim_core::world::{World as HostWorld, WorldShape};

use crate::ffi::Device;
use crate::ffi::simulation::{ItemMatrix, MAX_CLUSTER_COUNTS, SEARCH_TILE, SimulationKernels, fp16_bytes};
use crate::transfer::upload;
use crate::{CudaError, sources};

/// Items, users and rules on the device, and the kernels compiled for their sizes.
pub struct World<D: Device> {
    pub(crate) shape: WorldShape,
    pub(crate) environment: EnvironmentSpec,
    /// The words of `user.cuh`, `UserModel`.
    pub(crate) user_model: [u32; USER_MODEL_WORDS],
    /// `[I, D]`, normalized for `cosine`
    pub(crate) rows: D::DeviceBuffer,
    /// The rows times `2^exponent` as fp16, for the search.
    pub(crate) fp16_rows: D::DeviceBuffer,
    pub(crate) exponent: i32,
    /// Maximum norm of a row times `2^exponent`.
    pub(crate) max_norm: f64,
    /// `[I]`: cluster and distance
    pub(crate) item: D::DeviceBuffer,
    /// `[U, K]`
    pub(crate) initial_belief: D::DeviceBuffer,
    /// `[U, D]`
    pub(crate) user_embedding: D::DeviceBuffer,
    /// `[U, L]`
    pub(crate) pretrained: D::DeviceBuffer,
    /// `[K]`
    pub(crate) target: D::DeviceBuffer,
    /// `[K]`: the factors of beliefs in states
    pub(crate) belief_scale: D::DeviceBuffer,
    pub(crate) observe: D::Module,
    pub(crate) recommend: D::Module,
    pub(crate) respond: D::Module,
}

impl<D: Device> World<D> {
    /// Loads a world and compiles its kernels.
    ///
    /// # Errors
    /// The world has too many clusters, the kernels cannot be compiled, or the device has no memory.
    pub(crate) fn new(device: &D, world: &HostWorld<'_>, environment: &EnvironmentSpec) -> Result<Self, CudaError> {
        let (shape, arrays) = (world.shape(), world.arrays());
        if shape.clusters > MAX_CLUSTER_COUNTS {
            return Err(CudaError::SizeLimit { what: "clusters", actual: shape.clusters, max: MAX_CLUSTER_COUNTS });
        }
        let mut host_rows = arrays.item_embedding.to_vec();
        if environment.similarity == Similarity::Cosine {
            host_rows.chunks_exact_mut(shape.dimensions).for_each(normalize);
        }
        let items = arrays.item_cluster.iter().zip(arrays.item_distance);
        let items: Vec<u32> = items.flat_map(|(&cluster, distance)| [cluster, distance.to_bits()]).collect();
        let constants = [
            ("K", shape.clusters),
            ("D", shape.dimensions),
            ("PRETRAINED_LEN", shape.pretrained_len),
            ("RL_SLOTS", environment.rl_slots),
            ("SLATE_LEN", environment.slate_len),
        ];
        let module = |unit| device.load_module(unit, &sources::unit_source(unit), &constants);
        let (rows, recommend) = (upload(device, "items", &host_rows)?, module("recommend.cu")?);
        let (exponent, max_norm) = fp16_scale(&host_rows, shape.dimensions);
        let mut fp16_rows = device.alloc_zeros("fp16 items", fp16_bytes(shape.items, shape.dimensions))?;
        SimulationKernels::new(device, &shape, environment).convert_to_fp16(
            &recommend,
            &rows,
            exponent,
            &mut fp16_rows,
        )?;
        Ok(Self {
            shape,
            environment: *environment,
            user_model: user_model_words(&environment.user_model),
            rows,
            fp16_rows,
            exponent,
            max_norm,
            item: upload(device, "items' clusters", &items)?,
            initial_belief: upload(device, "initial beliefs", arrays.user_belief)?,
            user_embedding: upload(device, "users' embeddings", arrays.user_embedding)?,
            pretrained: upload(device, "pre-trained lists", arrays.user_pretrained)?,
            target: upload(device, "target", arrays.target)?,
            belief_scale: upload(device, "belief scales", &environment.belief_scales(arrays.target))?,
            observe: module("observe.cu")?,
            recommend,
            respond: module("respond.cu")?,
        })
    }

    /// Parts into which a search for `users` users splits the catalogue, so that every multiprocessor is busy.
    pub(crate) fn num_parts(&self, device: &D, users: usize) -> usize {
        let user_tiles = users.div_ceil(SEARCH_TILE).max(1);
        let item_tiles = self.shape.items.div_ceil(SEARCH_TILE);
        device.concurrent_blocks().div_ceil(user_tiles).clamp(1, item_tiles)
    }

    pub(crate) fn kernels<'a>(&self, device: &'a D) -> SimulationKernels<'a, D> {
        SimulationKernels::new(device, &self.shape, &self.environment)
    }

    pub(crate) fn item_matrix(&self) -> ItemMatrix<'_, D> {
        ItemMatrix {
            rows: &self.rows,
            fp16_rows: &self.fp16_rows,
            exponent: self.exponent,
            max_norm: self.max_norm,
        }
    }
}

/// The exponent that scales rows for fp16, and the maximum norm of a scaled row.
fn fp16_scale(rows: &[f32], dimensions: usize) -> (i32, f64) {
    let exponent = scale_exponent(rows.iter().fold(0.0, |max_abs: f32, x| max_abs.max(x.abs())));
    let scale = 2.0_f64.powi(exponent);
    let square = |row: &[f32]| row.iter().map(|&x| (f64::from(x) * scale).powi(2)).sum::<f64>();
    let max_norm = rows.chunks_exact(dimensions).map(square).fold(0.0, f64::max).sqrt();
    (exponent, max_norm)
}

/// The words of `user.cuh`, `UserModel`.
fn user_model_words(model: &UserModel<f32>) -> [u32; USER_MODEL_WORDS] {
    let (is_fixed, max_cluster_distance, sigmoid_scale, baseline) = match model.acceptance {
        Acceptance::Fixed(probability) => (1, 1.0, 0.0, probability),
        Acceptance::Belief { max_cluster_distance, sigmoid_scale, baseline } => {
            (0, max_cluster_distance, sigmoid_scale, baseline)
        }
    };
    let reward = &model.reward;
    let (kind, maintenance_factor, exploration_bonus) = match reward.kind {
        RewardForm::Strict => (0, 0.0, 0.0),
        RewardForm::Hybrid { maintenance_factor, exploration_bonus } => (1, maintenance_factor, exploration_bonus),
        RewardForm::Potential => (2, 0.0, 0.0),
    };
    let score = match reward.score {
        BeliefScore::Combined => 0,
        BeliefScore::Distance => 1,
    };
    let bits = f32::to_bits;
    [
        is_fixed,
        bits(max_cluster_distance),
        bits(sigmoid_scale),
        bits(baseline),
        bits(model.belief_increment),
        kind,
        score,
        bits(reward.scale),
        bits(reward.max),
        bits(reward.improvement_threshold),
        bits(maintenance_factor),
        bits(exploration_bonus),
        bits(reward.bound()),
    ]
}

/// 32-bit words of `user.cuh`, `UserModel`.
pub(crate) const USER_MODEL_WORDS: usize = 13;
