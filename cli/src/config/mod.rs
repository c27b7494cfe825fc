//! The configuration: defaults, then a file, then `--set`, then flags. Every error names where the value was given.

mod keys;
mod print;
mod renamed;
mod yaml;

pub(crate) use keys::{Origin, nearest};
pub(crate) use print::{annotated, plain};

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use recsim_core::session::config::{Config, InvalidConfig};
use serde_json::{Map, Value};

use crate::error::BadInput;
use crate::output::note;
use keys::{Origins, defaults, paths};
use yaml::{Data, Node, YamlError};

/// A configuration, and where each of its values was given.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    origins: Origins,
}

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// A YAML file.
    pub(crate) file: Option<PathBuf>,
    /// Whether a warning is printed for every old name in `file`. False for the stored settings of a run.
    pub(crate) warns_of_old_names: bool,
    /// `key=value`; a later one overrides an earlier one.
    pub(crate) sets: Vec<String>,
    /// Key, flag and value; they override `sets`.
    pub(crate) flags: Vec<(&'static str, &'static str, Value)>,
    /// `--users`: the number of users of the built-in world, or how many of the first users of another world are
    /// served.
    pub(crate) users: Option<u32>,
}

impl Settings {
    /// Merges the defaults, the file, `--set` and the flags, and checks everything that needs no world.
    ///
    /// # Errors
    /// If the file cannot be read, a key is unknown, or a value is impossible.
    pub(crate) fn load(overrides: &Overrides) -> Result<Self, BadInput> {
        let mut builder = SettingsBuilder { groups: defaults(), origins: Origins::new() };
        if let Some(path) = &overrides.file {
            builder.file(path, overrides.warns_of_old_names)?;
        }
        for text in &overrides.sets {
            builder.set(text)?;
        }
        for (key, flag, value) in &overrides.flags {
            builder.put(key, value.clone(), Origin::Flag(flag));
        }
        if let Some(users) = overrides.users {
            if builder.value("world.path") == Some(&Value::from(AUTO)) {
                builder.put("world.users", users.into(), Origin::Flag("--users"));
            }
            builder.put("training.users_per_round", users.into(), Origin::Flag("--users"));
        }
        let settings = builder.finish()?;
        settings.check_world_keys()?;
        settings.config.check().map_err(|invalid| settings.refuse(&invalid))?;
        Ok(settings)
    }

    /// Refuses a size of the built-in world given with `--set` if `world.path` names another world. A file may contain
    /// such sizes: the stored settings of a run contain the sizes of its world.
    fn check_world_keys(&self) -> Result<(), BadInput> {
        let is_size_set = |(key, origin): &(&String, &Origin)| {
            key.starts_with("world.") && *key != "world.path" && matches!(origin, Origin::Set(_))
        };
        match self.origins.iter().find(is_size_set) {
            Some((key, origin)) if self.config.world.path != AUTO => {
                let problem = format!("`{key}` describes the built-in world, and `world.path` names another world");
                Err(BadInput::new(origin, problem, "leave out one of the two"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the file, `--set` or a flag gives this key a value.
    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    /// The error for an invalid value, with the location where it was given.
    pub(crate) fn refuse(&self, invalid: &InvalidConfig) -> BadInput {
        // Of two values that contradict each other, the wrong one is more likely the one that the user gave.
        let key = match invalid.related_key {
            Some(other) if !self.is_given(&invalid.key) && self.is_given(other) => other,
            _ => &invalid.key,
        };
        BadInput::new(self.location(key), invalid, self.remedy(key))
    }

    /// The same for a value that contradicts a world in a folder. Either the value or the world may be wrong.
    pub(crate) fn refuse_for_world(&self, invalid: &InvalidConfig) -> BadInput {
        let world = &self.config.world.path;
        let location = match self.origins.get(&invalid.key) {
            Some(origin) => format!("{origin}, with the world in {world}"),
            None => format!("{world}: the default of `{}` does not fit this world", invalid.key),
        };
        BadInput::new(location, invalid, format!("{}, or another world", self.remedy(&invalid.key)))
    }

    /// The error for the value of `key`, with the caller's description of the problem.
    pub(crate) fn refuse_value(&self, key: &str, problem: impl Display) -> BadInput {
        BadInput::new(self.location(key), problem, self.remedy(key))
    }

    fn location(&self, key: &str) -> String {
        self.origins.get(key).map_or_else(|| format!("default of `{key}`"), ToString::to_string)
    }

    fn remedy(&self, key: &str) -> String {
        match self.origins.get(key) {
            Some(Origin::File(..)) => format!("correct `{key}` there, or override it with --set {key}=VALUE"),
            Some(Origin::Set(_) | Origin::Flag(_)) => "give another value".to_owned(),
            None => format!("give another value with --set {key}=VALUE"),
        }
    }
}

/// The current path of a key given on the command line after `flag`. Prints a warning if `key` is an old name.
pub(crate) fn current_key(flag: &str, key: &str) -> String {
    match renamed::current_name(key) {
        Some(new) => {
            warn_of_old_name(format_args!("{flag} {key}"), key, new);
            new.to_owned()
        }
        None => key.to_owned(),
    }
}

/// A configuration that is being assembled, by group and key.
struct SettingsBuilder {
    groups: Map<String, Value>,
    origins: Origins,
}

impl SettingsBuilder {
    fn file(&mut self, path: &Path, warns_of_old_names: bool) -> Result<(), BadInput> {
        let text = read(path)?;
        let at = |line| format!("{}:{line}", path.display());
        let root = yaml::parse(&text).map_err(|error| refuse_yaml(&error, at(error.line)))?;
        for (group, line, node) in entries(root, &at, "the file")? {
            if !self.groups.contains_key(&group) {
                // It may be a key outside of its group.
                if paths().any(|path| path.split('.').nth(1) == Some(&group)) {
                    return Err(unknown_key(&at(line), &group));
                }
                return Err(unknown(&at(line), "group", &group, self.groups.keys().map(String::as_str)));
            }
            // The name and line of each key of this group, by its current path.
            let mut given = HashMap::new();
            for (key, line, node) in entries(Some(node), &at, &format!("`{group}`"))? {
                let name = format!("{group}.{key}");
                let key = renamed::current_name(&name).map_or_else(|| name.clone(), str::to_owned);
                if self.value(&key).is_none() {
                    return Err(unknown_key(&at(line), &name));
                }
                let Data::Value(value) = node.data else {
                    let problem = format!("`{name}` contains keys, and must be one value");
                    return Err(BadInput::new(at(line), problem, "give it one value"));
                };
                if let Some((other, first)) = given.insert(key.clone(), (name.clone(), line)) {
                    let problem = format!("`{name}` and `{other}` on line {first} are the same setting");
                    return Err(BadInput::new(at(line), problem, format!("keep only `{key}`")));
                }
                self.put_named(&name, value, Origin::File(path.to_owned(), line), warns_of_old_names);
            }
        }
        Ok(())
    }

    fn set(&mut self, text: &str) -> Result<(), BadInput> {
        let origin = Origin::Set(text.to_owned());
        let location = origin.to_string();
        let Some((name, value)) = text.split_once('=') else {
            let remedy = "write it as KEY=VALUE, such as td3.tau=0.01";
            return Err(BadInput::new(location, "there is no `=`", remedy));
        };
        let name = name.trim();
        if self.value(renamed::current_name(name).unwrap_or(name)).is_none() {
            return Err(unknown_key(&location, name));
        }
        let node = yaml::parse(value).map_err(|error| refuse_yaml(&error, location.clone()))?;
        match node.map(|node| node.data) {
            Some(Data::Value(value)) => self.put_named(name, value, origin, true),
            _ => return Err(BadInput::new(location, format!("`{name}` is given no value"), "write KEY=VALUE")),
        }
        Ok(())
    }

    /// The value at a path, or `None` if the path is not a key's.
    fn value(&self, key: &str) -> Option<&Value> {
        let (group, key) = key.split_once('.')?;
        self.groups.get(group)?.get(key)
    }

    /// Sets a key that is named by its current path or by an old one, and replaces a value that was renamed.
    fn put_named(&mut self, name: &str, value: Value, origin: Origin, warns_of_old_names: bool) {
        let warn = |old: &str, new: &str| {
            if warns_of_old_names {
                warn_of_old_name(&origin, old, new);
            }
        };
        let key = renamed::current_name(name).unwrap_or(name);
        if key != name {
            warn(name, key);
        }
        let old = format!("{key}: {}", value.as_str().unwrap_or_default());
        let value = match renamed::current_name(&old) {
            Some(new) => {
                warn(&old, new);
                new.split_once(": ").map_or(new, |(_, value)| value).into()
            }
            None => value,
        };
        self.put(key, value, origin);
    }

    fn put(&mut self, key: &str, value: Value, origin: Origin) {
        let entry = key.split_once('.').and_then(|(group, key)| self.groups.get_mut(group)?.get_mut(key));
        *entry.expect("callers pass the path of a key") = value;
        self.origins.insert(key.to_owned(), origin);
    }

    fn finish(self) -> Result<Settings, BadInput> {
        let Self { groups, origins } = self;
        match serde_path_to_error::deserialize(Value::Object(groups.clone())) {
            Ok(config) => Ok(Settings { config, origins }),
            Err(error) => {
                let path = error.path().to_string();
                let key = path.split('[').next().unwrap_or_default().to_owned();
                let message = error.inner().to_string();
                let expected = message.rsplit_once("expected ").map_or(&*message, |(_, expected)| expected);
                let builder = Self { groups, origins: Origins::new() };
                let actual = builder.value(&key).map_or_else(|| "nothing".to_owned(), ToString::to_string);
                let settings = Settings { config: Config::default(), origins };
                // An error in an element of a list is reported for the whole list.
                let expected = if key == path { expected } else { "a sequence" };
                let problem = format!("`{key}` is {actual}, and must be {}", in_words(&key, expected));
                Err(settings.refuse_value(&key, problem))
            }
        }
    }
}

fn warn_of_old_name(location: impl Display, old: &str, new: &str) {
    note(&format!("warning: {location}: `{old}` is now `{new}`"));
}

fn read(path: &Path) -> Result<String, BadInput> {
    let location = || path.display();
    let mut bytes = Vec::new();
    // A device reports no length and may be endless.
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes));
    read.map_err(|error| BadInput::new(location(), error, "give the path of a YAML file"))?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        let problem = format!("a file of more than {MAX_FILE_LEN} bytes is not a configuration");
        return Err(BadInput::new(location(), problem, LIST_KEYS));
    }
    let text = String::from_utf8(bytes);
    text.map_err(|_| BadInput::new(location(), "the file is not UTF-8 text", "save the file as UTF-8"))
}

/// The entries of a mapping: key, line and node. An empty document and a null value have no entries.
fn entries(
    node: Option<Node>,
    at: &impl Fn(usize) -> String,
    what: &str,
) -> Result<Vec<(String, usize, Node)>, BadInput> {
    match node {
        None | Some(Node { data: Data::Value(Value::Null), .. }) => Ok(Vec::new()),
        Some(Node { data: Data::Mapping(entries), .. }) => Ok(entries),
        Some(Node { data: Data::Value(value), line }) => {
            Err(BadInput::new(at(line), format!("{what} is {value}, and must contain keys"), LIST_KEYS))
        }
    }
}

fn refuse_yaml(error: &YamlError, location: String) -> BadInput {
    BadInput::new(location, &error.problem, LIST_KEYS)
}

fn unknown_key(location: &str, path: &str) -> BadInput {
    let Some((group, name)) = path.split_once('.') else {
        return unknown(location, "key", path, paths());
    };
    let siblings: Vec<&str> = paths().filter(|known| known.split('.').next() == Some(group)).collect();
    // A key of this name in another group is the best suggestion.
    let elsewhere = paths().find(|known| known.split('.').nth(1) == Some(name));
    match elsewhere {
        Some(known) => unknown(location, "key", path, [known].into_iter()),
        None if siblings.is_empty() => unknown(location, "key", path, paths()),
        None => unknown(location, "key", path, siblings.into_iter()),
    }
}

fn unknown<'a>(location: &str, what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> BadInput {
    let remedy = match nearest(name, known) {
        Some((word, true)) => format!("did you mean `{word}`?"),
        Some((word, false)) => format!("the nearest is `{word}`; {LIST_KEYS}"),
        None => LIST_KEYS.to_owned(),
    };
    BadInput::new(location, format!("there is no {what} `{name}`"), remedy)
}

/// What serde expects for `key`, in words that do not assume knowledge of Rust's types. Old names of values are left out.
fn in_words(key: &str, expected: &str) -> String {
    if let Some(values) = expected.strip_prefix("one of ") {
        let is_current =
            |value: &&str| renamed::current_name(&format!("{key}: {}", value.trim_matches('`'))).is_none();
        return values.split(", ").filter(is_current).collect::<Vec<_>>().join(" or ");
    }
    let words = match expected {
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number from 0 to 18446744073709551615",
        "f64" => "a finite number",
        "a boolean" => "true or false",
        "a string" => "a word (a number in quotes)",
        "a sequence" => "a list of whole numbers, such as [512, 512, 256]",
        other => other,
    };
    words.to_owned()
}

/// The value of a path that is not given.
pub(crate) const AUTO: &str = "auto";
const LIST_KEYS: &str = "`recsim config` prints all keys";
/// In bytes.
const MAX_FILE_LEN: u64 = 1 << 20;
