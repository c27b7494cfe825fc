//! Which clusters slates are made of, from round to round.

use super::{Block, Section, numbered, of_each};
use crate::report::plot::{Ink, Stack, Unit, stack};
use crate::report::sources::Named;

pub(super) fn of(evaluations: &[Named]) -> anyhow::Result<Section> {
    let words = "Of all items shown in a round, the share of each cluster: what the policy chose, and what users' lists filled \
                 up.";
    let mut drawn = 0;
    of_each("slates", "Slates over time", words, evaluations, |named, _| {
        let clusters = named.evaluation.target.len();
        let parts: Vec<(String, Ink)> = (0..clusters).map(|n| (format!("cluster {n}"), Ink::Series(n))).collect();
        let mut figures = Vec::new();
        for policy in &named.evaluation.policies {
            let columns = policy.by_round.shown.iter().enumerate().map(|(round, shown)| {
                let all = shown.iter().fold(0_u64, |sum, n| sum.saturating_add(*n)).max(1) as f64;
                (round as f64 + 1.0, shown.iter().map(|&n| n as f64 / all).collect())
            });
            figures.push(stack(Stack {
                id: numbered("slates-policy", drawn),
                title: policy.policy.clone(),
                words: String::new(),
                over: "round",
                measured: ("share of shown items", Unit::Share),
                parts: parts.clone(),
                columns: columns.collect(),
            })?);
            drawn += 1;
        }
        Ok(vec![Block::Figures(figures)])
    })
}
