//! Arguments as they are typed. What they mean is settled by each command.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::config::Overrides;
use crate::files::names;

/// Simulate the users of a recommender, and train an agent that steers their beliefs towards a target.
#[derive(Debug, Parser)]
#[command(name = "recsim", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the experiment: simulate, train, and leave the results in a folder
    Train(Train),
    /// Print the summary of a run again
    Show(Show),
    /// Print every setting with its value and meaning, as YAML
    Config(Config),
    /// Compare policies: all through the same simulator, with the same users and the same luck
    Eval(Eval),
    /// Show what a run's agent recommends to one user
    Recommend(Recommend),
    /// Draw what runs and evaluations hold, as one HTML file
    Report(Report),
    /// Time the stages of the loop
    Bench(Bench),
    /// Say what each backend finds on this machine
    Doctor {
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Make, import, assemble or look at a world
    World {
        #[command(subcommand)]
        command: crate::world::Command,
        /// Print nothing when it goes well
        #[arg(short, long, global = true)]
        quiet: bool,
        /// Print one line of JSON
        #[arg(long, global = true)]
        json: bool,
        /// Threads; one per core if not given
        #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u32).range(1..=1024))]
        threads: Option<u32>,
    },
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Train {
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// Episodes
    #[arg(long, value_name = "N")]
    pub(crate) episodes: Option<u32>,
    /// Rounds in an episode
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<u32>,
    /// The folder for the results [default: runs/DATE-SEED, in UTC]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<String>,
    /// Use the folder even if it holds a run, which is replaced, or a world
    #[arg(long)]
    pub(crate) force: bool,
    /// Go on with the run in this folder, from its last checkpoint and with its own settings
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "force", "config"])]
    pub(crate) resume: Option<PathBuf>,
    /// Of a run gone on with: a setting that may be another than it was begun with; may be repeated
    #[arg(long, value_name = "KEY", requires = "resume")]
    pub(crate) may_change: Vec<String>,
    /// Have every stage checked against another backend: slow
    #[arg(long, value_name = "BACKEND")]
    pub(crate) shadow: Option<Shadow>,
    /// Write all that happens to the first users into a safetensors file
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// How many users that are [default: 100, or all if fewer are served]
    #[arg(long, value_name = "N", requires = "trace", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) trace_users: Option<u32>,
    /// No progress and no summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print the summary as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What can check another backend.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Shadow {
    Reference,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The run's folder
    pub(crate) run: PathBuf,
    /// Print one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Config {
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
    /// What to time
    #[arg(long, value_delimiter = ',', default_value = "actor,topk,step,round,td3_update,experiment")]
    pub(crate) phases: Vec<Phase>,
    /// Timed repetitions of each phase, after a first call
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reps: u32,
    /// Rounds of the experiment that are really run, the rest extrapolated; 0 runs all
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
    /// The policies to compare: random, popular, pretrained, greedy, anti, random-full, greedy-full, or actor:RUN for
    /// what the run in a folder has learned. The scale needs random and greedy, which are always tried
    #[arg(
        long,
        value_name = "POLICY",
        value_delimiter = ',',
        default_value = "random,popular,pretrained,greedy,anti,random-full,greedy-full"
    )]
    pub(crate) policies: Vec<String>,
    /// How many seeds are tried: the one of --seed, and those that follow it
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) seeds: u32,
    /// Rounds in an episode
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<u32>,
    /// Write everything that was found into this file, or into evaluation.json in this folder
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) out: Option<PathBuf>,
    /// No progress and no tables
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print the metrics of each policy as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Recommend {
    /// The run's folder
    #[arg(long, value_name = "DIR")]
    pub(crate) run: PathBuf,
    /// The user's id, such as U100
    #[arg(long, value_name = "ID")]
    pub(crate) user: String,
    /// Only so many items, all chosen by the agent, and none from the user's list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) top: Option<u32>,
    /// Another world's folder than the run's own
    #[arg(long, value_name = "DIR")]
    pub(crate) world: Option<String>,
    /// cpu, cuda or reference
    #[arg(long, value_name = "BACKEND")]
    pub(crate) backend: Option<String>,
    /// Print one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// Folders of runs, and files of evaluations or folders that hold one. Runs that differ in their seed alone are drawn
    /// as one, with a band
    #[arg(required = true, value_name = "RUN|EVALUATION")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The page, or a folder for it
    #[arg(short, long, value_name = "FILE|DIR", default_value = "report.html")]
    pub(crate) out: PathBuf,
    /// Put every plot as SVG, and its numbers as CSV, into this folder too
    #[arg(long, value_name = "DIR")]
    pub(crate) plots: Option<PathBuf>,
    /// Print nothing when it goes well
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print what was drawn, and what was not, as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A part of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Observe and act, all users
    Actor,
    /// Fill the slates, all users
    Topk,
    /// Respond, transitions written into the ring, all users
    Step,
    /// A whole round without learning
    Round,
    /// One update: a session of 10, divided by 10
    Td3Update,
    /// The whole experiment
    Experiment,
}

/// What several commands say of the configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct SettingsArguments {
    /// A YAML file of settings; `recsim config` prints one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override a setting, such as td3.tau=0.01; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A world's folder [default: the built-in generated world]
    #[arg(long, value_name = "DIR")]
    world: Option<String>,
    /// cpu, cuda or reference
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
    /// Users: sizes the built-in world, and of another takes the first N
    #[arg(long, value_name = "N")]
    users: Option<u32>,
    /// The seed of every draw of the run
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads; one per core if not given. They change no result
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
    /// The instruction set: amx, avx512, avx2, neon or portable; the best if not given. A run is reproducible on
    /// one of them, bit for bit
    #[arg(long, value_name = "SET")]
    isa: Option<String>,
    /// How cuda multiplies matrices: float32, tf32 or bf16; float32 if not given
    #[arg(long, value_name = "PRECISION")]
    precision: Option<String>,
}

impl SettingsArguments {
    /// What they override.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut flags = Vec::new();
        let mut flag = |key, flag, value: Option<Value>| flags.extend(value.map(|value| (key, flag, value)));
        flag("world.path", "--world", self.world.clone().map(Value::from));
        flag("experiment.backend", "--backend", self.backend.clone().map(Value::from));
        flag("experiment.seed", "--seed", self.seed.map(Value::from));
        flag("experiment.threads", "--threads", self.threads.map(Value::from));
        flag("experiment.instruction_set", "--isa", self.isa.clone().map(Value::from));
        flag("experiment.precision", "--precision", self.precision.clone().map(Value::from));
        Overrides { file: self.config.clone(), sets: self.set.clone(), flags, users: self.users }
    }
}

impl SettingsArguments {
    /// What was typed, to be typed again.
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
            ("--isa", self.isa.clone()),
            ("--precision", self.precision.clone()),
        ];
        let sets = self.set.iter().map(|set| ("--set", Some(set.clone())));
        let given = flags.into_iter().chain(sets).filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
        given.flatten().collect()
    }
}

impl Eval {
    /// What they override.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut overrides = self.settings.overrides();
        let rounds = self.rounds.map(Value::from);
        overrides.flags.extend(rounds.map(|rounds| ("training.rounds_per_episode", "--rounds", rounds)));
        overrides
    }
}

impl Recommend {
    /// What they override of the run's own settings.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut flags = Vec::new();
        flags.extend(self.world.clone().map(|world| ("world.path", "--world", Value::from(world))));
        flags.extend(self.backend.clone().map(|backend| ("experiment.backend", "--backend", Value::from(backend))));
        Overrides { file: Some(self.run.join(names::CONFIG)), flags, ..Overrides::default() }
    }
}

impl Train {
    /// What they override.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut overrides = self.settings.overrides();
        let mut flag = |key, flag, value: Option<Value>| {
            overrides.flags.extend(value.map(|value| (key, flag, value)));
        };
        flag("training.episodes", "--episodes", self.episodes.map(Value::from));
        flag("training.rounds_per_episode", "--rounds", self.rounds.map(Value::from));
        flag("experiment.output", "--out", self.out.clone().map(Value::from));
        overrides.file = self.resume.as_ref().map(|run| run.join(names::CONFIG)).or(overrides.file);
        overrides
    }
}
