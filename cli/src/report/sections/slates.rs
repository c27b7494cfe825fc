//! The clusters of slates' items, by round.

use super::{ReportBlock, Section, numbered, of_each_evaluation};
use crate::report::plot::{AxisUnit, PlotColor, StackPlot, stack};
use crate::report::sources::NamedEvaluation;

pub(super) fn of(evaluations: &[NamedEvaluation]) -> anyhow::Result<Section> {
    let intro = "The share of each cluster among all items shown in a round: those that the policy selected and \
                 those from users' pre-trained lists.";
    let mut num_figures = 0;
    of_each_evaluation("slates", "Slates over time", intro, evaluations, |named, _| {
        let clusters = named.evaluation.target.len();
        let parts: Vec<(String, PlotColor)> =
            (0..clusters).map(|n| (format!("cluster {n}"), PlotColor::Series(n))).collect();
        let mut figures = Vec::new();
        for policy in &named.evaluation.policies {
            let columns = policy.by_round.shown.iter().enumerate().map(|(round, shown)| {
                let total = shown.iter().fold(0_u64, |sum, n| sum.saturating_add(*n)).max(1) as f64;
                (round as f64 + 1.0, shown.iter().map(|&n| n as f64 / total).collect())
            });
            figures.push(stack(StackPlot {
                id: numbered("slates-policy", num_figures),
                title: policy.policy.clone(),
                caption: String::new(),
                x_axis: "round",
                y_axis: ("share of shown items", AxisUnit::Share),
                parts: parts.clone(),
                columns: columns.collect(),
            })?);
            num_figures += 1;
        }
        Ok(vec![ReportBlock::Figures(figures)])
    })
}
