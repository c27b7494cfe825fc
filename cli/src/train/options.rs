//! The resolved options of `recsim train`.

use std::path::{Path, PathBuf};

use crate::arguments::Train;
use crate::config::{AUTO, Settings};
use crate::device::DeviceChoice;
use crate::error::BadInput;
use crate::files::{folder, names};

use super::start::{self, Start};

/// Everything that a run needs, except its world.
pub(super) struct TrainOptions {
    pub(super) settings: Settings,
    pub(super) device: DeviceChoice,
    /// The folder for the results.
    pub(super) output: PathBuf,
    /// The trace's file, and the number of users if `--trace-users` gives it.
    trace: Option<(PathBuf, Option<usize>)>,
    pub(super) start: Start,
    pub(super) quiet: bool,
    pub(super) json: bool,
}

impl TrainOptions {
    /// Resolves the arguments, and checks all that can be checked without a world. For `--resume` this locks the run's
    /// folder and reads the newest checkpoint.
    ///
    /// # Errors
    /// A [`BadInput`] that names the flag, file or key that is wrong.
    pub(super) fn resolve(arguments: &Train) -> anyhow::Result<Self> {
        if let Some(run) = &arguments.resume {
            start::check_folder(run)?;
        }
        let settings = Settings::load(&arguments.overrides())?;
        let experiment = &settings.config.experiment;
        let device = DeviceChoice::of(&settings, arguments.shadow.is_some())?;
        let file = arguments.overrides().file;
        let (output, start) = match &arguments.resume {
            Some(run) => (run.clone(), Start::resumed(run, &settings, &arguments.allow_config_change)?),
            None => {
                let output = match &*experiment.output {
                    AUTO => folder::default_path(experiment.seed),
                    "" => {
                        return Err(settings
                            .refuse_value("experiment.output", "`experiment.output` is empty")
                            .into());
                    }
                    path => PathBuf::from(path),
                };
                folder::check(&output, arguments.force)?;
                if let Some(file) = &file
                    && folder::is_same(file, &output.join(names::CONFIG))
                {
                    let problem = "the run would replace this file of settings";
                    let remedy = "give another folder with --out, or move the file; --resume continues the run";
                    return Err(BadInput::new(file.display(), problem, remedy).into());
                }
                (output, Start::New { force: arguments.force })
            }
        };
        let trace = arguments.trace.clone().map(|path| (path, arguments.trace_users.map(|users| users as usize)));
        if let Some((path, _)) = &trace {
            let world = Some(&*settings.config.world.path).filter(|path| *path != AUTO).map(Path::new);
            check_trace_file(path, &output, world, file.as_deref(), arguments)?;
        }
        let (quiet, json) = (arguments.quiet, arguments.json);
        Ok(Self { settings, device, output, trace, start, quiet, json })
    }

    /// The trace's file and its number of users, where `served` users are served in a round.
    ///
    /// # Errors
    /// If more users are to be traced than are served.
    pub(super) fn trace(&self, served: usize) -> Result<Option<(PathBuf, usize)>, BadInput> {
        match &self.trace {
            Some((_, Some(users))) if *users > served => {
                let problem = format!("{users} users are to be traced, and {served} are served");
                Err(BadInput::new("--trace-users", problem, format!("give at most {served}")))
            }
            Some((path, users)) => Ok(Some((path.clone(), users.unwrap_or(served.min(DEFAULT_TRACED))))),
            None => Ok(None),
        }
    }
}

/// Users traced without `--trace-users`.
const DEFAULT_TRACED: usize = 100;

/// Checks whether the trace may be written to `path`.
///
/// # Errors
/// If `path` is a file of the run, of its world or of its settings, exists without `--force`, or cannot be written.
fn check_trace_file(
    path: &Path,
    run: &Path,
    world: Option<&Path>,
    config: Option<&Path>,
    arguments: &Train,
) -> Result<(), BadInput> {
    let refuse = |problem: &str, remedy: &str| Err(BadInput::new(path.display(), problem, remedy));
    if path.exists() && !path.is_file() {
        return refuse("this is a folder or a device", "give --trace a file");
    }
    if config.is_some_and(|config| folder::is_same(config, path)) {
        return refuse("this is the file of settings", "give --trace another file");
    }
    if folder::is_reserved(path, run, world) {
        return refuse("this is a file of the run or of its world", "give --trace another file");
    }
    if path.exists() && !arguments.force {
        let remedy = match arguments.resume {
            Some(_) => "give --trace another file",
            None => "give --trace another file, or --force to replace it",
        };
        return refuse("this file is there already", remedy);
    }
    folder::writable(path.parent().unwrap_or(path))
}
