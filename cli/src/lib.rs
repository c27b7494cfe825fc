//! The `recsim` command. It is a library so that the fuzz targets can call its parsers. It has no public interface for
//! other crates.

mod arguments;
mod bench;
mod checkpoint;
mod config;
mod device;
mod doctor;
mod error;
mod eval;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod interrupt;
mod learned;
mod memory;
mod output;
mod progress;
#[cfg(test)]
mod properties;
mod recommend;
mod report;
mod source;
mod train;
mod world;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command};

/// Runs the command line of this process. Returns the exit code.
pub fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<error::OutputClosed>() => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("error: {error:#}"));
            if let Some(remedy) = error::remedy_of(&error) {
                output::note(&format!("  help: {remedy}"));
            }
            ExitCode::from(error::exit_code(&error))
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Train(arguments) => train::run(&arguments),
        Command::Recommend(arguments) => recommend::run(&arguments),
        Command::Show(arguments) => train::show(&arguments),
        Command::Config(arguments) => {
            let settings = config::Settings::load(&arguments.settings.overrides())?;
            if arguments.json {
                return output::json(&settings.config);
            }
            output::text(&config::annotated(&settings.config))
        }
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Doctor { json } => doctor::run(json),
        Command::World { command, quiet, json, threads } => {
            world::run(command, quiet, json, threads.map(|threads| threads as usize))
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "recsim", &mut script);
            output::text(&String::from_utf8_lossy(&script))
        }
    }
}

/// The Rust examples of the documents, compiled and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct ReadmeExamples;
    #[doc = include_str!("../../docs/embedding.md")]
    struct EmbeddingExamples;
    #[doc = include_str!("../../docs/evaluation.md")]
    struct EvaluationExamples;
}
