//! Acceptance by cluster and by distance.

use recsim_core::eval::breakdown::{DECILES, ItemCounts};

use super::{ReportBlock, Section, numbered, of_each_evaluation, policy_colors};
use crate::report::plot::{AxisUnit, DotPlot, Figure, LinePlot, LinePoint, PlotLine, dots, lines};
use crate::report::sources::NamedEvaluation;

pub(super) fn of(evaluations: &[NamedEvaluation]) -> anyhow::Result<Section> {
    let intro = "The share of shown items that was accepted, including items from users' pre-trained lists. A \
                 policy that shows no item of a cluster, or at a distance, has no value there.";
    of_each_evaluation("acceptance", "Acceptance by cluster and distance", intro, evaluations, |named, n| {
        Ok(vec![ReportBlock::Figures(vec![by_cluster(named, n)?, by_distance(named, n)?])])
    })
}

fn by_cluster(named: &NamedEvaluation, n: usize) -> anyhow::Result<Figure> {
    let clusters = named.evaluation.target.len();
    let policies = named.evaluation.policies.iter().zip(policy_colors(named));
    let series = policies.map(|(policy, color)| {
        let values = (0..clusters).map(|cluster| share(&policy.by_distance, |row, _| row == cluster));
        (policy.policy.clone(), color, values.collect())
    });
    dots(DotPlot {
        id: numbered("acceptance-cluster", n),
        title: "By cluster",
        caption: String::new(),
        category: "cluster",
        y_axis: ("share accepted", AxisUnit::Share),
        series: series.collect(),
    })
}

fn by_distance(named: &NamedEvaluation, n: usize) -> anyhow::Result<Figure> {
    let tenth = f64::from(named.evaluation.farthest) / DECILES as f64;
    let policies = named.evaluation.policies.iter().zip(policy_colors(named));
    let lines_of = policies.map(|(policy, color)| {
        let points = (0..DECILES).filter_map(|column| {
            let y = share(&policy.by_distance, |_, other| other == column)?;
            Some(LinePoint { x: (column as f64 + 0.5) * tenth, y, band: None })
        });
        PlotLine { name: policy.policy.clone(), color, points: points.collect() }
    });
    lines(LinePlot {
        id: numbered("acceptance-distance", n),
        title: "By distance to the cluster's centre",
        caption: "In tenths of the largest distance.".to_owned(),
        x_axis: ("distance to the centre", AxisUnit::Number),
        y_axis: ("share accepted", AxisUnit::Share),
        lines: lines_of.collect(),
        has_diagonal: false,
    })
}

/// The share of items that was accepted, of those in the cells that `is_counted` takes by row and column. `None` if
/// no item was shown.
fn share(counts: &ItemCounts, is_counted: impl Fn(usize, usize) -> bool) -> Option<f64> {
    let sum = |counts: &[Vec<u64>]| -> u64 {
        let rows = counts.iter().enumerate();
        let cells =
            rows.flat_map(|(row, cells)| cells.iter().enumerate().map(move |(column, n)| (row, column, *n)));
        cells.filter(|(row, column, _)| is_counted(*row, *column)).fold(0, |sum, (.., n)| n.saturating_add(sum))
    };
    let (shown, accepted) = (sum(&counts.shown), sum(&counts.accepted));
    (shown > 0).then(|| accepted as f64 / shown as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_counts_the_selected_cells() {
        let counts = ItemCounts { shown: vec![vec![4, 0], vec![1, 0]], accepted: vec![vec![1, 0], vec![1, 0]] };
        assert_eq!(share(&counts, |row, _| row == 0), Some(0.25));
        assert_eq!(share(&counts, |_, column| column == 0), Some(0.4));
        assert_eq!(share(&counts, |_, column| column == 1), None);
    }
}
