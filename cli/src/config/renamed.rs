//! Keys and values that were renamed after version 0.1.0. The old names are still read.

/// The current name of a key or value that was renamed, or `None` if `name` is not an old name. A key is named by its
/// path (`td3.hidden`), a value by the key's path and itself (`reward.kind: seed`).
pub(super) fn current_name(name: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == name).map(|(_, new)| *new)
}

/// Old and new names. `CHANGELOG.md` has the same rows.
const RENAMED: [(&str, &str); 9] = [
    ("td3.exploration_items", "td3.item_epsilon"),
    ("td3.scale_beliefs", "td3.normalize_beliefs"),
    ("td3.replay_capacity", "td3.buffer_size"),
    ("td3.grad_clip_norm", "td3.max_grad_norm"),
    ("td3.hidden", "td3.hidden_sizes"),
    ("reward.kind: seed", "reward.kind: shaped"),
    ("experiment.isa", "experiment.instruction_set"),
    ("world.dim", "world.dimensions"),
    ("world.list", "world.pretrained_len"),
];

#[cfg(test)]
mod tests {
    use recsim_core::session::config::Config;
    use serde_json::json;

    use super::super::keys::{defaults, paths};
    use super::*;

    #[test]
    fn renamed_keys_are_read_from_json_too() {
        for (old, new) in RENAMED.into_iter().filter(|(old, _)| !old.contains(": ")) {
            assert!(paths().any(|path| path == new) && !paths().any(|path| path == old), "{old}");
            let (group, new_key) = new.split_once('.').unwrap();
            let (_, old_key) = old.split_once('.').unwrap();
            let value = &defaults()[group][new_key];
            let [read, expected] = [old_key, new_key].map(|key| {
                serde_json::from_value::<Config>(json!({ group: { key: value } }))
                    .unwrap_or_else(|error| panic!("{error}"))
            });
            assert_eq!(read, expected, "{old}");
        }
    }
}
