//! Which settings a resumed run may change.

use recsim_core::session::config::Config;
use serde_json::Value;

use crate::config::{AUTO, Settings};
use crate::error::BadInput;

/// The settings that differ from `old`, as `key: old -> new`, without those that change no result. `accepted` are
/// changes that were allowed when the run was resumed since its last checkpoint.
///
/// # Errors
/// If a key in [`FIXED`] differs, if another key differs that is neither in `allowed` nor in `accepted`, or if
/// `allowed` names an unknown key.
pub(super) fn check(
    old: &Config,
    settings: &Settings,
    allowed: &[String],
    accepted: &[String],
) -> Result<Vec<String>, BadInput> {
    let (old, new) = (flatten(old), flatten(&settings.config));
    if let Some(unknown) = allowed.iter().find(|key| !old.iter().any(|(known, _)| known == *key)) {
        let problem = format!("there is no setting `{unknown}`");
        return Err(BadInput::new("--allow-config-change", problem, "`recsim config` names them all"));
    }
    let mut changes = Vec::new();
    for ((key, old), (_, new)) in old.iter().zip(&new).filter(|(old, new)| old.1 != new.1) {
        // An automatic size resolves to the old one, or the session refuses the checkpoint's state.
        if FREE.contains(&&**key) || *new == AUTO {
            continue;
        }
        if FIXED.iter().any(|fixed| key.starts_with(fixed)) {
            let problem =
                format!("`{key}` is {new}, and the run was started with {old}: it cannot change in a run");
            return Err(settings.refuse_value(key, problem));
        }
        let change = format!("{key}: {old} -> {new}");
        if !allowed.contains(key) && !accepted.contains(&change) {
            let refused =
                settings.refuse_value(key, format!("`{key}` is {new}, and the run was started with {old}"));
            let remedy = format!("leave it at {old}; or add --allow-config-change {key} to resume as another run");
            return Err(BadInput { remedy, ..refused });
        }
        changes.push(change);
    }
    Ok(changes)
}

/// Every key with its value.
fn flatten(config: &Config) -> Vec<(String, Value)> {
    let groups = serde_json::to_value(config).ok();
    let groups = groups.as_ref().and_then(Value::as_object).expect("a configuration is a struct of structs");
    let keys = groups.iter().flat_map(|(group, keys)| {
        let keys = keys.as_object().expect("a configuration is a struct of structs");
        keys.iter().map(move |(key, value)| (format!("{group}.{key}"), value.clone()))
    });
    keys.collect()
}

/// Keys that change no result, or only how many episodes the run has. (The world may have moved: its checksum is
/// compared.)
const FREE: [&str; 9] = [
    "training.episodes",
    "training.batch_size",
    "experiment.backend",
    "experiment.threads",
    "experiment.instruction_set",
    "experiment.precision",
    "experiment.output",
    "experiment.checkpoint_every",
    "world.path",
];

/// Prefixes of keys that fix the shapes and counters of a checkpoint.
const FIXED: [&str; 9] = [
    "world.",
    "training.rounds_per_episode",
    "training.users_per_round",
    "td3.hidden_sizes",
    "td3.batch_norm",
    "td3.buffer_size",
    "environment.state_dim",
    "environment.action_dim",
    "recommendation.total_recommendations",
];
