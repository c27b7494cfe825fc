//! Policies by their names.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::nearest;
use crate::error::BadInput;

/// A policy that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Random,
    Popular,
    Pretrained,
    Greedy,
    Anti,
    RandomFull,
    GreedyFull,
    /// What a run has learned.
    Actor(PathBuf),
}

impl Name {
    /// The policies of these names, each but once, and the two that the scale needs.
    pub(super) fn all(texts: &[String]) -> Result<Vec<Self>, BadInput> {
        let mut names = Vec::new();
        for text in texts {
            let name = Self::parse(text)?;
            if names.contains(&name) {
                return Err(BadInput::new(FLAG, format!("`{text}` is given twice"), "leave out one of the two"));
            }
            names.push(name);
        }
        for end in [Self::Random, Self::Greedy] {
            if !names.contains(&end) {
                names.push(end);
            }
        }
        Ok(names)
    }

    fn parse(text: &str) -> Result<Self, BadInput> {
        if let Some((_, name)) = KNOWN.iter().find(|(known, _)| *known == text) {
            return Ok(name.clone());
        }
        match text.split_once(':') {
            Some((ACTOR, run)) if !run.is_empty() => return Ok(Self::Actor(PathBuf::from(run))),
            Some((ACTOR, _)) => return Err(no_run(text)),
            None if text == ACTOR => return Err(no_run(text)),
            _ => {}
        }
        let word = text.split_once(':').map_or(text, |(word, _)| word);
        let known = KNOWN.iter().map(|(known, _)| *known).chain([ACTOR]);
        let remedy = match nearest(word, known) {
            Some((ACTOR, true)) => "did you mean `actor:RUN`?".to_owned(),
            Some((known, true)) => format!("did you mean `{known}`?"),
            _ => {
                let known: Vec<&str> = KNOWN.iter().map(|(known, _)| *known).collect();
                format!("there are {} and actor:RUN", known.join(", "))
            }
        };
        Err(BadInput::new(FLAG, format!("there is no policy `{text}`"), remedy))
    }

    /// The folder of the run, of an actor.
    pub(super) fn run(&self) -> Option<&Path> {
        match self {
            Self::Actor(run) => Some(run),
            _ => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KNOWN.iter().find(|(_, name)| name == self) {
            Some((known, _)) => f.write_str(known),
            None => write!(f, "{ACTOR}:{}", self.run().unwrap_or(Path::new("")).display()),
        }
    }
}

fn no_run(text: &str) -> BadInput {
    let remedy = "name the folder of a run, such as actor:runs/2025-01-08-0";
    BadInput::new(FLAG, format!("`{text}` does not say whose actor"), remedy)
}

const FLAG: &str = "--policies";
const ACTOR: &str = "actor";
const KNOWN: [(&str, Name); 7] = [
    ("random", Name::Random),
    ("popular", Name::Popular),
    ("pretrained", Name::Pretrained),
    ("greedy", Name::Greedy),
    ("anti", Name::Anti),
    ("random-full", Name::RandomFull),
    ("greedy-full", Name::GreedyFull),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_it_is_read_and_the_scale_is_never_missing() {
        let texts = ["popular", "actor:a:b/c", "greedy"].map(str::to_owned);
        let names = Name::all(&texts).unwrap();
        let written: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(written, ["popular", "actor:a:b/c", "greedy", "random"]);
    }
}
