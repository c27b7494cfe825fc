//! The options of `recsim eval`, resolved from its arguments.

use std::path::{Path, PathBuf};

use super::names::PolicyName;
use crate::arguments::Eval;
use crate::config::{AUTO, Settings};
use crate::device::DeviceChoice;
use crate::error::BadInput;
use crate::files::{evaluation, folder};
use crate::output;

/// Everything an evaluation needs except its world.
pub(super) struct EvalOptions {
    pub(super) settings: Settings,
    pub(super) device: DeviceChoice,
    pub(super) policies: Vec<PolicyName>,
    pub(super) seeds: Vec<u64>,
    /// The file for the results.
    pub(super) output: Option<PathBuf>,
    /// The command that repeats the evaluation, without `--out`.
    pub(super) command: String,
    pub(super) quiet: bool,
    pub(super) json: bool,
}

impl EvalOptions {
    /// Resolves the arguments.
    ///
    /// # Errors
    /// If an argument is invalid, as far as that shows without the world, or the output file cannot be written.
    pub(super) fn of(arguments: &Eval) -> anyhow::Result<Self> {
        let settings = Settings::load(&arguments.overrides())?;
        let device = DeviceChoice::of(&settings, false)?;
        let first = settings.config.experiment.seed;
        let Some(last) = first.checked_add(u64::from(arguments.seeds) - 1) else {
            let problem = format!("{} seeds from {first} on exceed {}", arguments.seeds, u64::MAX);
            return Err(settings.refuse_value("experiment.seed", problem).into());
        };
        let output = arguments.out.as_deref().map(|out| output_file(out, &settings)).transpose()?;
        Ok(Self {
            policies: PolicyName::all(&arguments.policies)?,
            seeds: (first..=last).collect(),
            output,
            command: command(arguments),
            quiet: arguments.quiet,
            json: arguments.json,
            settings,
            device,
        })
    }
}

/// The file that `--out` means, once it is known that it can be written.
fn output_file(out: &Path, settings: &Settings) -> Result<PathBuf, BadInput> {
    if out.as_os_str().is_empty() {
        return Err(BadInput::new("--out", "the path is empty", "name a file or a folder"));
    }
    let is_folder = out.is_dir() || out.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    let file = if is_folder { out.join(evaluation::NAME) } else { out.to_owned() };
    let world = Some(&*settings.config.world.path).filter(|path| *path != AUTO).map(Path::new);
    if world.is_some_and(|world| folder::is_reserved(&file, world, Some(world))) {
        return Err(BadInput::new(file.display(), "this is a file of the world", "give --out another file"));
    }
    evaluation::check_replaced(&file)?;
    folder::writable(file.parent().unwrap_or(&file))?;
    Ok(file)
}

/// The command as typed, without `--out` and what it prints.
fn command(arguments: &Eval) -> String {
    let mut words = vec!["recsim".to_owned(), "eval".to_owned()];
    words.extend(arguments.settings.typed());
    words.extend(["--policies".to_owned(), arguments.policies.join(",")]);
    words.extend(["--seeds".to_owned(), arguments.seeds.to_string()]);
    words.extend(arguments.rounds.into_iter().flat_map(|rounds| ["--rounds".to_owned(), rounds.to_string()]));
    output::command(&words)
}
