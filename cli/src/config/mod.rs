//! The configuration: defaults, then a file, then `--set`, then flags; and what is told when a value cannot be.

mod keys;
mod print;
mod yaml;

pub(crate) use keys::{Origin, nearest};
pub(crate) use print::{annotated, plain};

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use recsim_core::session::config::{Config, InvalidConfig};
use serde_json::{Map, Value};

use crate::error::BadInput;
use keys::{Origins, defaults, paths};
use yaml::{Data, Flaw, Node};

/// A configuration, and where each of its values came from.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    origins: Origins,
}

/// What the command line says of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// A YAML file.
    pub(crate) file: Option<PathBuf>,
    /// `key=value`, the later the stronger.
    pub(crate) sets: Vec<String>,
    /// Key, flag and value, stronger than `sets`.
    pub(crate) flags: Vec<(&'static str, &'static str, Value)>,
    /// `--users`: sizes the built-in world, and of another takes the first that many.
    pub(crate) users: Option<u32>,
}

impl Settings {
    /// Puts everything together and checks what can be checked without a world.
    pub(crate) fn load(overrides: &Overrides) -> Result<Self, BadInput> {
        let mut draft = Draft { groups: defaults(), origins: Origins::new() };
        if let Some(path) = &overrides.file {
            draft.file(path)?;
        }
        for text in &overrides.sets {
            draft.set(text)?;
        }
        for (key, flag, value) in &overrides.flags {
            draft.put(key, value.clone(), Origin::Flag(flag));
        }
        if let Some(users) = overrides.users {
            if draft.value("world.path") == Some(&Value::from(AUTO)) {
                draft.put("world.users", users.into(), Origin::Flag("--users"));
            }
            draft.put("training.users_per_round", users.into(), Origin::Flag("--users"));
        }
        let settings = draft.finish()?;
        settings.only_one_world()?;
        settings.config.check().map_err(|invalid| settings.refuse(&invalid))?;
        Ok(settings)
    }

    /// Refuses sizes given on the command line for the built-in world where there is another. (A file may hold them: one
    /// that a run left says how large its world was.)
    fn only_one_world(&self) -> Result<(), BadInput> {
        let set = |(key, origin): &(&String, &Origin)| {
            key.starts_with("world.") && *key != "world.path" && matches!(origin, Origin::Set(_))
        };
        match self.origins.iter().find(set) {
            Some((key, origin)) if self.config.world.path != AUTO => {
                let problem = format!("`{key}` is of the built-in world, and `world.path` names another");
                Err(BadInput::new(origin, problem, "leave out one of the two"))
            }
            _ => Ok(()),
        }
    }

    /// Whether anybody gave this key a value.
    pub(crate) fn given(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    /// Says where the value that cannot be was given.
    pub(crate) fn refuse(&self, invalid: &InvalidConfig) -> BadInput {
        // Of two values that do not suit each other the wrong one is likelier to be the one that somebody gave.
        let key = match invalid.related_key {
            Some(other) if !self.given(&invalid.key) && self.given(other) => other,
            _ => &invalid.key,
        };
        BadInput::new(self.place(key), invalid, self.remedy(key))
    }

    /// The same where the value disagrees with a world in a folder, which may be what is wrong.
    pub(crate) fn refuse_for_world(&self, invalid: &InvalidConfig) -> BadInput {
        let world = &self.config.world.path;
        let place = match self.origins.get(&invalid.key) {
            Some(origin) => format!("{origin}, with the world in {world}"),
            None => format!("{world}: this world does not suit the default of `{}`", invalid.key),
        };
        BadInput::new(place, invalid, format!("{}, or another world", self.remedy(&invalid.key)))
    }

    /// Refuses the value of `key` in words of the caller's.
    pub(crate) fn refuse_value(&self, key: &str, problem: impl Display) -> BadInput {
        BadInput::new(self.place(key), problem, self.remedy(key))
    }

    fn place(&self, key: &str) -> String {
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

/// A configuration being put together.
struct Draft {
    groups: Map<String, Value>,
    origins: Origins,
}

impl Draft {
    fn file(&mut self, path: &Path) -> Result<(), BadInput> {
        let text = read(path)?;
        let at = |line| format!("{}:{line}", path.display());
        let root = yaml::parse(&text).map_err(|flaw| refuse_flaw(&flaw, at(flaw.line)))?;
        for (group, line, node) in entries(root, &at, "the file")? {
            if !self.groups.contains_key(&group) {
                // It may be a key that stands outside its group.
                if paths().any(|path| path.split('.').nth(1) == Some(&group)) {
                    return Err(unknown_key(&at(line), &group));
                }
                return Err(unknown(&at(line), "group", &group, self.groups.keys().map(String::as_str)));
            }
            for (key, line, node) in entries(Some(node), &at, &format!("`{group}`"))? {
                let path_of_key = format!("{group}.{key}");
                if self.value(&path_of_key).is_none() {
                    return Err(unknown_key(&at(line), &path_of_key));
                }
                let Data::Value(value) = node.data else {
                    return Err(BadInput::new(
                        at(line),
                        format!("`{path_of_key}` holds keys"),
                        "give it one value",
                    ));
                };
                self.put(&path_of_key, value, Origin::File(path.to_owned(), line));
            }
        }
        Ok(())
    }

    fn set(&mut self, text: &str) -> Result<(), BadInput> {
        let place = format!("--set {text}");
        let Some((key, value)) = text.split_once('=') else {
            let remedy = "write it as KEY=VALUE, such as td3.tau=0.01";
            return Err(BadInput::new(place, "there is no `=`", remedy));
        };
        let key = key.trim();
        if self.value(key).is_none() {
            return Err(unknown_key(&place, key));
        }
        let node = yaml::parse(value).map_err(|flaw| refuse_flaw(&flaw, place.clone()))?;
        match node.map(|node| node.data) {
            Some(Data::Value(value)) => self.put(key, value, Origin::Set(text.to_owned())),
            _ => return Err(BadInput::new(place, format!("`{key}` is given no value"), "write KEY=VALUE")),
        }
        Ok(())
    }

    /// The value at a path, if that is a key's.
    fn value(&self, key: &str) -> Option<&Value> {
        let (group, name) = key.split_once('.')?;
        self.groups.get(group)?.get(name)
    }

    fn put(&mut self, key: &str, value: Value, origin: Origin) {
        let place = key.split_once('.').and_then(|(group, name)| self.groups.get_mut(group)?.get_mut(name));
        *place.expect("the key has been looked up") = value;
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
                let draft = Self { groups, origins: Origins::new() };
                let found = draft.value(&key).map_or_else(|| "nothing".to_owned(), ToString::to_string);
                let settings = Settings { config: Config::default(), origins };
                // One bad entry makes the whole list bad.
                let expected = if key == path { expected } else { "a sequence" };
                let problem = format!("`{key}` is {found}, and must be {}", in_words(expected));
                Err(settings.refuse_value(&key, problem))
            }
        }
    }
}

fn read(path: &Path) -> Result<String, BadInput> {
    let place = || path.display();
    let mut bytes = Vec::new();
    // A device has no length to ask for, and may have no end.
    let read = File::open(path).and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut bytes));
    read.map_err(|error| BadInput::new(place(), error, "give the path of a YAML file"))?;
    if bytes.len() as u64 > LONGEST_FILE {
        let problem = format!("a file of more than {LONGEST_FILE} bytes is no configuration");
        return Err(BadInput::new(place(), problem, SHOW));
    }
    let text = String::from_utf8(bytes);
    text.map_err(|_| BadInput::new(place(), "this is not UTF-8 text", "save the file as UTF-8"))
}

/// The entries of a mapping; nothing at all is an empty one.
fn entries(
    node: Option<Node>,
    at: &impl Fn(usize) -> String,
    what: &str,
) -> Result<Vec<(String, usize, Node)>, BadInput> {
    match node {
        None | Some(Node { data: Data::Value(Value::Null), .. }) => Ok(Vec::new()),
        Some(Node { data: Data::Mapping(entries), .. }) => Ok(entries),
        Some(Node { data: Data::Value(value), line }) => {
            Err(BadInput::new(at(line), format!("{what} is {value}, and must hold keys"), SHOW))
        }
    }
}

fn refuse_flaw(flaw: &Flaw, place: String) -> BadInput {
    BadInput::new(place, &flaw.problem, SHOW)
}

fn unknown_key(place: &str, path: &str) -> BadInput {
    let Some((group, name)) = path.split_once('.') else {
        return unknown(place, "key", path, paths());
    };
    let siblings: Vec<&str> = paths().filter(|known| known.split('.').next() == Some(group)).collect();
    // A key that is right but in the wrong group is what was meant.
    let elsewhere = paths().find(|known| known.split('.').nth(1) == Some(name));
    match elsewhere {
        Some(known) => unknown(place, "key", path, [known].into_iter()),
        None if siblings.is_empty() => unknown(place, "key", path, paths()),
        None => unknown(place, "key", path, siblings.into_iter()),
    }
}

fn unknown<'a>(place: &str, what: &str, found: &str, known: impl Iterator<Item = &'a str>) -> BadInput {
    let remedy = match nearest(found, known) {
        Some((word, true)) => format!("did you mean `{word}`?"),
        Some((word, false)) => format!("the nearest is `{word}`; {SHOW}"),
        None => SHOW.to_owned(),
    };
    BadInput::new(place, format!("there is no {what} `{found}`"), remedy)
}

/// What serde expects, in words for people who do not know Rust's types.
fn in_words(expected: &str) -> &str {
    match expected {
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number from 0 to 18446744073709551615",
        "f64" => "a finite number",
        "a boolean" => "true or false",
        "a string" => "a word (a number in quotes)",
        "a sequence" => "a list of whole numbers, such as [512, 512, 256]",
        other => other,
    }
}

/// How a path that is left to the program is written.
pub(crate) const AUTO: &str = "auto";
const SHOW: &str = "`recsim config` prints every key there is";
const LONGEST_FILE: u64 = 1 << 20;
