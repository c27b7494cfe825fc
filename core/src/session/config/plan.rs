//! A configuration that has been checked against its world.

use alloc::format;
use alloc::string::String;

use super::check::{InvalidConfig, Readable, check, require, require_with};
use super::{Auto, Config, RewardConfig, RewardKind};
use crate::model::EnvironmentSpec;
use crate::model::accept::Acceptance;
use crate::model::reward::{BeliefScore, Reward, RewardForm};
use crate::model::slate::Similarity;
use crate::model::user::UserModel;
use crate::td3::AgentSpec;
use crate::td3::net::MlpLayout;
use crate::world::{World, WorldShape};

/// A checked configuration: every value is in its range for one world, and none is left open.
///
/// [`Config::plan`] makes it. Backends and the session rely on its values without checking them again.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The seed of all random draws.
    pub seed: u64,
    /// How slates are built and how users respond.
    pub environment: EnvironmentSpec,
    /// The agent's networks and settings.
    pub agent: AgentSpec,
    /// Episodes, rounds, users, and when training is due.
    pub schedule: Schedule,
}

/// Episodes, rounds, users, and when training is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Episodes in the run; at least 1.
    pub episodes: u32,
    /// Rounds in an episode; at least 1.
    pub rounds_per_episode: u32,
    /// Users served in a round: the first ones of the world. At least 1.
    pub users: usize,
    /// Users that the backend serves at a time; at least 1.
    pub batch_size: usize,
    /// Transitions in the replay buffer before training starts; at most the buffer's size.
    pub warmup_transitions: u64,
    /// Rounds from one training session to the next; at least 1.
    pub train_frequency: u32,
    /// Updates in a training session; may be 0.
    pub gradient_steps: u32,
}

impl Config {
    /// Checks every value that does not depend on the world, so that errors are reported before a world is built.
    ///
    /// # Errors
    /// The first value that is out of its range, or that contradicts another key.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        check(self)
    }

    /// Checks every value against its range and against `world`, and resolves what was left open.
    ///
    /// ```
    /// use recsim_core::session::config::Config;
    /// use recsim_core::world::{SyntheticWorldConfig, brute_force_lists, generate};
    /// let world_config =
    ///     SyntheticWorldConfig { users: 20, items: 60, clusters: 3, dimensions: 4, pretrained_len: 40, seed: 0 };
    /// let generated = generate(&world_config, brute_force_lists);
    /// let world = generated.view()?;
    /// let plan = Config::default().plan(&world)?;
    /// assert_eq!((plan.schedule.users, plan.agent.state_dim(), plan.agent.action_dim()), (20, 7, 4));
    ///
    /// let mut config = Config::default();
    /// config.td3.tau = 2.0;
    /// let error = config.plan(&world).unwrap_err();
    /// assert_eq!(error.to_string(), "`td3.tau` is 2, and must be above 0 and at most 1");
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The first value that is out of its range, that contradicts another key, or that does not suit the world.
    pub fn plan(&self, world: &World<'_>) -> Result<Plan, InvalidConfig> {
        check(self)?;
        let shape = world.shape();
        let users = self.check_sizes(&shape)?;
        if self.recommendation.similarity_metric == Similarity::Dot {
            let items = 0..shape.items;
            self.check_score_range(items.map(|item| absolute_sum(world.item_embedding(item))).fold(0.0, f64::max))?;
        }
        let state_dim = shape.state_dim();
        let hidden = || self.td3.hidden_sizes.iter().map(|&width| width as usize).collect();
        Ok(Plan {
            seed: self.experiment.seed,
            environment: self.environment_spec(),
            agent: AgentSpec {
                actor: MlpLayout::new("actor", state_dim, hidden(), shape.dimensions, self.td3.batch_norm),
                critics: ["critic_1", "critic_2"].map(|name| {
                    MlpLayout::new(name, state_dim + shape.dimensions, hidden(), 1, self.td3.batch_norm)
                }),
                max_action: self.environment.max_action,
                td3: self.td3.clone(),
            },
            schedule: Schedule {
                episodes: self.training.episodes,
                rounds_per_episode: self.training.rounds_per_episode,
                users,
                batch_size: self.training.batch_size as usize,
                warmup_transitions: self.training.warmup_transitions,
                train_frequency: self.training.train_frequency,
                gradient_steps: self.td3.gradient_steps,
            },
        })
    }

    /// The configuration with the sizes of the plan and of the world filled in: users, state, action and the `world`
    /// keys. `plan` must come from this configuration and a world of this `shape`.
    #[must_use]
    pub fn resolved(&self, plan: &Plan, shape: &WorldShape) -> Self {
        let mut resolved = self.clone();
        resolved.training.users_per_round = Auto::Given(plan.schedule.users as u32);
        resolved.environment.state_dim = Auto::Given(plan.agent.state_dim() as u32);
        resolved.environment.action_dim = Auto::Given(plan.agent.action_dim() as u32);
        let &WorldShape { users, items, clusters, dimensions, pretrained_len } = shape;
        let world = &mut resolved.world;
        if world.path != "auto" {
            world.pretrained_len = Auto::Given(pretrained_len as u32);
        }
        [world.users, world.items, world.clusters, world.dimensions] =
            [users, items, clusters, dimensions].map(|size| size as u32);
        resolved
    }

    /// Checks the sizes against those of a world, which need not exist yet. Returns the number of users served.
    ///
    /// # Errors
    /// The first size that does not suit a world of this shape.
    pub fn check_sizes(&self, shape: &WorldShape) -> Result<usize, InvalidConfig> {
        let &WorldShape { users, items, dimensions, pretrained_len, .. } = shape;
        require_size("environment.state_dim", self.environment.state_dim, shape.state_dim(), "K + D")?;
        require_size("environment.action_dim", self.environment.action_dim, dimensions, "D")?;
        let served = match self.training.users_per_round {
            Auto::Auto => users,
            Auto::Given(served) => {
                let expected = format!("at most the world's users ({users})");
                let is_valid = served as usize <= users;
                require_with(is_valid, "training.users_per_round", served, expected, "world.users")?;
                served as usize
            }
        };
        let total = self.recommendation.total_recommendations;
        let (key, slate_len) = ("recommendation.total_recommendations", total as usize);
        require_with(
            slate_len <= items,
            key,
            total,
            format!("at most the world's items ({items})"),
            "world.items",
        )?;
        let expected = format!("at most the length of the world's pre-trained lists ({pretrained_len})");
        require(slate_len <= pretrained_len, key, total, expected)?;
        let (key, candidates) = ("td3.candidates", self.td3.candidates);
        let expected = format!("at most the world's items ({items})");
        require_with(candidates as usize <= items, key, candidates, expected, "world.items")?;
        if self.recommendation.similarity_metric == Similarity::Cosine {
            // The magnitudes of a unit vector's entries sum to at most the square root of its length.
            self.check_score_range(libm::sqrt(dimensions as f64))?;
        }
        Ok(served)
    }

    /// Checks that no score can overflow, where `max_row_sum` bounds the sum of the magnitudes of an item row's
    /// entries.
    ///
    /// # Errors
    /// `environment.max_action` is too large.
    fn check_score_range(&self, max_row_sum: f64) -> Result<(), InvalidConfig> {
        let max_action = self.environment.max_action;
        let expected =
            format!("small enough that no score overflows: an item's entries sum to at most {max_row_sum:e}");
        let is_valid = max_row_sum * max_action < f64::from(f32::MAX) / 2.0;
        require(is_valid, "environment.max_action", Readable(max_action), expected)
    }

    fn environment_spec(&self) -> EnvironmentSpec {
        let environment = &self.environment;
        let acceptance = if environment.use_intelligent_acceptance {
            Acceptance::Belief {
                max_cluster_distance: environment.max_cluster_distance as f32,
                sigmoid_scale: environment.sigmoid_scale as f32,
                baseline: environment.baseline_acceptance_rate as f32,
            }
        } else {
            Acceptance::Fixed(environment.user_acceptance_rate as f32)
        };
        EnvironmentSpec {
            user_model: UserModel {
                acceptance,
                belief_increment: environment.belief_increment as f32,
                reward: reward(&self.reward),
            },
            similarity: self.recommendation.similarity_metric,
            rl_slots: self.recommendation.rl_list_size as usize,
            slate_len: self.recommendation.total_recommendations as usize,
            normalize_beliefs: self.td3.normalize_beliefs,
        }
    }
}

fn reward(config: &RewardConfig) -> Reward<f32> {
    Reward {
        kind: match config.kind {
            RewardKind::Potential => RewardForm::Potential,
            RewardKind::Shaped if config.use_progressive_reward => RewardForm::Strict,
            RewardKind::Shaped => RewardForm::Hybrid {
                maintenance_factor: config.maintenance_reward_factor as f32,
                exploration_bonus: config.exploration_bonus as f32,
            },
        },
        score: if config.use_combined_metric { BeliefScore::Combined } else { BeliefScore::Distance },
        scale: config.reward_scale as f32,
        max: config.max_reward as f32,
        improvement_threshold: config.improvement_threshold as f32,
    }
}

/// Checks that a size is `auto` or the world's.
///
/// # Errors
/// It is another number.
fn require_size(key: &str, value: Auto, size_of_world: usize, what: &str) -> Result<(), InvalidConfig> {
    let expected: String = format!("auto, or the world's {what} ({size_of_world})");
    let is_valid = match value {
        Auto::Auto => true,
        Auto::Given(size) => size as usize == size_of_world,
    };
    require(is_valid, key, value, expected)
}

fn absolute_sum(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x).abs()).sum()
}
