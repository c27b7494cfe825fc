//! The entry points of the fuzz targets. Each reads untrusted input and asserts that an accepted input is valid.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser;
use recsim_core::backend::reference::Reference;
use recsim_core::session::Session;
use recsim_core::session::checkpoint::restore_model;
use recsim_core::session::config::Plan;

use crate::arguments::{Arguments, Command};
use crate::config::{self, Overrides, Settings};
use crate::device::DeviceChoice;
use crate::files::{embedded_checksum, hash, models, tensors};
use crate::world::WorldFile;
use crate::{checkpoint, eval, source, train, world};

/// Runs a command line. `words` starts with the program's name.
///
/// # Errors
/// If the command fails.
pub fn run(words: &[&str]) -> Result<()> {
    crate::run(Arguments::try_parse_from(words)?.command)
}

/// Resolves the options of a command line, as far as that needs no world, without running it.
///
/// # Errors
/// If an argument or a setting is invalid.
pub fn check_arguments(words: &[String]) -> Result<()> {
    let check_settings = |overrides: &Overrides| DeviceChoice::of(&Settings::load(overrides)?, false).map(drop);
    match Arguments::try_parse_from(words)?.command {
        Command::Train(arguments) => train::check_arguments(&arguments),
        Command::Eval(arguments) => eval::check_arguments(&arguments),
        Command::Recommend(arguments) => Ok(check_settings(&arguments.overrides())?),
        Command::Config(arguments) => Ok(check_settings(&arguments.settings.overrides())?),
        Command::Bench(arguments) => Ok(check_settings(&arguments.settings.overrides())?),
        _ => Ok(()),
    }
}

/// Reads a configuration file, and returns all settings as resolved, in YAML.
///
/// # Errors
/// If the file is not a valid configuration.
pub fn settings(file: &Path) -> Result<String> {
    let overrides = Overrides { file: Some(file.to_owned()), ..Overrides::default() };
    Ok(config::annotated(&Settings::load(&overrides)?.config))
}

/// Builds the world of a `recsim world import` or `assemble` command line in memory.
///
/// # Panics
/// If the world that was built is invalid.
///
/// # Errors
/// If an input file is refused.
pub fn build_world(words: &[&str]) -> Result<()> {
    let Command::World { command, .. } = Arguments::try_parse_from(words)?.command else { return Ok(()) };
    let world = world::made(&command)?.context("this command reads no files")?;
    world.view().expect("a world that was built is valid");
    Ok(())
}

/// Opens a world's folder and checks all of it.
///
/// # Errors
/// If a file is missing, damaged or invalid.
pub fn open_world(dir: &Path) -> Result<()> {
    world::open(dir)?.view()?;
    Ok(())
}

/// Replaces the checksums in `world.json` by those of the files as they are.
pub fn update_world_checksums(about: &mut [u8], tensors: &[u8]) {
    let digits = hash::text(sha2::Digest::new_with_prefix(tensors));
    let key = b"\"world.safetensors\": \"";
    if let Some(at) = about.windows(key.len()).position(|window| window == key) {
        let old_digits = about[at + key.len()..].iter_mut();
        old_digits.zip(digits.bytes()).for_each(|(old, new)| *old = new);
    }
    update_checksum(about, "\"world.json\": \"");
}

/// Replaces the checksum in a model file by that of its bytes as they are.
pub fn update_model_checksum(bytes: &mut [u8]) {
    update_checksum(bytes, r#"\"sha256\":\""#);
}

/// The text of a checkpoint's `SHA256SUMS`. `files` are names and contents.
pub fn checksums<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    files.map(|(name, bytes)| hash::text(sha2::Digest::new_with_prefix(bytes)) + "  " + name + "\n").collect()
}

fn update_checksum(bytes: &mut [u8], key: &str) {
    let offset = bytes.windows(key.len()).position(|window| window == key.as_bytes()).map(|at| at + key.len());
    if let Some(digits) = offset.and_then(|at| bytes.get_mut(at..at + embedded_checksum::ZEROS.len())) {
        digits.copy_from_slice(embedded_checksum::ZEROS.as_bytes());
        embedded_checksum::insert(bytes, key);
    }
}

/// The plan and the world of a run.
pub struct RunFixture {
    world: WorldFile,
    plan: Plan,
}

impl RunFixture {
    /// Reads the settings of the run in a folder, and builds or opens its world.
    ///
    /// # Errors
    /// If its `config.yaml` or its world is invalid.
    pub fn open(run: &Path) -> Result<Self> {
        let overrides = Overrides { file: Some(run.join("config.yaml")), ..Overrides::default() };
        let settings = Settings::load(&overrides)?;
        let world = source::world(&settings, Some(1), true)?;
        let plan = settings.config.plan(&world.view()?)?;
        Ok(Self { world, plan })
    }

    /// Resumes from the newest checkpoint in the folder, and plays one round.
    ///
    /// # Errors
    /// If the checkpoint is missing, damaged or does not fit this run.
    pub fn resume_one_round(&self, run: &Path) -> Result<()> {
        let (newest, _) = checkpoint::newest(run)?;
        let state = newest.context("there is no checkpoint")?.state(&self.plan.agent)?;
        let world = self.world.view()?;
        state.check(&self.plan, &world)?;
        let mut session = Session::resume(Reference::<f32>::default(), &world, self.plan.clone(), &state)
            .expect("the state was checked");
        if !session.is_finished() {
            session.round(&mut || 0.0)?;
        }
        Ok(())
    }

    /// Parses the bytes of the actor's model file. Returns whether it has a checksum.
    ///
    /// # Panics
    /// If a weight that was accepted is not finite.
    ///
    /// # Errors
    /// If the file is damaged or does not fit this run.
    pub fn read_actor(&self, bytes: &[u8]) -> Result<bool> {
        let layout = &self.plan.agent.actor;
        let model = models::parse(bytes, layout, &self.plan).map_err(anyhow::Error::msg)?;
        let weights = restore_model(layout, |name| tensors::find(&model.tensors, name))?;
        assert!(weights.parameters.iter().chain(&weights.running_stats).all(|x| x.is_finite()));
        Ok(model.has_checksum)
    }
}
