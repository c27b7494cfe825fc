//! The configuration as written: groups, keys and defaults (`docs/spec.md`, section 7).
//!
//! A [`Config`] holds what a file says, so its values may be out of range. [`Config::plan`] checks it against a world
//! and returns a [`Plan`], in which every value is in its range.
//!
//! Names that differ from CleanRL's:
//!
//! | key | CleanRL |
//! |---|---|
//! | `td3.discount` | `gamma` |
//! | `td3.policy_freq` | `policy_frequency`; CleanRL counts environment steps, this crate counts updates |
//! | `training.warmup_transitions` | `learning_starts`; here the actor acts during the warm-up too |
//! | `training.train_frequency` | `train_frequency` of its DQN, which counts environment steps; here it counts rounds |
//! | `td3.gradient_steps` | none: CleanRL's TD3 makes one update per environment step |
//! | `experiment.seed` | `seed` |
//!
//! `tau`, `policy_noise`, `noise_clip`, `exploration_noise`, `batch_size`, `learning_rate` and `buffer_size` have
//! CleanRL's names. `max_grad_norm` is the name in CleanRL's PPO, and `item_epsilon` is the epsilon of epsilon-greedy
//! over items.

mod auto;
mod check;
mod plan;

pub use auto::Auto;
pub use check::InvalidConfig;
pub use plan::{Plan, Schedule};

use crate::model::slate::Similarity;
use crate::td3::Td3Config;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// A whole configuration. Every key has a default, and deserialization refuses unknown keys.
///
/// ```
/// let config = recsim_core::session::config::Config::default();
/// assert_eq!(config.td3.hidden_sizes, [512, 512, 256]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Episodes, rounds, users, and when training is due.
    pub training: TrainingConfig,
    /// The TD3 agent.
    pub td3: Td3Config,
    /// How users respond.
    pub environment: EnvironmentConfig,
    /// How slates are built.
    pub recommendation: RecommendationConfig,
    /// The reward of a user's step.
    pub reward: RewardConfig,
    /// Seed, backend, checkpoints and output folder of this run.
    pub experiment: ExperimentConfig,
    /// The world: a folder, or the sizes of the synthetic one.
    pub world: WorldConfig,
}

/// Episodes, rounds, users, and when training is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Number of episodes. Each starts from the users' initial beliefs. At least 1; default 10.
    pub episodes: u32,
    /// Rounds in an episode. Every user is served once in a round. At least 1; default 20.
    pub rounds_per_episode: u32,
    /// Number of users served: the first ones of the world. From 1 to the world's users; `auto`, the default, is all.
    pub users_per_round: Auto,
    /// Users that the backend serves at a time. It changes no result. At least 1; default 4000. The minibatch of an
    /// update is [`Td3Config::batch_size`].
    pub batch_size: u32,
    /// Transitions in the replay buffer before training starts. From 0 to [`Td3Config::buffer_size`]; default 100,000.
    /// CleanRL's `learning_starts`.
    pub warmup_transitions: u64,
    /// Rounds from one training session to the next, counted through the run. At least 1; default 3.
    pub train_frequency: u32,
}

/// How users respond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvironmentConfig {
    /// Length of a state. `auto`, the default, or exactly the world's K + D.
    pub state_dim: Auto,
    /// Length of an action. `auto`, the default, or exactly the world's D.
    pub action_dim: Auto,
    /// The bound of each component of an action, which lies in `[-max_action, max_action]`. Above 0; default 1.
    pub max_action: f64,
    /// The acceptance probability of every item if `use_intelligent_acceptance` is false. In `[0, 1]`; default 0.25.
    pub user_acceptance_rate: f64,
    /// Whether the acceptance probability depends on belief and distance
    /// ([`Acceptance::Belief`](crate::model::accept::Acceptance::Belief)). Default true.
    pub use_intelligent_acceptance: bool,
    /// Slope of the sigmoid: a belief is multiplied by it first. At least 0, per unit of belief; default 10,000.
    pub sigmoid_scale: f64,
    /// Added to the acceptance probability of every item, and the whole of it for items at or beyond
    /// `max_cluster_distance`. In `[0, 1]`; default 0.1.
    pub baseline_acceptance_rate: f64,
    /// The distance to its cluster's centre from which an item is accepted at the baseline rate only. Above 0, in the
    /// unit of the world's `item_distance`; default 5.
    pub max_cluster_distance: f64,
    /// What one accepted item adds to the belief in its cluster. In `[0, 1]`, as a share of the catalogue; default
    /// 0.01.
    pub belief_increment: f64,
}

/// How slates are built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecommendationConfig {
    /// Items of a slate that are chosen by the action. From 1 to `total_recommendations`; default 10.
    pub rl_list_size: u32,
    /// Items on a slate; the user's pre-trained list fills those after the first `rl_list_size`. At most the world's
    /// items and the length of its pre-trained lists; default 20.
    pub total_recommendations: u32,
    /// How similar an item is to an action: cosine, the default, or inner product.
    pub similarity_metric: Similarity,
}

/// The reward of a user's step (`docs/spec.md`, section 2.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewardConfig {
    /// The reward is clamped to `[-max_reward, max_reward]`. Above 0; default 100.
    pub max_reward: f64,
    /// The smallest rise of the score that counts as an improvement. At least 0, in units of the score; default 0.01.
    pub improvement_threshold: f64,
    /// With the shaped reward: true pays improvements only (strict), false also pays for a score that holds (hybrid).
    /// Default false.
    pub use_progressive_reward: bool,
    /// Hybrid reward: the share of the score that is paid if nothing improved and the score held. Finite; default 0.7.
    pub maintenance_reward_factor: f64,
    /// Hybrid reward: added if a belief came nearer to its target and the score rose by at least the threshold. Finite,
    /// in units of reward; default 0.2.
    pub exploration_bonus: f64,
    /// The score: true is engagement times alignment, false is `1 - distance / sum target`. Default true.
    pub use_combined_metric: bool,
    /// The family of rewards. Default [`RewardKind::Shaped`].
    pub kind: RewardKind,
    /// Reward per unit of distance. At least 0; default 100.
    pub reward_scale: f64,
}

/// The family of rewards. [`RewardForm`](crate::model::reward::RewardForm) is what the configuration resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RewardKind {
    /// Pays improvements cluster by cluster, with thresholds and bonuses: strict or hybrid.
    #[serde(alias = "seed")]
    Shaped,
    /// Pays the fall of the summed distance. It ignores the threshold, the bonus and the keys of the hybrid reward.
    Potential,
}

/// Seed, backend, checkpoints and output folder of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExperimentConfig {
    /// The seed of all random draws of the run. Default 0.
    pub seed: u64,
    /// The backend: `cpu`, the default, `cuda` or `reference`.
    pub backend: String,
    /// Number of threads, from 1 to 1024; `auto`, the default, is one per core. It changes no result.
    pub threads: Auto,
    /// The CPU backend's instruction set: `amx`, `avx512`, `avx2`, `neon`, `portable`, or `auto`, the default, for the
    /// best of the machine. Networks act and learn with the same bits on every machine that has the set.
    #[serde(alias = "isa")]
    pub instruction_set: String,
    /// Precision of the CUDA backend's matrix products: `float32`, the default, or the faster and less exact `tf32` or
    /// `bf16`. Actions, losses and weights depend on it; a user's response to a given action does not.
    pub precision: String,
    /// Rounds from one checkpoint to the next, counted through the run. `auto`, the default, is an episode; with 0 a
    /// checkpoint is written only when the run is interrupted.
    pub checkpoint_every: Auto,
    /// The folder for the results. `auto`, the default, is `runs/<date>-<seed>`, with a number added if that exists.
    pub output: String,
}

/// The world: a folder, or the sizes of the synthetic one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldConfig {
    /// The folder of a world; `auto`, the default, generates a synthetic one from the keys below.
    pub path: String,
    /// Users of the synthetic world. At least 1; default 50,000.
    pub users: u32,
    /// Items of the synthetic world. At least 1; default 19,130.
    pub items: u32,
    /// Clusters of the synthetic world. From 1 to `items`; default 5.
    pub clusters: u32,
    /// Length of an embedding in the synthetic world. At least 1; default 64.
    #[serde(alias = "dim")]
    pub dimensions: u32,
    /// Length of the synthetic world's pre-trained lists. From `total_recommendations` to `items`; `auto`, the default,
    /// is twice `total_recommendations`.
    #[serde(alias = "list")]
    pub pretrained_len: Auto,
    /// The seed of the synthetic world, independent of the run's. Default 0.
    pub seed: u64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            episodes: 10,
            rounds_per_episode: 20,
            users_per_round: Auto::Auto,
            batch_size: 4000,
            warmup_transitions: 100_000,
            train_frequency: 3,
        }
    }
}

impl Default for EnvironmentConfig {
    fn default() -> Self {
        Self {
            state_dim: Auto::Auto,
            action_dim: Auto::Auto,
            max_action: 1.0,
            user_acceptance_rate: 0.25,
            use_intelligent_acceptance: true,
            sigmoid_scale: 10_000.0,
            baseline_acceptance_rate: 0.1,
            max_cluster_distance: 5.0,
            belief_increment: 0.01,
        }
    }
}

impl Default for RecommendationConfig {
    fn default() -> Self {
        Self { rl_list_size: 10, total_recommendations: 20, similarity_metric: Similarity::Cosine }
    }
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            max_reward: 100.0,
            improvement_threshold: 0.01,
            use_progressive_reward: false,
            maintenance_reward_factor: 0.7,
            exploration_bonus: 0.2,
            use_combined_metric: true,
            kind: RewardKind::Shaped,
            reward_scale: 100.0,
        }
    }
}

impl Default for ExperimentConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            backend: "cpu".into(),
            threads: Auto::Auto,
            instruction_set: "auto".into(),
            precision: "float32".into(),
            checkpoint_every: Auto::Auto,
            output: "auto".into(),
        }
    }
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            path: "auto".into(),
            users: 50_000,
            items: 19_130,
            clusters: 5,
            dimensions: 64,
            pretrained_len: Auto::Auto,
            seed: 0,
        }
    }
}
