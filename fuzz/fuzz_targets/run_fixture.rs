//! The files of a small run.

use std::path::PathBuf;

use recsim_cli::fuzzing::{RunFixture, run};

use crate::fuzz_dir::FuzzDir;

pub struct RunFiles {
    pub dir: FuzzDir,
    pub run: RunFixture,
}

impl RunFiles {
    pub fn new() -> Self {
        let dir = FuzzDir::new();
        let settings = dir.write("settings.yaml", SETTINGS).display().to_string();
        let folder = dir.path("run").display().to_string();
        run(&["recsim", "train", "-q", "--config", &settings, "--out", &folder]).expect("a run");
        let run = RunFixture::open(&dir.path("run")).expect("the run's own settings");
        Self { dir, run }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path("run")
    }
}

/// Two rounds, the last with updates, and a replay buffer that is too small for both.
const SETTINGS: &str = "
training: {episodes: 1, rounds_per_episode: 2, warmup_transitions: 4, train_frequency: 2}
td3: {hidden_sizes: [2], batch_size: 2, gradient_steps: 2, buffer_size: 7}
recommendation: {rl_list_size: 1, total_recommendations: 2}
experiment: {backend: reference, threads: 1}
world: {users: 6, items: 8, clusters: 2, dimensions: 2}
";
