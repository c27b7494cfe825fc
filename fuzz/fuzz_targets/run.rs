//! A small run that was stopped in the midst of an episode, by its files.

use std::path::PathBuf;

use recsim_cli::fuzzing::{Experiment, run};

use crate::place::Place;

pub struct Run {
    pub place: Place,
    pub experiment: Experiment,
}

impl Run {
    pub fn new() -> Self {
        let place = Place::new();
        let settings = place.write("settings.yaml", SETTINGS).display().to_string();
        let folder = place.path("run").display().to_string();
        run(&["recsim", "train", "-q", "--config", &settings, "--out", &folder]).expect("a run");
        let experiment = Experiment::of(&place.path("run")).expect("the run's own settings");
        Self { place, experiment }
    }

    pub fn path(&self) -> PathBuf {
        self.place.path("run")
    }
}

/// Two rounds, the last with learning, and a ring that overflows.
const SETTINGS: &str = "
training: {episodes: 1, rounds_per_episode: 2, warmup_transitions: 4, train_frequency: 2}
td3: {hidden_sizes: [2], batch_size: 2, gradient_steps: 2, buffer_size: 7}
recommendation: {rl_list_size: 1, total_recommendations: 2}
experiment: {backend: reference, threads: 1}
world: {users: 6, items: 8, clusters: 2, dim: 2}
";
