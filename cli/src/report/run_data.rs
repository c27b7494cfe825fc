//! Reads a run's folder.

use std::fs;
use std::path::Path;

use anyhow::Context;
use recsim_core::session::config::Config;
use recsim_core::session::metrics::{EpisodeReport, RoundReport};

use crate::checkpoint;
use crate::config::{Overrides, Settings};
use crate::error::BadInput;
use crate::files::beliefs::{self, MeanBeliefs};
use crate::files::{lines, names, read_json};
use crate::train::{RunEnd, RunRecord};

/// A run, finished or not.
pub(super) struct RunData {
    /// The folder, as given on the command line.
    pub(super) name: String,
    pub(super) run: RunRecord,
    /// The text of `config.yaml`.
    pub(super) config_text: String,
    /// The configuration that it resolves to.
    pub(super) config: Config,
    pub(super) rounds: Vec<RoundReport>,
    pub(super) episodes: Vec<EpisodeReport>,
    /// `None` if the run has not ended, or was killed.
    pub(super) end: Option<RunEnd>,
    /// `None` if no episode is finished.
    pub(super) beliefs: Option<MeanBeliefs>,
}

impl RunData {
    /// Reads all of a run's records.
    ///
    /// # Errors
    /// If a file is missing, damaged or inconsistent with the others.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let (file, end) = (folder.join(names::CONFIG), folder.join(names::SUMMARY));
        let config = Settings::load(&Overrides { file: Some(file.clone()), ..Overrides::default() })?.config;
        let beliefs = folder.join(names::BELIEFS);
        // Episodes before rounds: a run in progress may finish an episode between the two reads.
        let episodes: Vec<EpisodeReport> = lines::read(&folder.join(names::EPISODES))?;
        let rounds: Vec<RoundReport> = lines::read(&folder.join(names::ROUNDS))?;
        check_rounds(&folder.join(names::ROUNDS), &rounds, &episodes)?;
        check_episodes(&folder.join(names::EPISODES), &episodes)?;
        checkpoint::check_metrics(folder)?;
        Ok(Self {
            name: folder.display().to_string(),
            run: read_json(&folder.join(names::RUN))?,
            config_text: fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?,
            config,
            rounds,
            episodes,
            end: if end.exists() { Some(read_json(&end)?) } else { None },
            beliefs: if beliefs.exists() { Some(beliefs::means(&beliefs)?) } else { None },
        })
    }

    /// Whether both folders hold the same run, which would otherwise count as two seeds.
    pub(super) fn is_the_same_as(&self, other: &Self) -> bool {
        self.run.started == other.run.started && self.config_text == other.config_text
    }

    /// A value of each finished episode that has it, with the episode's number.
    pub(super) fn by_episode(&self, of: impl Fn(&EpisodeReport) -> Option<f64>) -> Vec<(u64, f64)> {
        self.episodes.iter().filter_map(|episode| Some((u64::from(episode.episode), of(episode)?))).collect()
    }

    /// The rounds of an episode.
    pub(super) fn rounds_of(&self, episode: u32) -> impl Iterator<Item = &RoundReport> {
        self.rounds.iter().filter(move |round| round.episode == episode)
    }

    /// `[K]` of mean initial beliefs and `[K]` of the target. The former are `None` if the run's record lacks them.
    pub(super) fn initial_and_target(&self) -> Option<(Option<Vec<f64>>, Vec<f64>)> {
        match &self.run.beliefs {
            Some(beliefs) => {
                let target = beliefs.target.iter().copied().map(f64::from).collect();
                Some((Some(beliefs.initial.clone()), target))
            }
            None => self.beliefs.as_ref().map(|means| (None, means.target.clone())),
        }
    }
}

/// Checks that rounds are consecutive, that their values are possible, and that they cover the finished episodes.
fn check_rounds(path: &Path, rounds: &[RoundReport], episodes: &[EpisodeReport]) -> Result<(), BadInput> {
    let mut previous = (0, 0);
    for (n, round) in rounds.iter().enumerate() {
        let position = format!("{}:{}", path.display(), n + 1);
        let current = (round.episode, round.round);
        if current != (previous.0, previous.1 + 1) && current != (previous.0 + 1, 1)
            || previous.0 == 0 && current != (1, 1)
        {
            let problem = format!(
                "round {} of episode {} follows round {} of episode {}",
                current.1, current.0, previous.1, previous.0
            );
            return Err(lines::damaged(position, &problem));
        }
        check_ranges(&position, round.acceptance_rate, round.mean_distance, round.action_saturation)?;
        previous = current;
    }
    match episodes.last() {
        Some(last) if last.episode > previous.0 => {
            let problem = format!("there are {} finished episodes, and rounds of {}", last.episode, previous.0);
            Err(lines::damaged(path.display(), &problem))
        }
        _ => Ok(()),
    }
}

/// Checks that episodes are numbered from 1 and that their values are possible.
fn check_episodes(path: &Path, episodes: &[EpisodeReport]) -> Result<(), BadInput> {
    for (n, episode) in episodes.iter().enumerate() {
        let position = format!("{}:{}", path.display(), n + 1);
        if episode.episode as usize != n + 1 {
            let problem = format!("`episode` is {}, and {} is expected", episode.episode, n + 1);
            return Err(lines::damaged(position, &problem));
        }
        check_ranges(&position, episode.acceptance_rate, episode.mean_distance, episode.action_saturation)?;
    }
    Ok(())
}

/// Checks that shares lie in 0 to 1, and that a distance is a number from 0 on.
fn check_ranges(position: &str, acceptance: f64, distance: f64, saturation: f64) -> Result<(), BadInput> {
    let values = [
        ("acceptance_rate", acceptance, 1.0),
        ("action_saturation", saturation, 1.0),
        ("mean_distance", distance, f64::MAX),
    ];
    for (key, value, max) in values {
        if !(0.0..=max).contains(&value) {
            return Err(lines::damaged(position, &format!("`{key}` is {value}, which is out of range")));
        }
    }
    Ok(())
}
