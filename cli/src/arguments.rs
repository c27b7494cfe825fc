//! Command-line arguments. Each command interprets its own.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::config::{self, Overrides};
use crate::files::names;

/// Simulate users of a recommender system, and train a TD3 agent that moves their beliefs toward a target.
#[derive(Debug, Parser)]
#[command(name = "recsim", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an experiment: simulate users, train the agent, and write the results to a folder
    Train(Train),
    /// Print the summary of a run
    Show(Show),
    /// Print all settings with their values and meanings, as YAML
    Config(ConfigArguments),
    /// Compare policies on the same users with the same random draws
    Eval(Eval),
    /// Show what a run's agent recommends to one user
    Recommend(Recommend),
    /// Plot runs and evaluations in one HTML file
    Report(Report),
    /// Measure how long the stages of the loop take
    Bench(Bench),
    /// Show which backends this machine supports
    Doctor {
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Generate, import, assemble or describe a world
    World {
        #[command(subcommand)]
        command: crate::world::WorldCommand,
        /// Print nothing on success
        #[arg(short, long, global = true)]
        quiet: bool,
        /// Print one line of JSON
        #[arg(long, global = true)]
        json: bool,
        /// Number of threads [default: one per core]
        #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u32).range(1..=1024))]
        threads: Option<u32>,
    },
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Train {
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// Number of episodes
    #[arg(long, value_name = "N")]
    pub(crate) episodes: Option<u32>,
    /// Rounds in an episode
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<u32>,
    /// Folder for the results [default: runs/DATE-SEED, in UTC]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<String>,
    /// Use the folder even if it contains a run, which is replaced, or a world
    #[arg(long)]
    pub(crate) force: bool,
    /// Resume the run in this folder, from its last checkpoint and with its own settings
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "force", "config"])]
    pub(crate) resume: Option<PathBuf>,
    /// Allow a resumed run to use another value of this setting than before; may be repeated
    #[arg(
        long = "allow-config-change",
        alias = "may-change",
        value_name = "KEY",
        requires = "resume",
        value_parser = changeable_key
    )]
    pub(crate) allow_config_change: Vec<String>,
    /// Check every stage against another backend; slow
    #[arg(long, value_name = "BACKEND")]
    pub(crate) shadow: Option<ShadowChoice>,
    /// Write every step of the first users to this safetensors file
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Number of users in the trace [default: 100, or all if fewer are served]
    #[arg(long, value_name = "N", requires = "trace", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) trace_users: Option<u32>,
    /// Print no progress and no summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print the summary as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The backend that checks another one.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ShadowChoice {
    Reference,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Folder of the run
    pub(crate) run: PathBuf,
    /// Print one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArguments {
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// Print one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// Phases to measure
    #[arg(long, value_delimiter = ',', default_value = "actor,topk,step,round,td3_update,experiment")]
    pub(crate) phases: Vec<Phase>,
    /// Timed repetitions of each phase, after one call that is not counted
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reps: u32,
    /// Rounds of the experiment to run; the time of the others is extrapolated; 0: run all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) run_rounds: u32,
    /// Print JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Eval {
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// Policies to compare: random, popular, pretrained, greedy, anti, random-full, greedy-full, or actor:RUN for the
    /// trained actor of a run. random and greedy always take part: they define the scale
    #[arg(
        long,
        value_name = "POLICY",
        value_delimiter = ',',
        default_value = "random,popular,pretrained,greedy,anti,random-full,greedy-full"
    )]
    pub(crate) policies: Vec<String>,
    /// Number of seeds: the one of --seed and those that follow it
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) seeds: u32,
    /// Rounds in an episode
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<u32>,
    /// Write all results to this file, or to evaluation.json in this folder
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print no progress and no tables
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print the metrics of each policy as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Recommend {
    /// Folder of the run
    #[arg(long, value_name = "DIR")]
    pub(crate) run: PathBuf,
    /// Id of the user, such as U100
    #[arg(long, value_name = "ID")]
    pub(crate) user: String,
    /// Show N items, all selected by the agent and none from the user's pre-trained list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top: Option<u32>,
    /// Folder of a world to use instead of the run's own
    #[arg(long, value_name = "DIR")]
    pub(crate) world: Option<String>,
    /// Backend: cpu, cuda or reference
    #[arg(long, value_name = "BACKEND")]
    pub(crate) backend: Option<String>,
    /// Print one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// Folders of runs, and evaluation files or folders that contain one. Runs that differ only in their seed are drawn
    /// as one line with a band
    #[arg(required = true, value_name = "RUN|EVALUATION")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The HTML file, or a folder for it
    #[arg(short, long, value_name = "FILE|DIR", default_value = "report.html")]
    pub(crate) out: PathBuf,
    /// Also write every plot as SVG, and its values as CSV, to this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) plots: Option<PathBuf>,
    /// Print nothing on success
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print which plots were drawn and which were left out, as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A part of the loop that `recsim bench` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Observe and act, for all users
    Actor,
    /// Fill the slates, for all users
    Topk,
    /// Respond and store the transitions, for all users
    Step,
    /// A whole round without training
    Round,
    /// One update: the time of a training session divided by its updates, 10 unless td3.gradient_steps is set
    Td3Update,
    /// The whole experiment
    Experiment,
}

/// Options for the configuration, shared by several commands.
#[derive(Debug, clap::Args)]
pub(crate) struct SettingsArguments {
    /// YAML file of settings; `recsim config` prints one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override a setting, such as td3.tau=0.01; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of a world [default: the built-in synthetic world]
    #[arg(long, value_name = "DIR")]
    world: Option<String>,
    /// Backend: cpu, cuda or reference
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
    /// Number of users: the size of the built-in world, or the first N users of another
    #[arg(long, value_name = "N")]
    users: Option<u32>,
    /// Seed of all random draws
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Number of threads [default: one per core]; changes no result
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
    /// Instruction set of the cpu backend: amx, avx512, avx2, neon or portable [default: the best]. With a given set,
    /// a run has the same bits on every machine
    #[arg(long, visible_alias = "isa", value_name = "SET")]
    instruction_set: Option<String>,
    /// Precision of matrix products on cuda: float32, tf32 or bf16 [default: float32]
    #[arg(long, value_name = "PRECISION")]
    precision: Option<String>,
}

impl SettingsArguments {
    /// The settings that these options override.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut flags = Vec::new();
        let mut flag = |key, flag, value: Option<Value>| flags.extend(value.map(|value| (key, flag, value)));
        flag("world.path", "--world", self.world.clone().map(Value::from));
        flag("experiment.backend", "--backend", self.backend.clone().map(Value::from));
        flag("experiment.seed", "--seed", self.seed.map(Value::from));
        flag("experiment.threads", "--threads", self.threads.map(Value::from));
        flag("experiment.instruction_set", "--instruction-set", self.instruction_set.clone().map(Value::from));
        flag("experiment.precision", "--precision", self.precision.clone().map(Value::from));
        let (file, sets) = (self.config.clone(), self.set.clone());
        Overrides { file, warns_of_old_names: true, sets, flags, users: self.users }
    }
}

impl SettingsArguments {
    /// The options as command-line words, for a command that can be repeated.
    pub(crate) fn typed(&self) -> Vec<String> {
        let path = self.config.as_ref().map(|path| path.display().to_string());
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let flags = [
            ("--config", path),
            ("--world", self.world.clone()),
            ("--backend", self.backend.clone()),
            ("--users", number(self.users)),
            ("--seed", self.seed.map(|seed| seed.to_string())),
            ("--threads", number(self.threads)),
            ("--instruction-set", self.instruction_set.clone()),
            ("--precision", self.precision.clone()),
        ];
        let sets = self.set.iter().map(|set| ("--set", Some(set.clone())));
        let given = flags.into_iter().chain(sets).filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
        given.flatten().collect()
    }
}

impl Eval {
    /// The settings that these options override.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut overrides = self.settings.overrides();
        let rounds = self.rounds.map(Value::from);
        overrides.flags.extend(rounds.map(|rounds| ("training.rounds_per_episode", "--rounds", rounds)));
        overrides
    }
}

impl Recommend {
    /// The run's own settings, and what these options override of them.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut flags = Vec::new();
        flags.extend(self.world.clone().map(|world| ("world.path", "--world", Value::from(world))));
        flags.extend(self.backend.clone().map(|backend| ("experiment.backend", "--backend", Value::from(backend))));
        Overrides { file: Some(self.run.join(names::CONFIG)), flags, ..Overrides::default() }
    }
}

impl Train {
    /// The settings that these options override.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut overrides = self.settings.overrides();
        let mut flag = |key, flag, value: Option<Value>| {
            overrides.flags.extend(value.map(|value| (key, flag, value)));
        };
        flag("training.episodes", "--episodes", self.episodes.map(Value::from));
        flag("training.rounds_per_episode", "--rounds", self.rounds.map(Value::from));
        flag("experiment.output", "--out", self.out.clone().map(Value::from));
        if let Some(run) = &self.resume {
            overrides.file = Some(run.join(names::CONFIG));
            overrides.warns_of_old_names = false;
        }
        overrides
    }
}

/// The current name of a key given with `--allow-config-change`.
fn changeable_key(key: &str) -> Result<String, Infallible> {
    Ok(config::current_key("--allow-config-change", key))
}
