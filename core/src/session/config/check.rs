//! The ranges of all values, key by key, and the relations between keys.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Display};

use super::{Auto, Config};

/// A value of the configuration that is out of its range. The message reads "`td3.tau` is 2, and must be above 0 and at
/// most 1".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidConfig {
    /// The key's path, such as `td3.tau`.
    pub key: String,
    /// The value, as text.
    pub actual: String,
    /// The allowed values, in words that follow "must be".
    pub expected: String,
    /// The key that the value contradicts, if there is one. Its value may be the wrong one.
    pub related_key: Option<&'static str>,
}

impl core::error::Error for InvalidConfig {}

impl Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}, and must be {}", self.key, self.actual, self.expected)
    }
}

/// Checks one value. `expected` follows "must be".
///
/// # Errors
/// `is_valid` is false.
pub(super) fn require(
    is_valid: bool,
    key: &str,
    actual: impl Display,
    expected: impl Display,
) -> Result<(), InvalidConfig> {
    if is_valid {
        Ok(())
    } else {
        let (key, actual, expected) = (key.to_string(), actual.to_string(), expected.to_string());
        Err(InvalidConfig { key, actual, expected, related_key: None })
    }
}

/// As [`require`], for a value that must suit the one of `related_key`.
///
/// # Errors
/// `is_valid` is false.
pub(super) fn require_with(
    is_valid: bool,
    key: &str,
    actual: impl Display,
    expected: impl Display,
    related_key: &'static str,
) -> Result<(), InvalidConfig> {
    require(is_valid, key, actual, expected)
        .map_err(|invalid| InvalidConfig { related_key: Some(related_key), ..invalid })
}

/// Checks everything that does not depend on the world.
///
/// # Errors
/// The first value that is out of its range or contradicts another key.
pub(super) fn check(config: &Config) -> Result<(), InvalidConfig> {
    td3(config)?;
    training(config)?;
    environment(config)?;
    noise(config)?;
    recommendation_and_reward(config)?;
    experiment(config)?;
    world(config)
}

fn training(config: &Config) -> Result<(), InvalidConfig> {
    let training = &config.training;
    at_least_1("training.episodes", training.episodes)?;
    at_least_1("training.rounds_per_episode", training.rounds_per_episode)?;
    at_least_1("training.batch_size", training.batch_size)?;
    at_least_1("training.train_frequency", training.train_frequency)?;
    if let Auto::Given(users) = training.users_per_round {
        at_least_1("training.users_per_round", users)?;
    }
    let buffer_size = config.td3.buffer_size;
    require_with(
        training.warmup_transitions <= buffer_size,
        "training.warmup_transitions",
        training.warmup_transitions,
        format!("at most `td3.buffer_size` ({buffer_size}), or training would never start"),
        "td3.buffer_size",
    )
}

fn td3(config: &Config) -> Result<(), InvalidConfig> {
    let td3 = &config.td3;
    within("td3.discount", td3.discount, 0.0, 1.0)?;
    let tau = f64::from(f32::MIN_POSITIVE)..=1.0;
    require(tau.contains(&td3.tau), "td3.tau", Readable(td3.tau), "above 0 and at most 1")?;
    not_negative("td3.policy_noise", td3.policy_noise)?;
    not_negative("td3.noise_clip", td3.noise_clip)?;
    not_negative("td3.exploration_noise", td3.exploration_noise)?;
    within("td3.item_epsilon", td3.item_epsilon, 0.0, 1.0)?;
    not_negative("td3.action_l2", td3.action_l2)?;
    positive("td3.learning_rate", td3.learning_rate)?;
    positive("td3.max_grad_norm", td3.max_grad_norm)?;
    at_least_1("td3.policy_freq", td3.policy_freq)?;
    at_least_1("td3.batch_size", td3.batch_size)?;
    require_with(
        !td3.batch_norm || td3.batch_size > 1,
        "td3.batch_size",
        td3.batch_size,
        "at least 2 while `td3.batch_norm` is true: one row has no variance",
        "td3.batch_norm",
    )?;
    let buffer_size = td3.buffer_size;
    require((1..=MAX_TRANSITIONS).contains(&buffer_size), "td3.buffer_size", buffer_size, "from 1 to 4294967295")?;
    let hidden_sizes = format!("{:?}", td3.hidden_sizes);
    require(
        td3.hidden_sizes.len() <= 16 && td3.hidden_sizes.iter().all(|width| (1..=65_536).contains(width)),
        "td3.hidden_sizes",
        hidden_sizes,
        "at most 16 widths, each from 1 to 65536",
    )?;
    require((0.0..1.0).contains(&td3.dropout), "td3.dropout", Readable(td3.dropout), "at least 0 and below 1")
}

fn environment(config: &Config) -> Result<(), InvalidConfig> {
    let environment = &config.environment;
    positive("environment.max_action", environment.max_action)?;
    within("environment.user_acceptance_rate", environment.user_acceptance_rate, 0.0, 1.0)?;
    within("environment.baseline_acceptance_rate", environment.baseline_acceptance_rate, 0.0, 1.0)?;
    not_negative("environment.sigmoid_scale", environment.sigmoid_scale)?;
    positive("environment.max_cluster_distance", environment.max_cluster_distance)?;
    within("environment.belief_increment", environment.belief_increment, 0.0, 1.0)
}

/// Noise must also be finite in the action's units: infinity times a draw of 0 would be NaN.
fn noise(config: &Config) -> Result<(), InvalidConfig> {
    let (td3, max_action) = (&config.td3, config.environment.max_action);
    let expected =
        format!("a finite float32 when multiplied by `environment.max_action` ({})", Readable(max_action));
    [
        ("td3.policy_noise", td3.policy_noise),
        ("td3.noise_clip", td3.noise_clip),
        ("td3.exploration_noise", td3.exploration_noise),
    ]
    .into_iter()
    .try_for_each(|(key, value)| {
        require_with(value * max_action <= F32_MAX, key, Readable(value), &expected, "environment.max_action")
    })
}

fn recommendation_and_reward(config: &Config) -> Result<(), InvalidConfig> {
    let slate = &config.recommendation;
    at_least_1("recommendation.rl_list_size", slate.rl_list_size)?;
    require_with(
        slate.total_recommendations >= slate.rl_list_size,
        "recommendation.total_recommendations",
        slate.total_recommendations,
        format!("at least `recommendation.rl_list_size` ({})", slate.rl_list_size),
        "recommendation.rl_list_size",
    )?;
    let reward = &config.reward;
    positive("reward.max_reward", reward.max_reward)?;
    not_negative("reward.improvement_threshold", reward.improvement_threshold)?;
    not_negative("reward.reward_scale", reward.reward_scale)?;
    finite("reward.maintenance_reward_factor", reward.maintenance_reward_factor)?;
    finite("reward.exploration_bonus", reward.exploration_bonus)
}

fn experiment(config: &Config) -> Result<(), InvalidConfig> {
    let experiment = &config.experiment;
    if let Auto::Given(threads) = experiment.threads {
        let expected = format!("auto, or from 1 to {MAX_THREADS}");
        require((1..=MAX_THREADS).contains(&threads), "experiment.threads", threads, expected)?;
    }
    let instruction_set = &*experiment.instruction_set;
    require(
        INSTRUCTION_SETS.contains(&instruction_set),
        "experiment.instruction_set",
        instruction_set,
        "auto, amx, avx512, avx2, neon or portable",
    )?;
    let precision = &*experiment.precision;
    require(PRECISIONS.contains(&precision), "experiment.precision", precision, "float32, tf32 or bf16")
}

fn world(config: &Config) -> Result<(), InvalidConfig> {
    let world = &config.world;
    at_least_1("world.users", world.users)?;
    at_least_1("world.items", world.items)?;
    at_least_1("world.clusters", world.clusters)?;
    at_least_1("world.dimensions", world.dimensions)?;
    require_with(
        world.clusters <= world.items,
        "world.clusters",
        world.clusters,
        format!("at most `world.items` ({})", world.items),
        "world.items",
    )?;
    let Auto::Given(pretrained_len) = world.pretrained_len else { return Ok(()) };
    let expected = format!("from 1 to `world.items` ({})", world.items);
    require_with(
        (1..=world.items).contains(&pretrained_len),
        "world.pretrained_len",
        pretrained_len,
        expected,
        "world.items",
    )?;
    let total = config.recommendation.total_recommendations;
    let expected = format!("at least `recommendation.total_recommendations` ({total})");
    let is_valid = world.path != "auto" || pretrained_len >= total;
    require_with(is_valid, "world.pretrained_len", pretrained_len, expected, "recommendation.total_recommendations")
}

fn at_least_1(key: &str, value: u32) -> Result<(), InvalidConfig> {
    require(value >= 1, key, value, "at least 1")
}

fn within(key: &str, value: f64, low: f64, high: f64) -> Result<(), InvalidConfig> {
    require((low..=high).contains(&value), key, Readable(value), format!("from {low} to {high}"))
}

fn positive(key: &str, value: f64) -> Result<(), InvalidConfig> {
    // A smaller float32 is subnormal, and dividing by it can overflow.
    let is_valid = value >= f64::from(f32::MIN_POSITIVE) && value <= F32_MAX;
    require(is_valid, key, Readable(value), format!("from {:e} to {F32_MAX:e}", f32::MIN_POSITIVE))
}

fn not_negative(key: &str, value: f64) -> Result<(), InvalidConfig> {
    require((0.0..=F32_MAX).contains(&value), key, Readable(value), "at least 0 and a finite float32")
}

fn finite(key: &str, value: f64) -> Result<(), InvalidConfig> {
    require((-F32_MAX..=F32_MAX).contains(&value), key, Readable(value), "a finite float32")
}

/// A number in scientific notation if its decimal form would be long.
pub(super) struct Readable(pub(super) f64);

impl Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        if number == 0.0 || (1e-4..1e9).contains(&number.abs()) { number.fmt(f) } else { write!(f, "{number:e}") }
    }
}

const MAX_THREADS: u32 = 1024;
const PRECISIONS: [&str; 3] = ["float32", "tf32", "bf16"];
const INSTRUCTION_SETS: [&str; 6] = ["auto", "amx", "avx512", "avx2", "neon", "portable"];
const F32_MAX: f64 = f32::MAX as f64;
/// Backends store a transition's index as `u32`.
const MAX_TRANSITIONS: u64 = u32::MAX as u64;
