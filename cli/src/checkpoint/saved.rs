//! A checkpoint on the disk, checked and read.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use recsim_core::session::checkpoint::restore_agent;
use recsim_core::session::state::SessionState;
use recsim_core::td3::AgentSpec;
use recsim_core::td3::replay::Transitions;
use serde::Deserialize;

use super::builder::HashedReplayFile;
use super::checksums::{self, FileChecksums};
use super::rows::RowLayout;
use super::{AGENT, BELIEFS, CheckpointInfo, FORMAT, INFO, USERS, VERSION, numbered};
use crate::error::BadInput;
use crate::files::{self, names, tensorboard, tensors};

/// A checkpoint whose files match their checksums, and whose run's append-only files match their positions.
#[derive(Debug)]
pub(crate) struct SavedCheckpoint {
    pub(crate) path: PathBuf,
    pub(crate) info: CheckpointInfo,
    pub(super) replay: Vec<HashedReplayFile>,
}

/// The newest whole checkpoint of the run in the folder `run`, if the run has checkpoints, and what is wrong with each
/// newer one.
///
/// # Errors
/// If there are checkpoints, and all are damaged.
pub(crate) fn newest(run: &Path) -> anyhow::Result<(Option<SavedCheckpoint>, Vec<String>)> {
    let folder = run.join(names::CHECKPOINTS);
    let numbered = numbered(&folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut damaged = Vec::new();
    for (_, path) in numbered.into_iter().rev() {
        match SavedCheckpoint::open(run, &path) {
            Ok(saved) => return Ok((Some(saved), damaged)),
            Err(problem) => damaged.push(format!("{}: {problem}", path.display())),
        }
    }
    match damaged.first() {
        None => Ok((None, damaged)),
        Some(first) => {
            let remedy = "restore it from a copy, or start the run again in another folder";
            Err(BadInput::new(first, "and no other checkpoint is left to resume from", remedy).into())
        }
    }
}

impl SavedCheckpoint {
    /// # Errors
    /// What is wrong with the checkpoint, in words that follow its path.
    fn open(run: &Path, path: &Path) -> Result<Self, String> {
        let checksums = FileChecksums::check(path)?;
        let in_info = |error| format!("`{INFO}` does not describe a checkpoint: {error}");
        let text = files::read(&path.join(INFO)).map_err(|error| format!("`{INFO}` cannot be read: {error}"))?;
        let CheckpointHead { format, version } = serde_json::from_slice(&text).map_err(in_info)?;
        if (&*format, version) != (FORMAT, VERSION) {
            return Err(format!("is of format `{format}` {version}, and this recsim reads `{FORMAT}` {VERSION}"));
        }
        let info: CheckpointInfo = serde_json::from_slice(&text).map_err(in_info)?;
        let missing = [INFO, AGENT, USERS].into_iter().find(|name| !checksums.0.contains_key(*name));
        if let Some(name) = missing {
            return Err(format!("`{name}` is not in its checksums"));
        }
        check_logs(run, &info)?;
        let replay = info.replay.iter().map(|file| {
            let hash = checksums.0.get(&file.name()).ok_or_else(|| format!("holds no `{}`", file.name()))?;
            Ok(HashedReplayFile { file: file.clone(), hash: hash.clone() })
        });
        Ok(Self { path: path.to_owned(), replay: replay.collect::<Result<_, String>>()?, info })
    }

    /// The time that the run had taken.
    pub(crate) fn wall(&self) -> Duration {
        Duration::try_from_secs_f64(self.info.wall_seconds).unwrap_or_default()
    }

    /// The state that a session resumes from. It is not yet checked against the session's plan.
    ///
    /// # Errors
    /// If a file's content does not fit `spec` or `checkpoint.json`.
    pub(crate) fn state(&self, spec: &AgentSpec) -> Result<SessionState, BadInput> {
        self.try_state(spec).map_err(|problem| {
            BadInput::new(self.path.display(), problem, "restore it from a copy, or start the run again")
        })
    }

    fn try_state(&self, spec: &AgentSpec) -> Result<SessionState, String> {
        let header = &self.info.header;
        let tensors = tensors::read(&self.path, AGENT)?;
        let agent = restore_agent(header, spec, |name| tensors::find(&tensors, name))
            .map_err(|error| format!("`{AGENT}`: {error}"))?;
        let (shape, beliefs) = tensors::read(&self.path, USERS)?
            .remove(BELIEFS)
            .ok_or_else(|| format!("`{USERS}` has no `{BELIEFS}`"))?;
        let clusters = spec.state_dim() - spec.action_dim();
        if shape.len() != 2 || shape[1] != clusters {
            return Err(format!("`{USERS}` holds beliefs of shape {shape:?}, not [users, {clusters}]"));
        }
        let transitions = self.transitions(spec)?;
        Ok(SessionState { progress: header.progress, agent, beliefs, transitions })
    }

    /// The content of the replay buffer.
    fn transitions(&self, spec: &AgentSpec) -> Result<Transitions, String> {
        let dimensions = spec.action_dim();
        let layout = RowLayout { clusters: spec.state_dim() - dimensions, dimensions };
        let inserted = self.info.header.progress.transitions;
        let mut transitions = Transitions { inserted, ..Transitions::default() };
        // The first file may begin with transitions that the replay buffer has already overwritten.
        let mut next = inserted.saturating_sub(spec.buffer_size() as u64);
        for HashedReplayFile { file, .. } in &self.replay {
            let name = file.name();
            let bytes =
                files::read(&self.path.join(&name)).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
            let rows = (bytes.len() / layout.bytes()) as u64;
            let follows = file.first <= next && next < file.end();
            if rows != file.rows || rows as usize * layout.bytes() != bytes.len() || !follows {
                return Err(format!("`{name}` holds other transitions than `{INFO}` says"));
            }
            layout.decode(&bytes[(next - file.first) as usize * layout.bytes()..], &mut transitions);
            next = file.end();
        }
        if next == inserted { Ok(transitions) } else { Err("lacks the last transitions".to_owned()) }
    }
}

/// Checks `rounds.jsonl` and `episodes.jsonl` against the positions in the run's newest readable checkpoint. A run
/// without a checkpoint passes.
///
/// # Errors
/// If one of them is shorter than its position, or its first bytes differ from their checksum.
pub(crate) fn check_metrics(run: &Path) -> Result<(), BadInput> {
    let numbered = numbered(&run.join(names::CHECKPOINTS)).unwrap_or_default();
    let texts = numbered.iter().rev().filter_map(|(_, path)| checksums::read_checked(path, INFO).ok());
    let Some(info) = texts.filter_map(|text| serde_json::from_slice::<CheckpointInfo>(&text).ok()).next() else {
        return Ok(());
    };
    let is_metrics = |name: &str| [names::ROUNDS, names::EPISODES].contains(&name);
    for (name, position) in info.logs.iter().filter(|(name, _)| is_metrics(name)) {
        let path = run.join(name);
        let remedy = "restore the file from a copy, or repeat the run";
        position.check(&path).map_err(|problem| BadInput::new(path.display(), problem, remedy))?;
    }
    Ok(())
}

/// Checks the run's append-only files against a checkpoint.
///
/// # Errors
/// What is wrong with a file, or with the checkpoint's list of them.
fn check_logs(run: &Path, info: &CheckpointInfo) -> Result<(), String> {
    let names: Vec<&str> = info.logs.iter().map(|(name, _)| &**name).collect();
    let is_event_log =
        |name: &str| name.strip_prefix(names::TENSORBOARD)?.strip_prefix('/').map(tensorboard::is_ours);
    match names[..] {
        [names::ROUNDS, names::EPISODES, log] if is_event_log(log) == Some(true) => {}
        _ => return Err(format!("`{INFO}` names {names:?} as the run's append-only files")),
    }
    for (name, position) in &info.logs {
        position.check(&run.join(name)).map_err(|problem| format!("the run's `{name}` {problem}"))?;
    }
    let mut rounds =
        files::open(&run.join(names::ROUNDS)).map(BufReader::new).map_err(|error| error.to_string())?;
    let reported = rounds.by_ref().take(info.logs[0].1.bytes).lines().count() as u64;
    let done = info.header.progress.reported_rounds();
    if reported == done {
        Ok(())
    } else {
        Err(format!("`{INFO}` says that {done} rounds were done, and that {reported} were reported"))
    }
}

/// The keys that identify a checkpoint of any version.
#[derive(Deserialize)]
struct CheckpointHead {
    format: String,
    version: u32,
}
