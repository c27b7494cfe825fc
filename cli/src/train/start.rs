//! How a run starts: new, resumed from a checkpoint, again from the beginning, or not at all.

use std::fs::File;
use std::path::Path;

use recsim_core::session::config::Config;

use super::changes;
use super::record::Status;
use super::resume::ResumedRun;
use super::summary::RunSummary;
use crate::checkpoint;
use crate::config::{Overrides, Settings};
use crate::error::BadInput;
use crate::files::{folder, names};
use crate::output::note;

#[derive(Debug)]
pub(super) enum Start {
    /// A new run.
    New {
        /// Whether it may replace a run or write beside a world.
        force: bool,
    },
    /// A run that left no checkpoint starts again. Its folder is locked while the file is open.
    Again { _claim: Option<File> },
    /// A run resumes from a checkpoint.
    Resumed(Box<ResumedRun>),
    /// The run has finished: there is nothing to do.
    Finished,
}

impl Start {
    /// How `--resume` starts the run in the folder `run` with `settings`: those of its `config.yaml`, overridden by the
    /// command line. `allowed` names the keys whose values may have changed.
    ///
    /// # Errors
    /// If another process uses the folder, no checkpoint can be resumed from, a setting has changed that may not, or
    /// the run has gone past the end that `settings` give it.
    pub(super) fn resumed(run: &Path, settings: &Settings, allowed: &[String]) -> anyhow::Result<Self> {
        let claim = folder::claim(run)?;
        let (saved, damaged) = checkpoint::newest(run)?;
        let schedule = &settings.config.training;
        let rounds = u64::from(schedule.episodes) * u64::from(schedule.rounds_per_episode);
        let status = RunSummary::status_of(run);
        let old = match &saved {
            Some(saved) => saved.info.config.clone(),
            None => own_config(run)?,
        };
        let accepted = RunSummary::record_of(run)?.map_or_else(Vec::new, |record| record.changes());
        let changes = changes::check(&old, settings, allowed, &accepted)?;
        if status == Some(Status::Finished) && RunSummary::rounds_of(run)? >= rounds {
            return Ok(Self::Finished);
        }
        let Some(saved) = saved else {
            if status.is_some() {
                let problem = "this run was ended, and left no checkpoint to resume from";
                return Err(BadInput::new(run.display(), problem, "start another in another folder").into());
            }
            folder::writable(run)?;
            note(&format!("the run in {} left no checkpoint: it starts again", run.display()));
            return Ok(Self::Again { _claim: claim });
        };
        let served = saved.info.header.progress.rounds;
        if served > rounds {
            let problem = format!("the run is at round {served}, and would end with round {rounds}");
            return Err(settings.refuse_value("training.episodes", problem).into());
        }
        folder::writable(run)?;
        for problem in damaged {
            note(&format!("warning: {problem}; resuming from the checkpoint before it, {}", saved.path.display()));
        }
        Ok(Self::Resumed(Box::new(ResumedRun { _claim: claim, saved, changes })))
    }
}

/// Checks whether a folder has the settings of a run.
///
/// # Errors
/// If `config.yaml` is missing.
pub(super) fn check_folder(run: &Path) -> Result<(), BadInput> {
    let config = run.join(names::CONFIG);
    if config.is_file() {
        return Ok(());
    }
    let (problem, remedy) = if run.join(names::CHECKPOINTS).is_dir() {
        ("this file is missing", "restore it: `config` in a checkpoint's checkpoint.json has its settings")
    } else {
        ("this file is missing: no run was started here", "start one with --out and its settings")
    };
    Err(BadInput::new(config.display(), problem, remedy))
}

/// The configuration in the run's own file.
fn own_config(run: &Path) -> Result<Config, BadInput> {
    let file = Some(run.join(names::CONFIG));
    Settings::load(&Overrides { file, ..Overrides::default() }).map(|settings| settings.config)
}
