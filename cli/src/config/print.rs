//! Writes a configuration as YAML.

use recsim_core::session::config::Config;
use serde_json::Value;

use super::keys::{COMMENTS, GROUPS};

/// All keys with their values, each with a comment.
pub(crate) fn annotated(config: &Config) -> String {
    let widest = lines(config).filter_map(|(_, line)| line.map(|(text, _)| text.len())).max().unwrap_or(0);
    write(config, |text, comment| format!("{text:widest$}  # {comment}"))
}

/// All keys with their values.
pub(crate) fn plain(config: &Config) -> String {
    write(config, |text, _| text.to_owned())
}

fn write(config: &Config, line_of: impl Fn(&str, &str) -> String) -> String {
    let mut out = String::new();
    for (group, line) in lines(config) {
        match line {
            None => {
                let about = GROUPS.iter().find(|(name, _)| *name == group).map_or("", |(_, about)| about);
                let gap = if out.is_empty() { "" } else { "\n" };
                out.push_str(&format!("{gap}{group}:  # {about}\n"));
            }
            Some((text, comment)) => {
                out.push_str(&line_of(&text, comment));
                out.push('\n');
            }
        }
    }
    out
}

/// For each group a line without text, then for each of its keys the line `key: value` and the comment.
fn lines(config: &Config) -> impl Iterator<Item = (&'static str, Option<(String, &'static str)>)> {
    let values = serde_json::to_value(config).unwrap_or_default();
    GROUPS.iter().flat_map(move |(group, _)| {
        let values = values[group].clone();
        let keys = COMMENTS.iter().filter_map(move |(path, comment)| {
            let key = path.strip_prefix(group)?.strip_prefix('.')?;
            Some((*group, Some((format!("  {key}: {}", scalar(&values[key])), *comment))))
        });
        [(*group, None)].into_iter().chain(keys)
    })
}

/// A value as YAML. JSON's scalars and lists are YAML already; a word that needs no quotes is written without them.
fn scalar(value: &Value) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    match value {
        Value::String(text)
            if text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
                && text.chars().all(bare)
                // YAML 1.1 reads all of these but `null` as truth values.
                && !matches!(
                    &*text.to_ascii_lowercase(),
                    "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
                ) =>
        {
            text.clone()
        }
        Value::Array(items) => format!("[{}]", items.iter().map(scalar).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{defaults, paths};
    use super::super::{Overrides, Settings};
    use super::*;

    #[test]
    fn comments_match_the_keys() {
        let mut keys: Vec<String> = defaults()
            .iter()
            .flat_map(|(group, keys)| keys.as_object().unwrap().keys().map(move |key| format!("{group}.{key}")))
            .collect();
        keys.sort();
        let mut commented: Vec<&str> = paths().collect();
        commented.sort_unstable();
        assert_eq!(commented, keys);
        assert!(COMMENTS.iter().all(|(_, comment)| !comment.is_empty()));
    }

    #[test]
    fn printed_settings_parse_back() {
        let mut config = Config::default();
        config.experiment.seed = u64::MAX;
        config.td3.hidden_sizes = vec![7, 9];
        config.td3.learning_rate = 3.3e-7;
        for words in ["auto", "runs/1", "a: b # c", "true", "12", "\"quoted\"", "ünï", "line\nbreak", ""] {
            config.experiment.output = words.into();
            for text in [annotated(&config), plain(&config)] {
                let file = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(file.path(), &text).unwrap();
                let overrides = Overrides { file: Some(file.path().to_owned()), ..Overrides::default() };
                assert_eq!(Settings::load(&overrides).unwrap().config, config, "{text}");
            }
        }
    }
}
