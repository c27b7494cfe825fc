//! The keys of a configuration: their names, their meanings, and where a value was given.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use recsim_core::session::config::Config;
use serde_json::{Map, Value};

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line of a file, counted from 1.
    File(PathBuf, usize),
    /// `--set`: its argument, `KEY=VALUE`.
    Set(String),
    /// A flag for this key, such as `--seed`.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Set(text) => write!(f, "--set {text}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Where the value of each key was given, by the key's path (`td3.tau`). A key without an entry has its default value.
pub(crate) type Origins = BTreeMap<String, Origin>;

/// The default configuration as JSON, by group and key.
pub(super) fn defaults() -> Map<String, Value> {
    match serde_json::to_value(Config::default()) {
        Ok(Value::Object(groups)) => groups,
        _ => unreachable!("a configuration is a struct of structs"),
    }
}

/// The paths of all keys, in the order of [`COMMENTS`].
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    COMMENTS.iter().map(|(path, _)| *path)
}

/// The known word most similar to `unknown`, and whether it is similar enough to suggest it. Returns `None` if `known`
/// is empty.
pub(crate) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<(&'a str, bool)> {
    // A name without a group is compared with the names of the keys.
    let similarity = |word: &str| {
        let name = word.split_once('.').filter(|_| !unknown.contains('.')).map_or(word, |(_, name)| name);
        strsim::jaro_winkler(unknown, name)
    };
    known.max_by_key(|word| (similarity(word) * 1e6) as u64).map(|word| (word, similarity(word) > 0.7))
}

/// What each group configures.
pub(super) const GROUPS: [(&str, &str); 7] = [
    ("training", "extent of the experiment"),
    ("td3", "the TD3 agent"),
    ("environment", "state, action and the response of users"),
    ("recommendation", "the slate"),
    ("reward", "the reward of a user-step"),
    ("experiment", "seed, device and output"),
    ("world", "the world: a folder, or the size of the built-in one"),
];

/// Meaning, unit and range of each key, in the order in which they are printed. CleanRL's name follows, if it has one.
pub(super) const COMMENTS: &[(&str, &str)] = &[
    ("training.episodes", "episodes, each from the users' initial beliefs; at least 1"),
    ("training.rounds_per_episode", "rounds in an episode, one slate per user in each; at least 1"),
    ("training.users_per_round", "users that are served: auto is all, N is the first N of the world"),
    ("training.batch_size", "users that a backend serves at a time; at least 1; changes no result"),
    (
        "training.warmup_transitions",
        "transitions before training starts; at most td3.buffer_size (CleanRL: learning_starts)",
    ),
    (
        "training.train_frequency",
        "rounds from one training session to the next; at least 1 (CleanRL: train_frequency)",
    ),
    ("td3.discount", "discount factor per round, 0 to 1 (CleanRL: gamma)"),
    ("td3.tau", "rate of the soft update of target networks, above 0 to 1 (CleanRL: tau)"),
    (
        "td3.policy_noise",
        "standard deviation of the noise on target actions, in units of max_action (CleanRL: policy_noise)",
    ),
    ("td3.noise_clip", "that noise is clipped to +-noise_clip, in units of max_action (CleanRL: noise_clip)"),
    (
        "td3.policy_freq",
        "every N-th update also updates the actor and the targets; at least 1 (CleanRL: policy_frequency)",
    ),
    ("td3.batch_size", "transitions in a minibatch; at least 1, with batch_norm 2 (CleanRL: batch_size)"),
    ("td3.learning_rate", "learning rate of Adam, for actor and critics; above 0 (CleanRL: learning_rate)"),
    ("td3.gradient_steps", "updates in a training session; 0: no training"),
    (
        "td3.exploration_noise",
        "standard deviation of the action's noise, in units of max_action (CleanRL: exploration_noise)",
    ),
    ("td3.item_epsilon", "share of users per round whose action is replaced by one toward a random item, 0 to 1"),
    (
        "td3.candidates",
        "nearest items that the first critic compares with the action (Wolpertinger); 0: no re-ranking",
    ),
    ("td3.normalize_beliefs", "whether networks see beliefs divided by their targets, true or false"),
    ("td3.buffer_size", "capacity of the replay buffer in transitions; at least 1 (CleanRL: buffer_size)"),
    (
        "td3.max_grad_norm",
        "maximum global norm of a gradient, above 0; longer ones are scaled down (CleanRL: max_grad_norm)",
    ),
    (
        "td3.action_l2",
        "weight of the mean squared action in the actor's loss, against saturation of tanh; at least 0",
    ),
    ("td3.hidden_sizes", "units of each hidden layer, for actor and critics; at most 16 layers of 1 to 65536"),
    ("td3.batch_norm", "whether hidden layers have batch normalization, true or false"),
    ("td3.dropout", "dropout probability of hidden units while training, 0 to below 1"),
    ("environment.state_dim", "size of a state: auto, or the world's clusters + dimensions"),
    ("environment.action_dim", "size of an action: auto, or the world's dimensions"),
    ("environment.max_action", "components of an action lie in +-max_action; above 0"),
    ("environment.user_acceptance_rate", "acceptance probability if use_intelligent_acceptance is false, 0 to 1"),
    ("environment.use_intelligent_acceptance", "whether acceptance depends on belief and distance, true or false"),
    ("environment.sigmoid_scale", "factor of a belief in the sigmoid; at least 0"),
    ("environment.baseline_acceptance_rate", "acceptance probability at max_cluster_distance and beyond, 0 to 1"),
    (
        "environment.max_cluster_distance",
        "item distance at which only the baseline is left, in the world's unit; above 0",
    ),
    (
        "environment.belief_increment",
        "rise of the belief in a cluster per accepted item, as a share of the catalogue, 0 to 1",
    ),
    ("recommendation.rl_list_size", "items of a slate that the action selects; at least 1"),
    (
        "recommendation.total_recommendations",
        "items of a slate; the user's pre-trained list fills the rest; at least rl_list_size",
    ),
    ("recommendation.similarity_metric", "similarity of items to the action: cosine or dot"),
    ("reward.max_reward", "rewards are clipped to +-max_reward; above 0"),
    ("reward.improvement_threshold", "rise of the score that counts as an improvement; at least 0"),
    (
        "reward.use_progressive_reward",
        "true: pay improvements only; false: also pay for a score that is maintained",
    ),
    ("reward.maintenance_reward_factor", "reward for a maintained score, per unit of the score"),
    ("reward.exploration_bonus", "added to the reward of an improvement by the threshold or more"),
    (
        "reward.use_combined_metric",
        "true: score is engagement * alignment; false: 1 - distance / (sum of the target)",
    ),
    ("reward.kind", "shaped, or potential: the fall of the distance, which telescopes over an episode"),
    ("reward.reward_scale", "reward per unit of distance; at least 0"),
    ("experiment.seed", "seed of all random draws of the run, 0 to 2^64 - 1 (CleanRL: seed)"),
    ("experiment.backend", "cpu, cuda or reference (CleanRL: cuda)"),
    ("experiment.threads", "CPU threads: auto is one per core, or 1 to 1024; changes no result"),
    (
        "experiment.instruction_set",
        "of the cpu backend: auto, amx, avx512, avx2, neon or portable; each gives the same bits on any machine",
    ),
    ("experiment.precision", "of matrix products on cuda: float32, tf32 or bf16"),
    (
        "experiment.checkpoint_every",
        "rounds from one checkpoint to the next; auto: an episode; 0: only when interrupted",
    ),
    ("experiment.output", "folder for the results; auto: runs/DATE-SEED, in UTC"),
    ("world.path", "folder of a world; auto: the built-in synthetic world, with the sizes below"),
    ("world.users", "users of the built-in world; at least 1"),
    ("world.items", "items of the built-in world; at least 1"),
    ("world.clusters", "clusters of items; 1 to world.items"),
    ("world.dimensions", "dimensions of the embeddings; at least 1"),
    (
        "world.pretrained_len",
        "length of pre-trained lists: auto is twice total_recommendations; at most world.items",
    ),
    ("world.seed", "seed of the built-in world, independent of experiment.seed"),
];
