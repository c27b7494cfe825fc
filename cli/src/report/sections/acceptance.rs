//! Acceptance by cluster and by distance.

use recsim_core::eval::breakdown::{DECILES, ItemCounts};

use super::{Block, Section, inks, numbered, of_each};
use crate::report::plot::{Dots, Figure, Line, Lines, Point, Unit, dots, lines};
use crate::report::sources::Named;

pub(super) fn of(evaluations: &[Named]) -> anyhow::Result<Section> {
    let words = "Of the items that were shown, whoever chose them, the share that was accepted. A policy that shows nothing of \
                 a cluster, or at a distance, has no value there.";
    of_each("acceptance", "Acceptance by cluster and distance", words, evaluations, |named, n| {
        Ok(vec![Block::Figures(vec![by_cluster(named, n)?, by_distance(named, n)?])])
    })
}

fn by_cluster(named: &Named, n: usize) -> anyhow::Result<Figure> {
    let clusters = named.evaluation.target.len();
    let policies = named.evaluation.policies.iter().zip(inks(named));
    let series = policies.map(|(policy, ink)| {
        let values = (0..clusters).map(|cluster| share(&policy.by_distance, |row, _| row == cluster));
        (policy.policy.clone(), ink, values.collect())
    });
    dots(Dots {
        id: numbered("acceptance-cluster", n),
        title: "By cluster",
        words: String::new(),
        kind: "cluster",
        measured: ("share accepted", Unit::Share),
        series: series.collect(),
    })
}

fn by_distance(named: &Named, n: usize) -> anyhow::Result<Figure> {
    let tenth = f64::from(named.evaluation.farthest) / DECILES as f64;
    let policies = named.evaluation.policies.iter().zip(inks(named));
    let lines_of = policies.map(|(policy, ink)| {
        let points = (0..DECILES).filter_map(|column| {
            let y = share(&policy.by_distance, |_, other| other == column)?;
            Some(Point { x: (column as f64 + 0.5) * tenth, y, band: None })
        });
        Line { name: policy.policy.clone(), ink, points: points.collect() }
    });
    lines(Lines {
        id: numbered("acceptance-distance", n),
        title: "By distance to the cluster's centre",
        words: "By tenths of the farthest item's distance.".to_owned(),
        over: ("distance to the centre", Unit::Number),
        measured: ("share accepted", Unit::Share),
        lines: lines_of.collect(),
        diagonal: false,
    })
}

/// Of the items shown in these rows and columns, the share that was accepted; none if there are none.
fn share(counts: &ItemCounts, counted: impl Fn(usize, usize) -> bool) -> Option<f64> {
    let sum = |table: &[Vec<u64>]| -> u64 {
        let rows = table.iter().enumerate();
        let cells =
            rows.flat_map(|(row, cells)| cells.iter().enumerate().map(move |(column, n)| (row, column, *n)));
        cells.filter(|(row, column, _)| counted(*row, *column)).fold(0, |sum, (.., n)| n.saturating_add(sum))
    };
    let (shown, accepted) = (sum(&counts.shown), sum(&counts.accepted));
    (shown > 0).then(|| accepted as f64 / shown as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_what_was_shown_there() {
        let counts = ItemCounts { shown: vec![vec![4, 0], vec![1, 0]], accepted: vec![vec![1, 0], vec![1, 0]] };
        assert_eq!(share(&counts, |row, _| row == 0), Some(0.25));
        assert_eq!(share(&counts, |_, column| column == 0), Some(0.4));
        assert_eq!(share(&counts, |_, column| column == 1), None);
    }
}
