//! The configuration as written: the seed document's groups and keys, and their defaults (`spec` section 7).
//!
//! A [`Config`] is what a file says and may be anything; [`Config::plan`] checks it against a world and gives a
//! [`Plan`], in which every value is known to be possible.

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

/// A whole configuration. Every key has a default, and an unknown one is refused.
///
/// ```
/// let config = recsim_core::session::config::Config::default();
/// assert_eq!(config.td3.hidden_sizes, [512, 512, 256]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The experiment's extent.
    pub training: TrainingConfig,
    /// The learner.
    pub td3: Td3Config,
    /// The users.
    pub environment: EnvironmentConfig,
    /// The slate.
    pub recommendation: RecommendationConfig,
    /// What a step is worth.
    pub reward: RewardConfig,
    /// How this run is carried out.
    pub experiment: ExperimentConfig,
    /// The built-in world, where no other is given.
    pub world: WorldConfig,
}

/// The experiment's extent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Episodes; beliefs start afresh in each.
    pub episodes: u32,
    /// Rounds in an episode; every user is served once a round.
    pub rounds_per_episode: u32,
    /// Users served: the world's first that many, or all.
    pub users_per_round: Auto,
    /// Users served at a time. It changes no result.
    pub batch_size: u32,
    /// Transitions the replay ring must hold before learning starts.
    pub warmup_transitions: u64,
    /// Learn after every that many rounds, counted through the run.
    pub train_frequency: u32,
}

/// The users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvironmentConfig {
    /// K + D of the world.
    pub state_dim: Auto,
    /// D of the world.
    pub action_dim: Auto,
    /// Actions lie in plus or minus this.
    pub max_action: f64,
    /// The probability of an acceptance where `use_intelligent_acceptance` is false.
    pub user_acceptance_rate: f64,
    /// Whether an acceptance depends on belief and distance.
    pub use_intelligent_acceptance: bool,
    /// What a belief is multiplied by before the sigmoid.
    pub sigmoid_scale: f64,
    /// The probability that even the farthest item is taken.
    pub baseline_acceptance_rate: f64,
    /// The distance from its cluster's centre from which an item is taken by the baseline only.
    pub max_cluster_distance: f64,
    /// What one accepted item adds to the belief in its cluster.
    pub belief_increment: f64,
}

/// The slate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecommendationConfig {
    /// Items chosen by the action.
    pub rl_list_size: u32,
    /// Items shown; the user's pre-trained list fills the rest.
    pub total_recommendations: u32,
    /// What "most similar to the action" means.
    pub similarity_metric: Similarity,
}

/// What a step is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewardConfig {
    /// Rewards are clamped to plus or minus this.
    pub max_reward: f64,
    /// The rise of the score that counts as one.
    pub improvement_threshold: f64,
    /// Pay improvements only (strict) rather than also maintenance (hybrid).
    pub use_progressive_reward: bool,
    /// The share of the score paid where nothing improved and the score held.
    pub maintenance_reward_factor: f64,
    /// Added where something improved and the score rose by at least the threshold.
    pub exploration_bonus: f64,
    /// Score by engagement times alignment rather than by distance.
    pub use_combined_metric: bool,
    /// The seed document's reward, or one that telescopes.
    pub kind: RewardKind,
    /// What a unit of distance is worth.
    pub reward_scale: f64,
}

/// Which reward is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RewardKind {
    /// The seed document's.
    #[serde(alias = "seed")]
    Shaped,
    /// The fall of the summed distance; ignores threshold, bonus and the hybrid keys.
    Potential,
}

/// How this run is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExperimentConfig {
    /// The seed of every draw of the run.
    pub seed: u64,
    /// What computes it: `cpu`, `cuda` or `reference`.
    pub backend: String,
    /// Threads, or one per core. It changes no result.
    pub threads: Auto,
    /// The CPU backend's instruction set: networks act and learn with the same bits on every machine that has it. `auto` is
    /// the machine's best.
    #[serde(alias = "isa")]
    pub instruction_set: String,
    /// How the CUDA backend multiplies matrices: `float32`, or, less exactly and faster, `tf32` or `bf16`. Actions, losses and
    /// weights depend on it, and no response to a given action does.
    pub precision: String,
    /// Rounds from one checkpoint to the next, counted through the run; `auto` is an episode, 0 is none but the one that
    /// an interruption leaves.
    pub checkpoint_every: Auto,
    /// The folder for the results; `auto` is `runs/<date>-<seed>`, with a number behind it where that is taken.
    pub output: String,
}

/// The built-in world, where no other is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldConfig {
    /// A world's folder; `auto` is the built-in generated world.
    pub path: String,
    /// Users of the generated world.
    pub users: u32,
    /// Items of the generated world.
    pub items: u32,
    /// Clusters of the generated world.
    pub clusters: u32,
    /// Dimensions of the generated world's embeddings.
    #[serde(alias = "dim")]
    pub dimensions: u32,
    /// Length of its pre-trained lists, or twice `total_recommendations`.
    #[serde(alias = "list")]
    pub pretrained_len: Auto,
    /// The seed of the generated world, apart from the run's.
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
