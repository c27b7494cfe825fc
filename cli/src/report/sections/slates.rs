//! Which clusters slates are made of, from round to round.

use super::{Block, Part, Section, heading, needs_evaluation, numbered};
use crate::report::plot::{Ink, Stack, Unit, stack};
use crate::report::sources::Named;

pub(super) fn of(evaluations: &[Named]) -> anyhow::Result<Section> {
    if evaluations.is_empty() {
        return Ok(needs_evaluation(TITLE));
    }
    let (mut blocks, mut drawn) = (Vec::new(), 0);
    for named in evaluations {
        blocks.extend(heading(&named.name, evaluations.len()));
        let clusters = named.evaluation.target.len();
        let parts: Vec<(String, Ink)> = (0..clusters).map(|n| (format!("cluster {n}"), Ink::Series(n))).collect();
        let mut figures = Vec::new();
        for policy in &named.evaluation.policies {
            let columns = policy.by_round.shown.iter().enumerate().map(|(round, shown)| {
                let all = shown.iter().fold(0_u64, |sum, n| sum.saturating_add(*n)).max(1) as f64;
                (round as f64 + 1.0, shown.iter().map(|&n| n as f64 / all).collect())
            });
            figures.push(stack(Stack {
                id: numbered("slates", drawn),
                title: policy.policy.clone(),
                words: String::new(),
                over: "round",
                measured: ("share of shown items", Unit::Share),
                parts: parts.clone(),
                columns: columns.collect(),
            })?);
            drawn += 1;
        }
        blocks.push(Block::Figures(figures));
    }
    let words = "Of all items shown in a round, the share of each cluster: what the policy chose, and what users' lists filled \
                 up.";
    Ok(Section::There(Part { id: "slates", title: TITLE, words: words.to_owned(), blocks }))
}

const TITLE: &str = "Slates over time";
