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

/// What will be done, every value possible and none left open.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The seed of every draw.
    pub seed: u64,
    /// How users are served and respond.
    pub environment: EnvironmentSpec,
    /// How the agent learns.
    pub agent: AgentSpec,
    /// When what happens.
    pub schedule: Schedule,
}

/// When what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Episodes in the run.
    pub episodes: u32,
    /// Rounds in an episode.
    pub rounds_per_episode: u32,
    /// Users served in a round: the world's first that many.
    pub users: usize,
    /// Users served at a time.
    pub batch_size: usize,
    /// Transitions needed before learning starts.
    pub warmup_transitions: u64,
    /// Learn after every that many rounds.
    pub train_frequency: u32,
    /// Updates in a learning session.
    pub gradient_steps: u32,
}

impl Config {
    /// Checks every value that does not depend on the world: what can be refused before one is built.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        check(self)
    }

    /// Checks every value, alone and against `world`, and settles what was left to the program.
    pub fn plan(&self, world: &World<'_>) -> Result<Plan, InvalidConfig> {
        check(self)?;
        let shape = world.shape();
        let users = self.check_sizes(&shape)?;
        if self.recommendation.similarity_metric == Similarity::Dot {
            let items = 0..shape.items;
            self.scores_fit(items.map(|item| absolute_sum(world.item_embedding(item))).fold(0.0, f64::max))?;
        }
        let state = shape.state_dim();
        let hidden = || self.td3.hidden_sizes.iter().map(|&width| width as usize).collect();
        Ok(Plan {
            seed: self.experiment.seed,
            environment: self.environment_of_users(),
            agent: AgentSpec {
                actor: MlpLayout::new("actor", state, hidden(), shape.dimensions, self.td3.batch_norm),
                critics: ["critic_1", "critic_2"]
                    .map(|name| MlpLayout::new(name, state + shape.dimensions, hidden(), 1, self.td3.batch_norm)),
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

    /// The same configuration with the sizes that were left to the world filled in, and those of the world that is used.
    #[must_use]
    pub fn resolved(&self, plan: &Plan, shape: &WorldShape) -> Self {
        let mut settled = self.clone();
        settled.training.users_per_round = Auto::Given(plan.schedule.users as u32);
        settled.environment.state_dim = Auto::Given(plan.agent.state_dim() as u32);
        settled.environment.action_dim = Auto::Given(plan.agent.action_dim() as u32);
        let &WorldShape { users, items, clusters, dimensions, pretrained_len: list } = shape;
        let world = &mut settled.world;
        if world.path != "auto" {
            world.pretrained_len = Auto::Given(list as u32);
        }
        [world.users, world.items, world.clusters, world.dimensions] =
            [users, items, clusters, dimensions].map(|size| size as u32);
        settled
    }

    /// Checks sizes against a world's, before there is one. Returns the number of users served.
    pub fn check_sizes(&self, shape: &WorldShape) -> Result<usize, InvalidConfig> {
        let &WorldShape { users, items, dimensions, pretrained_len: list, .. } = shape;
        equals("environment.state_dim", self.environment.state_dim, shape.state_dim(), "K + D")?;
        equals("environment.action_dim", self.environment.action_dim, dimensions, "D")?;
        let served = match self.training.users_per_round {
            Auto::Auto => users,
            Auto::Given(served) => {
                let expected = format!("at most the world's users ({users})");
                let suits = served as usize <= users;
                require_with(suits, "training.users_per_round", served, expected, "world.users")?;
                served as usize
            }
        };
        let shown = self.recommendation.total_recommendations;
        let (key, at) = ("recommendation.total_recommendations", shown as usize);
        require_with(at <= items, key, shown, format!("at most the world's items ({items})"), "world.items")?;
        require(at <= list, key, shown, format!("at most the length of the world's pre-trained lists ({list})"))?;
        let (key, candidates) = ("td3.candidates", self.td3.candidates);
        let expected = format!("at most the world's items ({items})");
        require_with(candidates as usize <= items, key, candidates, expected, "world.items")?;
        if self.recommendation.similarity_metric == Similarity::Cosine {
            // The entries of a row of length 1 sum to at most this.
            self.scores_fit(libm::sqrt(dimensions as f64))?;
        }
        Ok(served)
    }

    /// Checks that no score can overflow, the magnitudes of an item's entries summing to at most `largest`.
    fn scores_fit(&self, largest: f64) -> Result<(), InvalidConfig> {
        let max_action = self.environment.max_action;
        let expected =
            format!("small enough that no score overflows: an item's entries sum to at most {largest:e}");
        let suits = largest * max_action < f64::from(f32::MAX) / 2.0;
        require(suits, "environment.max_action", Readable(max_action), expected)
    }

    fn environment_of_users(&self) -> EnvironmentSpec {
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

fn equals(key: &str, value: Auto, world: usize, what: &str) -> Result<(), InvalidConfig> {
    let expected: String = format!("auto, or the world's {what} ({world})");
    let suits = match value {
        Auto::Auto => true,
        Auto::Given(size) => size as usize == world,
    };
    require(suits, key, value, expected)
}

fn absolute_sum(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x).abs()).sum()
}
