//! What `fuzz` calls of the command, which it builds as a library: whatever somebody could give it, read and held to what
//! it must be.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser;
use recsim_core::backend::reference::Reference;
use recsim_core::session::Session;
use recsim_core::session::checkpoint::restore_model;
use recsim_core::session::config::Plan;

use crate::arguments::{Arguments, Command};
use crate::config::{self, Overrides, Settings};
use crate::device::Choice;
use crate::files::{hash, models, seal, tables};
use crate::world::WorldFile;
use crate::{checkpoint, eval, source, train, world};

/// Carries out a command line.
pub fn run(words: &[&str]) -> Result<()> {
    crate::run(Arguments::try_parse_from(words)?.command)
}

/// Settles a command line, as far as that can be done without a world, and carries out nothing.
pub fn settle(words: &[String]) -> Result<()> {
    let alone = |overrides: &Overrides| Choice::of(&Settings::load(overrides)?, false).map(drop);
    match Arguments::try_parse_from(words)?.command {
        Command::Train(arguments) => train::settle(&arguments),
        Command::Eval(arguments) => eval::settle(&arguments),
        Command::Recommend(arguments) => Ok(alone(&arguments.overrides())?),
        Command::Config(arguments) => Ok(alone(&arguments.settings.overrides())?),
        Command::Bench(arguments) => Ok(alone(&arguments.settings.overrides())?),
        _ => Ok(()),
    }
}

/// Reads a file of settings, and prints what it comes to.
pub fn settings(file: &Path) -> Result<String> {
    let overrides = Overrides { file: Some(file.to_owned()), ..Overrides::default() };
    Ok(config::annotated(&Settings::load(&overrides)?.config))
}

/// What `recsim world import` or `assemble` makes of its files: it must be a world in order.
pub fn make(words: &[&str]) -> Result<()> {
    let Command::World { command, .. } = Arguments::try_parse_from(words)?.command else { return Ok(()) };
    let made = world::made(&command)?.context("this command reads no files")?;
    made.view().expect("what is made is in order");
    Ok(())
}

/// Opens a world's folder and looks through all of it.
pub fn open_world(dir: &Path) -> Result<()> {
    world::open(dir)?.view()?;
    Ok(())
}

/// Puts a world's checksums right, whatever its files hold.
pub fn seal_world(about: &mut [u8], tensors: &[u8]) {
    let digits = hash::text(sha2::Digest::new_with_prefix(tensors));
    let key = b"\"world.safetensors\": \"";
    if let Some(at) = about.windows(key.len()).position(|window| window == key) {
        let place = about[at + key.len()..].iter_mut().zip(digits.bytes());
        place.for_each(|(old, new)| *old = new);
    }
    seal_again(about, "\"world.json\": \"");
}

/// Puts the checksum right that a model file holds.
pub fn seal_model(bytes: &mut [u8]) {
    seal_again(bytes, r#"\"sha256\":\""#);
}

/// The sums of a checkpoint's files, given with their names.
pub fn sums<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    files.map(|(name, bytes)| hash::text(sha2::Digest::new_with_prefix(bytes)) + "  " + name + "\n").collect()
}

fn seal_again(bytes: &mut [u8], key: &str) {
    let place = bytes.windows(key.len()).position(|window| window == key.as_bytes()).map(|at| at + key.len());
    if let Some(digits) = place.and_then(|at| bytes.get_mut(at..at + seal::ZEROS.len())) {
        digits.copy_from_slice(seal::ZEROS.as_bytes());
        seal::put(bytes, key);
    }
}

/// A run's settings and its world.
pub struct Experiment {
    world: WorldFile,
    plan: Plan,
}

impl Experiment {
    /// Of the run in a folder.
    pub fn of(run: &Path) -> Result<Self> {
        let overrides = Overrides { file: Some(run.join("config.yaml")), ..Overrides::default() };
        let settings = Settings::load(&overrides)?;
        let world = source::world(&settings, Some(1), true)?;
        let plan = settings.config.plan(&world.view()?)?;
        Ok(Self { world, plan })
    }

    /// Goes on from the newest checkpoint in the folder, for a round.
    pub fn go_on(&self, run: &Path) -> Result<()> {
        let (found, _) = checkpoint::newest(run)?;
        let state = found.context("there is no checkpoint")?.state(&self.plan.agent)?;
        let world = self.world.view()?;
        state.check(&self.plan, &world)?;
        let mut session = Session::resume(Reference::<f32>::default(), &world, self.plan.clone(), &state)
            .expect("a state that was checked");
        if !session.is_finished() {
            session.round(&mut || 0.0)?;
        }
        Ok(())
    }

    /// Reads the actor's model file; whether it has a checksum.
    pub fn actor(&self, bytes: &[u8]) -> Result<bool> {
        let layout = &self.plan.agent.actor;
        let model = models::parse(bytes, layout, &self.plan).map_err(anyhow::Error::msg)?;
        let weights = restore_model(layout, |name| tables::find(&model.tables, name))?;
        assert!(weights.parameters.iter().chain(&weights.running_stats).all(|x| x.is_finite()));
        Ok(model.is_sealed)
    }
}
