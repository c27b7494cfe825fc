//! Where users begin, where they come to, and where they were to go.

use super::{Block, Part, Section, heading, inks, numbered};
use crate::report::groups::Group;
use crate::report::plot::{Figure, Ink, Radar, radar};
use crate::report::sources::Named;

pub(super) fn of(groups: &[Group<'_>], evaluations: &[Named]) -> anyhow::Result<Section> {
    let mut figures = Vec::new();
    for run in groups.iter().flat_map(|group| &group.runs) {
        let Some((means, (initial, target))) = run.beliefs.as_ref().zip(run.steered()) else { continue };
        if means.beliefs.len() != target.len() || initial.as_ref().is_some_and(|own| own.len() != target.len()) {
            continue;
        }
        let words = match initial {
            Some(_) => "In training, exploration included.",
            None => "In training, exploration included. Where its users began, this run's record does not say.",
        };
        let before = initial.map(|initial| ("before".to_owned(), BEFORE, initial));
        let after = (format!("after episode {}", means.episode), Ink::Series(0), means.beliefs.clone());
        figures.push(radar(Radar {
            id: numbered("beliefs-run", figures.len()),
            title: run.name.clone(),
            words: words.to_owned(),
            target,
            beliefs: before.into_iter().chain([after]).collect(),
        })?);
    }
    let mut blocks = if figures.is_empty() { Vec::new() } else { vec![Block::Figures(figures)] };
    let mut drawn = 0;
    for named in evaluations {
        let mut figures = Vec::new();
        for (policy, ink) in named.evaluation.policies.iter().zip(inks(named)) {
            let Some(last) = policy.beliefs.last() else { continue };
            figures.push(of_policy(named, &policy.policy, ink, last, drawn)?);
            drawn += 1;
        }
        blocks.extend(heading(&named.name, evaluations.len()));
        blocks.push(Block::Figures(figures));
    }
    if blocks.is_empty() {
        let why = "no run has finished an episode, and no evaluation was given".to_owned();
        return Ok(Section::Missing { title: TITLE, why });
    }
    let words = "The mean of the users' beliefs. Each axis is a cluster, and ends at the target's belief in it, so that the \
                 target is the outer polygon whatever the clusters' sizes; the numbers have the beliefs themselves.";
    Ok(Section::There(Part { id: "beliefs", title: TITLE, words: words.to_owned(), blocks }))
}

fn of_policy(named: &Named, policy: &str, ink: Ink, last: &[f64], n: usize) -> anyhow::Result<Figure> {
    let evaluation = &named.evaluation;
    let after = format!("after round {}", evaluation.rounds);
    radar(Radar {
        id: numbered("beliefs-policy", n),
        title: policy.to_owned(),
        words: String::new(),
        target: evaluation.target.iter().copied().map(f64::from).collect(),
        beliefs: vec![
            ("before".to_owned(), BEFORE, evaluation.initial_beliefs.clone()),
            (after, ink, last.to_vec()),
        ],
    })
}

const TITLE: &str = "Beliefs before, after, and the target";
const BEFORE: Ink = Ink::Series(4);
