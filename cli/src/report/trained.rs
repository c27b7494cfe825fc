//! A run's folder, read.

use std::fs;
use std::path::Path;

use anyhow::Context;
use recsim_core::config::Config;
use recsim_core::metrics::{EpisodeReport, RoundReport};

use crate::config::{Overrides, Settings};
use crate::files::beliefs::{self, Means};
use crate::files::{lines, names, read_json};
use crate::train::{End, Run};

/// A run, as far as it has come.
pub(super) struct Trained {
    /// Its folder, as it was given.
    pub(super) name: String,
    pub(super) run: Run,
    /// `config.yaml`, as text and as it is meant.
    pub(super) settings: String,
    pub(super) config: Config,
    pub(super) rounds: Vec<RoundReport>,
    pub(super) episodes: Vec<EpisodeReport>,
    /// None if the run goes on, or could not say how it ended.
    pub(super) end: Option<End>,
    /// None if no episode was finished.
    pub(super) beliefs: Option<Means>,
}

impl Trained {
    /// Reads all of it.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let (file, end) = (folder.join(names::CONFIG), folder.join(names::SUMMARY));
        let config = Settings::load(&Overrides { file: Some(file.clone()), ..Overrides::default() })?.config;
        let beliefs = folder.join(names::BELIEFS);
        Ok(Self {
            name: folder.display().to_string(),
            run: read_json(&folder.join(names::RUN))?,
            settings: fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?,
            config,
            rounds: lines::read(&folder.join(names::ROUNDS))?,
            episodes: lines::read(&folder.join(names::EPISODES))?,
            end: if end.exists() { Some(read_json(&end)?) } else { None },
            beliefs: if beliefs.exists() { Some(beliefs::means(&beliefs)?) } else { None },
        })
    }

    /// A value of each finished episode.
    pub(super) fn by_episode(&self, of: impl Fn(&EpisodeReport) -> Option<f64>) -> Vec<(u64, f64)> {
        self.episodes.iter().filter_map(|episode| Some((u64::from(episode.episode), of(episode)?))).collect()
    }

    /// The rounds of an episode.
    pub(super) fn rounds_of(&self, episode: u32) -> impl Iterator<Item = &RoundReport> {
        self.rounds.iter().filter(move |round| round.episode == episode)
    }

    /// Where the users begin, and where they are to go; the first none if the run does not say.
    pub(super) fn steered(&self) -> Option<(Option<Vec<f64>>, Vec<f64>)> {
        match &self.run.beliefs {
            Some(steered) => {
                let target = steered.target.iter().copied().map(f64::from).collect();
                Some((Some(steered.initial.clone()), target))
            }
            None => self.beliefs.as_ref().map(|means| (None, means.target.clone())),
        }
    }
}
