//! `--resume`: what a run goes on from, and which settings it may go on with.

use std::fs::File;
use std::path::Path;

use recsim_core::backend::Backend;
use recsim_core::session::config::{Config, Plan};
use recsim_core::session::{Session, SessionError};
use recsim_core::world::World;
use serde_json::Value;

use super::options::Start;
use super::record::Status;
use super::summary::Summary;
use crate::checkpoint::{self, Found, Subject};
use crate::config::{AUTO, Overrides, Settings};
use crate::error::BadInput;
use crate::files::{folder, names};
use crate::output::note;

/// A run that goes on.
#[derive(Debug)]
pub(super) struct Resumed {
    /// Keeps other runs out of its folder.
    _claim: Option<File>,
    pub(super) found: Found,
    /// Settings that are other than they were, `key: old -> new`.
    pub(super) changes: Vec<String>,
}

impl Resumed {
    /// The session as it was, on `backend`. Says what is other than it was.
    pub(super) fn session<B: Backend>(
        &self,
        backend: B,
        world: &World<'_>,
        plan: Plan,
        subject: &Subject,
        quiet: bool,
    ) -> anyhow::Result<Session<B>> {
        let Self { found, changes, .. } = self;
        if subject.world != found.about.world {
            let (now, then) = (&subject.world, &found.about.world);
            let problem =
                format!("this is another world than the run's: its numbers' checksum is {now}, not {then}");
            let place = &subject.config.world.path;
            return Err(BadInput::new(place, problem, "give the run's own world with --world").into());
        }
        let (then, now) = (&found.about.device, &subject.device);
        if !quiet {
            changes.iter().for_each(|change| note(&format!("going on with {change}")));
            if (&then.backend, &then.instruction_set) != (&now.backend, &now.instruction_set) {
                let [then, now] =
                    [then, now].map(|device| format!("{} ({})", device.backend, device.instruction_set));
                note(&format!(
                    "going on with {now} after {then}: users respond alike, and learning differs in its last digits"
                ));
            }
        }
        let state = found.state(&plan.agent)?;
        Session::resume(backend, world, plan, &state).map_err(|error| match error {
            SessionError::State(problem) => {
                let remedy = "restore it from a copy, or begin the run anew";
                BadInput::new(found.path.display(), problem, remedy).into()
            }
            error => error.into(),
        })
    }
}

/// Refuses a folder that no run was begun in.
pub(super) fn check(run: &Path) -> Result<(), BadInput> {
    let config = run.join(names::CONFIG);
    if config.is_file() {
        return Ok(());
    }
    let (problem, remedy) = if run.join(names::CHECKPOINTS).is_dir() {
        ("this file is missing", "restore it: `config` in a checkpoint's checkpoint.json has what stood in it")
    } else {
        ("this file is missing: no run was begun here", "begin it with --out and the settings it shall have")
    };
    Err(BadInput::new(config.display(), problem, remedy))
}

/// How the run in the folder begins again with `settings`: those of its own file, and what was given beside it.
/// `may_change` names keys whose values may be other than they were.
pub(super) fn start(run: &Path, settings: &Settings, may_change: &[String]) -> anyhow::Result<Start> {
    let claim = folder::claim(run)?;
    let (found, damaged) = checkpoint::newest(run)?;
    let schedule = &settings.config.training;
    let rounds = u64::from(schedule.episodes) * u64::from(schedule.rounds_per_episode);
    let ended = Summary::status_of(run);
    let then = match &found {
        Some(found) => found.about.config.clone(),
        None => own_settings(run)?,
    };
    let accepted = Summary::run_of(run)?.map_or_else(Vec::new, |run| run.changes());
    let changes = changes(&then, settings, may_change, &accepted)?;
    if ended == Some(Status::Finished) && Summary::rounds_of(run)? >= rounds {
        return Ok(Start::Finished);
    }
    let Some(found) = found else {
        if ended.is_some() {
            let problem = "this run was ended, and left no checkpoint to go on from";
            return Err(BadInput::new(run.display(), problem, "begin another in another folder").into());
        }
        folder::writable(run)?;
        note(&format!("the run in {} left no checkpoint: it begins anew", run.display()));
        return Ok(Start::Over { _claim: claim });
    };
    let served = found.about.header.progress.rounds;
    if served > rounds {
        let problem = format!("the run has come to round {served}, and would end with round {rounds}");
        return Err(settings.refuse_value("training.episodes", problem).into());
    }
    folder::writable(run)?;
    for problem in damaged {
        note(&format!("warning: {problem}; going on from the checkpoint before it, {}", found.path.display()));
    }
    Ok(Start::Resumed(Box::new(Resumed { _claim: claim, found, changes })))
}

/// The settings in the run's own file.
fn own_settings(run: &Path) -> Result<Config, BadInput> {
    let file = Some(run.join(names::CONFIG));
    Settings::load(&Overrides { file, ..Overrides::default() }).map(|settings| settings.config)
}

/// Settings that are other than they were; refuses those that must not be, or that nobody has allowed to be: now, or when
/// the run was gone on with since its last checkpoint.
fn changes(
    then: &Config,
    settings: &Settings,
    may_change: &[String],
    accepted: &[String],
) -> Result<Vec<String>, BadInput> {
    let (then, now) = (flat(then), flat(&settings.config));
    if let Some(unknown) = may_change.iter().find(|key| !then.iter().any(|(known, _)| known == *key)) {
        let problem = format!("there is no setting `{unknown}`");
        return Err(BadInput::new("--may-change", problem, "`recsim config` names them all"));
    }
    let mut changes = Vec::new();
    for ((key, then), (_, now)) in then.iter().zip(&now).filter(|(then, now)| then.1 != now.1) {
        // What is left to the program is what it was, or a state of this size is refused.
        if FREE.contains(&&**key) || *now == AUTO {
            continue;
        }
        if FIXED.iter().any(|fixed| key.starts_with(fixed)) {
            let problem =
                format!("`{key}` is {now}, and the run was begun with {then}: it cannot change in its midst");
            return Err(settings.refuse_value(key, problem));
        }
        let change = format!("{key}: {then} -> {now}");
        if !may_change.contains(key) && !accepted.contains(&change) {
            let refused =
                settings.refuse_value(key, format!("`{key}` is {now}, and the run was begun with {then}"));
            let remedy = format!("leave it at {then}; or add --may-change {key}, and it goes on as another run");
            return Err(BadInput { remedy, ..refused });
        }
        changes.push(change);
    }
    Ok(changes)
}

/// Every key and its value.
fn flat(config: &Config) -> Vec<(String, Value)> {
    let groups = serde_json::to_value(config).ok();
    let groups = groups.as_ref().and_then(Value::as_object).expect("a configuration is a struct of structs");
    let keys = groups.iter().flat_map(|(group, keys)| {
        let keys = keys.as_object().expect("a configuration is a struct of structs");
        keys.iter().map(move |(key, value)| (format!("{group}.{key}"), value.clone()))
    });
    keys.collect()
}

/// What changes no number of the run's, or says only how far it goes. (A world's folder may be another: its checksum says
/// whether it is the same world.)
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

/// What a checkpoint's tables and counts rest on.
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
