//! A checkpoint on the disk.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use recsim_core::session::checkpoint::restore_agent;
use recsim_core::session::state::SessionState;
use recsim_core::td3::AgentSpec;
use recsim_core::td3::replay::Transitions;
use serde::Deserialize;

use super::draft::Written;
use super::rows::Row;
use super::sums::{self, Sums};
use super::{ABOUT, AGENT, About, BELIEFS, FORMAT, USERS, VERSION, numbered};
use crate::error::BadInput;
use crate::files::{self, names, tables, tensorboard};

/// A checkpoint that is as it was written.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) about: About,
    /// Its files of transitions.
    pub(super) parts: Vec<Written>,
}

/// The newest checkpoint of the run in `run` that is as it was written, if there is any, and what is wrong with newer ones.
///
/// # Errors
/// If there are checkpoints, and none is sound.
pub(crate) fn newest(run: &Path) -> anyhow::Result<(Option<Found>, Vec<String>)> {
    let folder = run.join(names::CHECKPOINTS);
    let numbered = numbered(&folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut damaged = Vec::new();
    for (_, path) in numbered.into_iter().rev() {
        match Found::open(run, &path) {
            Ok(found) => return Ok((Some(found), damaged)),
            Err(problem) => damaged.push(format!("{}: {problem}", path.display())),
        }
    }
    match damaged.first() {
        None => Ok((None, damaged)),
        Some(first) => {
            let remedy = "restore it from a copy, or begin the run anew in another folder";
            Err(BadInput::new(first, "and no other checkpoint is left to go on from", remedy).into())
        }
    }
}

impl Found {
    /// The problem found, if any, in words that follow the folder's name.
    fn open(run: &Path, path: &Path) -> Result<Self, String> {
        let sums = Sums::check(path)?;
        let in_about = |error| format!("`{ABOUT}` does not describe a checkpoint: {error}");
        let text = files::read(&path.join(ABOUT)).map_err(|error| format!("`{ABOUT}` cannot be read: {error}"))?;
        let Head { format, version } = serde_json::from_slice(&text).map_err(in_about)?;
        if (&*format, version) != (FORMAT, VERSION) {
            return Err(format!("is of format `{format}` {version}, and this recsim reads `{FORMAT}` {VERSION}"));
        }
        let about: About = serde_json::from_slice(&text).map_err(in_about)?;
        let missing = [ABOUT, AGENT, USERS].into_iter().find(|name| !sums.0.contains_key(*name));
        if let Some(name) = missing {
            return Err(format!("`{name}` is not in its sums"));
        }
        check_logs(run, &about)?;
        let parts = about.replay.iter().map(|part| {
            let hash = sums.0.get(&part.name()).ok_or_else(|| format!("holds no `{}`", part.name()))?;
            Ok(Written { part: part.clone(), hash: hash.clone() })
        });
        Ok(Self { path: path.to_owned(), parts: parts.collect::<Result<_, String>>()?, about })
    }

    /// What the run had taken.
    pub(crate) fn wall(&self) -> Duration {
        Duration::try_from_secs_f64(self.about.wall_seconds).unwrap_or_default()
    }

    /// What a session goes on from. It is checked against its own sums, and not yet against the session's plan.
    pub(crate) fn state(&self, spec: &AgentSpec) -> Result<SessionState, BadInput> {
        self.try_state(spec).map_err(|problem| {
            BadInput::new(self.path.display(), problem, "restore it from a copy, or begin the run anew")
        })
    }

    fn try_state(&self, spec: &AgentSpec) -> Result<SessionState, String> {
        let header = &self.about.header;
        let tables = tables::read(&self.path, AGENT)?;
        let agent = restore_agent(header, spec, |name| tables::find(&tables, name))
            .map_err(|error| format!("`{AGENT}`: {error}"))?;
        let beliefs = tables::read(&self.path, USERS)?
            .remove(BELIEFS)
            .ok_or_else(|| format!("`{USERS}` has no `{BELIEFS}`"))?;
        let clusters = spec.state_dim() - spec.action_dim();
        if beliefs.0.len() != 2 || beliefs.0[1] != clusters {
            return Err(format!("`{USERS}` holds beliefs of shape {:?}, not [users, {clusters}]", beliefs.0));
        }
        let beliefs = beliefs.1;
        let transitions = self.transitions(spec)?;
        Ok(SessionState { progress: header.progress, agent, beliefs, transitions })
    }

    fn transitions(&self, spec: &AgentSpec) -> Result<Transitions, String> {
        let dimensions = spec.action_dim();
        let row = Row { clusters: spec.state_dim() - dimensions, dimensions };
        let brought = self.about.header.progress.transitions;
        // Of the first file some may be in the ring no longer.
        let gone = brought.saturating_sub(spec.buffer_size() as u64);
        let mut transitions = Transitions { inserted: brought, ..Transitions::default() };
        let mut next = gone;
        for Written { part, .. } in &self.parts {
            let name = part.name();
            let bytes =
                files::read(&self.path.join(&name)).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
            let rows = (bytes.len() / row.bytes()) as u64;
            let follows = part.first <= next && next < part.end();
            if rows != part.rows || rows as usize * row.bytes() != bytes.len() || !follows {
                return Err(format!("`{name}` holds other transitions than `{ABOUT}` says"));
            }
            row.decode(&bytes[(next - part.first) as usize * row.bytes()..], &mut transitions);
            next = part.end();
        }
        if next == brought { Ok(transitions) } else { Err("lacks the last transitions".to_owned()) }
    }
}

/// Refuses a run's lines of metrics that are other than its newest checkpoint knows them, as far as it does; a run without
/// one has nothing to know them by.
pub(crate) fn check_metrics(run: &Path) -> Result<(), BadInput> {
    let numbered = numbered(&run.join(names::CHECKPOINTS)).unwrap_or_default();
    let abouts = numbered.iter().rev().filter_map(|(_, path)| sums::read(path, ABOUT).ok());
    let Some(about) = abouts.filter_map(|text| serde_json::from_slice::<About>(&text).ok()).next() else {
        return Ok(());
    };
    for (name, mark) in about.logs.iter().filter(|(name, _)| [names::ROUNDS, names::EPISODES].contains(&&**name)) {
        let path = run.join(name);
        let remedy = "restore the file from a copy, or repeat the run";
        mark.check(&path).map_err(|problem| BadInput::new(path.display(), problem, remedy))?;
    }
    Ok(())
}

/// What is wrong with the run's files that grow, if they are not what they were.
fn check_logs(run: &Path, about: &About) -> Result<(), String> {
    let names: Vec<&str> = about.logs.iter().map(|(name, _)| &**name).collect();
    let events = |name: &str| name.strip_prefix(names::TENSORBOARD)?.strip_prefix('/').map(tensorboard::is_ours);
    match names[..] {
        [names::ROUNDS, names::EPISODES, log] if events(log) == Some(true) => {}
        _ => return Err(format!("`{ABOUT}` names {names:?} as the run's files that grow")),
    }
    for (name, mark) in &about.logs {
        mark.check(&run.join(name)).map_err(|problem| format!("the run's `{name}` {problem}"))?;
    }
    let mut known = files::open(&run.join(names::ROUNDS)).map(BufReader::new).map_err(|error| error.to_string())?;
    let known = known.by_ref().take(about.logs[0].1.bytes).lines().count() as u64;
    let done = about.header.progress.reported_rounds();
    if known == done {
        Ok(())
    } else {
        Err(format!("`{ABOUT}` says that {done} rounds were done, and that {known} were reported"))
    }
}

/// What tells whether the rest can be understood.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}
