//! Every key there is, what it means, and where its value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use recsim_core::session::config::Config;
use serde_json::{Map, Value};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line of a file, from 1.
    File(PathBuf, usize),
    /// `--set`, as it was written.
    Set(String),
    /// A flag of its own.
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

/// Where each key's value came from, by its path (`td3.tau`); a key that is not there has its default.
pub(crate) type Origins = BTreeMap<String, Origin>;

/// The default configuration as JSON: the keys there are, and their groups.
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

/// The known word nearest to `unknown`, and whether it is near enough to have been meant.
pub(crate) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<(&'a str, bool)> {
    // A key's name without its group is as good as its path.
    let like = |word: &str| {
        let name = word.split_once('.').filter(|_| !unknown.contains('.')).map_or(word, |(_, name)| name);
        strsim::jaro_winkler(unknown, name)
    };
    known.max_by_key(|word| (like(word) * 1e6) as u64).map(|word| (word, like(word) > 0.7))
}

/// What each group is about.
pub(super) const GROUPS: [(&str, &str); 7] = [
    ("training", "the experiment's extent"),
    ("td3", "the TD3 agent"),
    ("environment", "the users"),
    ("recommendation", "the slate"),
    ("reward", "what a step is worth"),
    ("experiment", "how a run is carried out"),
    ("world", "the world: a folder, or the built-in one"),
];

/// What each key means, in the order in which they are printed.
pub(super) const COMMENTS: &[(&str, &str)] = &[
    ("training.episodes", "beliefs start afresh in each episode"),
    ("training.rounds_per_episode", "every user is served once a round"),
    ("training.users_per_round", "auto: all; a number: the world's first that many"),
    ("training.batch_size", "users served at a time; changes no result"),
    ("training.warmup_transitions", "transitions the replay ring must hold before learning starts"),
    ("training.train_frequency", "learn after every that many rounds, counted through the run"),
    ("td3.discount", "what a reward one round later is worth now, 0 to 1"),
    ("td3.tau", "the share by which targets follow, above 0 to 1"),
    ("td3.policy_noise", "deviation of the target policy's noise, in units of max_action"),
    ("td3.noise_clip", "that noise is clipped to plus or minus this, in units of max_action"),
    ("td3.policy_freq", "the policy moves at every that many updates"),
    ("td3.batch_size", "transitions an update learns from"),
    ("td3.learning_rate", "Adam's step size, for all networks"),
    ("td3.gradient_steps", "updates in a learning session"),
    ("td3.exploration_noise", "deviation of the noise on actions, in units of max_action"),
    ("td3.item_epsilon", "share of users that explore an item of the catalogue instead, 0 to 1"),
    ("td3.candidates", "items near an action that the critic chooses among, the action too; 0: nobody asks it"),
    ("td3.normalize_beliefs", "whether networks see beliefs as shares of their targets"),
    ("td3.buffer_size", "transitions the replay ring holds"),
    ("td3.max_grad_norm", "gradients are scaled down to this global norm"),
    ("td3.action_l2", "weight of the mean squared action in the actor's loss: keeps tanh out of saturation"),
    ("td3.hidden_sizes", "widths of the hidden layers, of all networks"),
    ("td3.batch_norm", "whether hidden layers are batch-normalised"),
    ("td3.dropout", "share of hidden units dropped while learning, 0 to below 1"),
    ("environment.state_dim", "auto, or the world's clusters + dimensions"),
    ("environment.action_dim", "auto, or the world's dimensions"),
    ("environment.max_action", "actions lie in plus or minus this"),
    ("environment.user_acceptance_rate", "the probability where use_intelligent_acceptance is false"),
    ("environment.use_intelligent_acceptance", "whether acceptance depends on belief and distance"),
    ("environment.sigmoid_scale", "what a belief is multiplied by before the sigmoid"),
    ("environment.baseline_acceptance_rate", "the probability that even the farthest item is taken"),
    ("environment.max_cluster_distance", "the distance from which an item is taken by the baseline only"),
    ("environment.belief_increment", "what one accepted item adds to the belief in its cluster"),
    ("recommendation.rl_list_size", "items chosen by the action"),
    ("recommendation.total_recommendations", "items shown; the user's pre-trained list fills the rest"),
    ("recommendation.similarity_metric", "cosine or dot"),
    ("reward.max_reward", "rewards are clamped to plus or minus this"),
    ("reward.improvement_threshold", "the rise of the score that counts as one"),
    ("reward.use_progressive_reward", "true: improvements only"),
    ("reward.maintenance_reward_factor", "share of the score paid where a user is kept at it"),
    ("reward.exploration_bonus", "added where the score rose by the threshold"),
    ("reward.use_combined_metric", "true: score is engagement x alignment; false: 1 - distance share"),
    ("reward.kind", "seed, or potential: the distance covered, which cannot be farmed"),
    ("reward.reward_scale", "what a unit of distance is worth"),
    ("experiment.seed", "of every draw of the run"),
    ("experiment.backend", "cpu, cuda or reference"),
    ("experiment.threads", "auto: one per core; changes no result"),
    (
        "experiment.instruction_set",
        "instruction set of cpu: amx, avx512, avx2, neon, portable; on one of them a run has the same bits anywhere",
    ),
    ("experiment.precision", "of cuda's products of matrices: float32, tf32 or bf16"),
    ("experiment.checkpoint_every", "rounds between checkpoints; auto: an episode; 0: none, unless interrupted"),
    ("experiment.output", "the folder for the results; auto: runs/<date in UTC>-<seed>"),
    ("world.path", "a world's folder; auto: the built-in one, as the keys below say"),
    ("world.users", "users of the built-in world"),
    ("world.items", "its items"),
    ("world.clusters", "its clusters"),
    ("world.dimensions", "dimensions of its embeddings"),
    ("world.pretrained_len", "length of its pre-trained lists; auto: twice total_recommendations"),
    ("world.seed", "its own seed, apart from the run's"),
];
