//! A run that resumes from a checkpoint.

use std::fs::File;

use recsim_core::backend::Backend;
use recsim_core::session::config::Plan;
use recsim_core::session::{Session, SessionError};
use recsim_core::world::World;

use crate::checkpoint::{RunIdentity, SavedCheckpoint};
use crate::error::BadInput;
use crate::output::note;

#[derive(Debug)]
pub(super) struct ResumedRun {
    /// Locks its folder.
    pub(super) _claim: Option<File>,
    pub(super) saved: SavedCheckpoint,
    /// Settings that changed, `key: old -> new`.
    pub(super) changes: Vec<String>,
}

impl ResumedRun {
    /// The session in the checkpoint's state, on `backend`. Notes what has changed, unless `quiet`.
    ///
    /// # Errors
    /// If `world` is not the run's world, the checkpoint's state does not fit `plan`, or the backend fails.
    pub(super) fn session<B: Backend>(
        &self,
        backend: B,
        world: &World<'_>,
        plan: Plan,
        identity: &RunIdentity,
        quiet: bool,
    ) -> anyhow::Result<Session<B>> {
        let Self { saved, changes, .. } = self;
        if identity.world != saved.info.world {
            let (new, old) = (&identity.world, &saved.info.world);
            let problem = format!("this is another world than the run's: its checksum is {new}, not {old}");
            let path = &identity.config.world.path;
            return Err(BadInput::new(path, problem, "give the run's own world with --world").into());
        }
        let (old, new) = (&saved.info.device, &identity.device);
        if !quiet {
            changes.iter().for_each(|change| note(&format!("resuming with {change}")));
            if (&old.backend, &old.instruction_set) != (&new.backend, &new.instruction_set) {
                let [old, new] =
                    [old, new].map(|device| format!("{} ({})", device.backend, device.instruction_set));
                note(&format!(
                    "resuming with {new} after {old}: users respond alike, and learning differs in its last digits"
                ));
            }
        }
        let state = saved.state(&plan.agent)?;
        Session::resume(backend, world, plan, &state).map_err(|error| match error {
            SessionError::State(problem) => {
                let remedy = "restore it from a copy, or start the run again";
                BadInput::new(saved.path.display(), problem, remedy).into()
            }
            error => error.into(),
        })
    }
}
