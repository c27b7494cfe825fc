//! The names of policies, as `--policies` takes them.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::nearest;
use crate::error::BadInput;

/// A policy, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PolicyName {
    Random,
    Popular,
    Pretrained,
    Greedy,
    Anti,
    RandomFull,
    GreedyFull,
    /// The actor of the run in this folder.
    Actor(PathBuf),
}

impl PolicyName {
    /// Parses names, and appends `random` and `greedy` if they are missing: the normalized area is defined by them.
    ///
    /// # Errors
    /// If a name is unknown or given twice, or an actor names no run.
    pub(super) fn all(texts: &[String]) -> Result<Vec<Self>, BadInput> {
        let mut names = Vec::new();
        for text in texts {
            let name = Self::parse(text)?;
            if names.contains(&name) {
                return Err(BadInput::new(FLAG, format!("`{text}` is given twice"), "leave out one of the two"));
            }
            names.push(name);
        }
        for baseline in [Self::Random, Self::Greedy] {
            if !names.contains(&baseline) {
                names.push(baseline);
            }
        }
        Ok(names)
    }

    fn parse(text: &str) -> Result<Self, BadInput> {
        if let Some((_, name)) = BASELINES.iter().find(|(baseline, _)| *baseline == text) {
            return Ok(name.clone());
        }
        match text.split_once(':') {
            Some((ACTOR, run)) if !run.is_empty() => return Ok(Self::Actor(PathBuf::from(run))),
            Some((ACTOR, _)) => return Err(no_run(text)),
            None if text == ACTOR => return Err(no_run(text)),
            _ => {}
        }
        let word = text.split_once(':').map_or(text, |(word, _)| word);
        let baselines = BASELINES.iter().map(|(baseline, _)| *baseline);
        let remedy = match nearest(word, baselines.clone().chain([ACTOR])) {
            Some((ACTOR, true)) => "did you mean `actor:RUN`?".to_owned(),
            Some((baseline, true)) => format!("did you mean `{baseline}`?"),
            _ => format!("there are {} and actor:RUN", baselines.collect::<Vec<_>>().join(", ")),
        };
        Err(BadInput::new(FLAG, format!("there is no policy `{text}`"), remedy))
    }

    /// The folder of the run, if this is an actor.
    pub(super) fn run(&self) -> Option<&Path> {
        match self {
            Self::Actor(run) => Some(run),
            _ => None,
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match BASELINES.iter().find(|(_, name)| name == self) {
            Some((baseline, _)) => f.write_str(baseline),
            None => write!(f, "{ACTOR}:{}", self.run().unwrap_or(Path::new("")).display()),
        }
    }
}

fn no_run(text: &str) -> BadInput {
    let remedy = "name the folder of a run, such as actor:runs/2025-01-08-0";
    BadInput::new(FLAG, format!("`{text}` names no run"), remedy)
}

const FLAG: &str = "--policies";
const ACTOR: &str = "actor";
const BASELINES: [(&str, PolicyName); 7] = [
    ("random", PolicyName::Random),
    ("popular", PolicyName::Popular),
    ("pretrained", PolicyName::Pretrained),
    ("greedy", PolicyName::Greedy),
    ("anti", PolicyName::Anti),
    ("random-full", PolicyName::RandomFull),
    ("greedy-full", PolicyName::GreedyFull),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_name_round_trips_and_baselines_are_appended() {
        let texts = ["popular", "actor:a:b/c", "greedy"].map(str::to_owned);
        let names = PolicyName::all(&texts).unwrap();
        let written: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(written, ["popular", "actor:a:b/c", "greedy", "random"]);
    }
}
