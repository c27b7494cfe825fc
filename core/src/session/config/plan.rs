//! A configuration that has been checked against its world.

use alloc::format;
use alloc::string::String;

use super::check::{Invalid, Legible, check, must, must_suit};
use super::{Auto, Config, RewardConfig, RewardKind};
use crate::model::Environment;
use crate::model::accept::Acceptance;
use crate::model::reward::{Kind, Reward, Score};
use crate::model::slate::Similarity;
use crate::model::user::Rules;
use crate::td3::Learner;
use crate::td3::net::Layout;
use crate::world::{Shape, World};

/// What will be done, every value possible and none left open.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The seed of every draw.
    pub seed: u64,
    /// How users are served and respond.
    pub environment: Environment,
    /// How the agent learns.
    pub learner: Learner,
    /// When what happens.
    pub schedule: Schedule,
}

/// When what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Episodes in the run.
    pub episodes: u32,
    /// Rounds in an episode.
    pub rounds: u32,
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
    pub fn check(&self) -> Result<(), Invalid> {
        check(self)
    }

    /// Checks every value, alone and against `world`, and settles what was left to the program.
    pub fn plan(&self, world: &World<'_>) -> Result<Plan, Invalid> {
        check(self)?;
        let shape = world.shape();
        let users = self.fits(&shape)?;
        if self.recommendation.similarity_metric == Similarity::Dot {
            let items = 0..shape.items;
            self.scores_fit(items.map(|item| absolute_sum(world.item_embedding(item))).fold(0.0, f64::max))?;
        }
        let state = shape.state();
        let hidden = || self.td3.hidden.iter().map(|&width| width as usize).collect();
        Ok(Plan {
            seed: self.experiment.seed,
            environment: self.environment_of_users(),
            learner: Learner {
                actor: Layout::new("actor", state, hidden(), shape.dimensions, self.td3.batch_norm),
                critics: ["critic_1", "critic_2"]
                    .map(|name| Layout::new(name, state + shape.dimensions, hidden(), 1, self.td3.batch_norm)),
                discount: self.td3.discount,
                tau: self.td3.tau,
                policy_noise: self.td3.policy_noise,
                noise_clip: self.td3.noise_clip,
                policy_freq: self.td3.policy_freq,
                batch_size: self.td3.batch_size as usize,
                learning_rate: self.td3.learning_rate,
                grad_clip_norm: self.td3.grad_clip_norm,
                action_l2: self.td3.action_l2,
                dropout: self.td3.dropout,
                exploration_noise: self.td3.exploration_noise,
                exploration_items: self.td3.exploration_items,
                candidates: self.td3.candidates as usize,
                max_action: self.environment.max_action,
                replay_capacity: self.td3.replay_capacity as usize,
            },
            schedule: Schedule {
                episodes: self.training.episodes,
                rounds: self.training.rounds_per_episode,
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
    pub fn settled(&self, plan: &Plan, shape: &Shape) -> Self {
        let mut settled = self.clone();
        settled.training.users_per_round = Auto::Given(plan.schedule.users as u32);
        settled.environment.state_dim = Auto::Given(plan.learner.state() as u32);
        settled.environment.action_dim = Auto::Given(plan.learner.action() as u32);
        let &Shape { users, items, clusters, dimensions, list } = shape;
        let world = &mut settled.world;
        if world.path != "auto" {
            world.list = Auto::Given(list as u32);
        }
        [world.users, world.items, world.clusters, world.dim] =
            [users, items, clusters, dimensions].map(|size| size as u32);
        settled
    }

    /// Checks sizes against a world's, before there is one. Returns the number of users served.
    pub fn fits(&self, shape: &Shape) -> Result<usize, Invalid> {
        let &Shape { users, items, dimensions, list, .. } = shape;
        equals("environment.state_dim", self.environment.state_dim, shape.state(), "K + D")?;
        equals("environment.action_dim", self.environment.action_dim, dimensions, "D")?;
        let served = match self.training.users_per_round {
            Auto::Auto => users,
            Auto::Given(served) => {
                let expected = format!("at most the world's users ({users})");
                let suits = served as usize <= users;
                must_suit(suits, "training.users_per_round", served, expected, "world.users")?;
                served as usize
            }
        };
        let shown = self.recommendation.total_recommendations;
        let (key, at) = ("recommendation.total_recommendations", shown as usize);
        must_suit(at <= items, key, shown, format!("at most the world's items ({items})"), "world.items")?;
        must(at <= list, key, shown, format!("at most the length of the world's pre-trained lists ({list})"))?;
        let (key, candidates) = ("td3.candidates", self.td3.candidates);
        let expected = format!("at most the world's items ({items})");
        must_suit(candidates as usize <= items, key, candidates, expected, "world.items")?;
        if self.recommendation.similarity_metric == Similarity::Cosine {
            // The entries of a row of length 1 sum to at most this.
            self.scores_fit(libm::sqrt(dimensions as f64))?;
        }
        Ok(served)
    }

    /// Checks that no score can overflow, the magnitudes of an item's entries summing to at most `largest`.
    fn scores_fit(&self, largest: f64) -> Result<(), Invalid> {
        let max_action = self.environment.max_action;
        let expected =
            format!("small enough that no score overflows: an item's entries sum to at most {largest:e}");
        let suits = largest * max_action < f64::from(f32::MAX) / 2.0;
        must(suits, "environment.max_action", Legible(max_action), expected)
    }

    fn environment_of_users(&self) -> Environment {
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
        Environment {
            rules: Rules {
                acceptance,
                belief_increment: environment.belief_increment as f32,
                reward: reward(&self.reward),
            },
            similarity: self.recommendation.similarity_metric,
            chosen: self.recommendation.rl_list_size as usize,
            shown: self.recommendation.total_recommendations as usize,
            scale_beliefs: self.td3.scale_beliefs,
        }
    }
}

fn reward(config: &RewardConfig) -> Reward<f32> {
    Reward {
        kind: match config.kind {
            RewardKind::Potential => Kind::Potential,
            RewardKind::Seed if config.use_progressive_reward => Kind::Strict,
            RewardKind::Seed => Kind::Hybrid {
                maintenance_factor: config.maintenance_reward_factor as f32,
                exploration_bonus: config.exploration_bonus as f32,
            },
        },
        score: if config.use_combined_metric { Score::Combined } else { Score::Distance },
        scale: config.reward_scale as f32,
        max: config.max_reward as f32,
        improvement_threshold: config.improvement_threshold as f32,
    }
}

fn equals(key: &str, value: Auto, world: usize, what: &str) -> Result<(), Invalid> {
    let expected: String = format!("auto, or the world's {what} ({world})");
    let suits = match value {
        Auto::Auto => true,
        Auto::Given(size) => size as usize == world,
    };
    must(suits, key, value, expected)
}

fn absolute_sum(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x).abs()).sum()
}
