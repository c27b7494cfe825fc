//! A run's folder, read.

use std::fs;
use std::path::Path;

use anyhow::Context;
use recsim_core::session::config::Config;
use recsim_core::session::metrics::{EpisodeReport, RoundReport};

use crate::checkpoint;
use crate::config::{Overrides, Settings};
use crate::error::BadInput;
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
        // In this order: a run that goes on may finish an episode between.
        let episodes: Vec<EpisodeReport> = lines::read(&folder.join(names::EPISODES))?;
        let rounds: Vec<RoundReport> = lines::read(&folder.join(names::ROUNDS))?;
        rounds_agree(&folder.join(names::ROUNDS), &rounds, &episodes)?;
        episodes_agree(&folder.join(names::EPISODES), &episodes)?;
        checkpoint::check_metrics(folder)?;
        Ok(Self {
            name: folder.display().to_string(),
            run: read_json(&folder.join(names::RUN))?,
            settings: fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?,
            config,
            rounds,
            episodes,
            end: if end.exists() { Some(read_json(&end)?) } else { None },
            beliefs: if beliefs.exists() { Some(beliefs::means(&beliefs)?) } else { None },
        })
    }

    /// Whether two folders hold one run: it would count as two seeds.
    pub(super) fn is_the_same_as(&self, other: &Self) -> bool {
        self.run.started == other.run.started && self.settings == other.settings
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

/// Refuses rounds that do not follow one another, that no run can have had, or that episodes lack.
fn rounds_agree(path: &Path, rounds: &[RoundReport], episodes: &[EpisodeReport]) -> Result<(), BadInput> {
    let mut before = (0, 0);
    for (n, round) in rounds.iter().enumerate() {
        let place = format!("{}:{}", path.display(), n + 1);
        let now = (round.episode, round.round);
        if now != (before.0, before.1 + 1) && now != (before.0 + 1, 1) || before.0 == 0 && now != (1, 1) {
            let problem =
                format!("round {} of episode {} follows round {} of episode {}", now.1, now.0, before.1, before.0);
            return Err(lines::damaged(place, &problem));
        }
        possible(&place, round.acceptance_rate, round.mean_distance, round.action_saturation)?;
        before = now;
    }
    match episodes.last() {
        Some(last) if last.episode > before.0 => {
            let problem = format!("there are {} finished episodes, and rounds of {}", last.episode, before.0);
            Err(lines::damaged(path.display(), &problem))
        }
        _ => Ok(()),
    }
}

/// The same of episodes.
fn episodes_agree(path: &Path, episodes: &[EpisodeReport]) -> Result<(), BadInput> {
    for (n, episode) in episodes.iter().enumerate() {
        let place = format!("{}:{}", path.display(), n + 1);
        if episode.episode as usize != n + 1 {
            let problem = format!("`episode` is {} where {} is due", episode.episode, n + 1);
            return Err(lines::damaged(place, &problem));
        }
        possible(&place, episode.acceptance_rate, episode.mean_distance, episode.action_saturation)?;
    }
    Ok(())
}

/// Refuses what no user can have done.
fn possible(place: &str, acceptance: f64, distance: f64, saturation: f64) -> Result<(), BadInput> {
    let values = [
        ("acceptance_rate", acceptance, 1.0),
        ("action_saturation", saturation, 1.0),
        ("mean_distance", distance, f64::MAX),
    ];
    for (key, value, most) in values {
        if !(0.0..=most).contains(&value) {
            return Err(lines::damaged(place, &format!("`{key}` is {value}, which no run can have had")));
        }
    }
    Ok(())
}
