//! Whether users accept as often as the formula says.

use super::{Block, Section, header, inks, numbered, of_each};
use crate::report::plot::{Figure, Line, Lines, Point, Unit, lines};
use crate::report::sources::Named;

pub(super) fn of(evaluations: &[Named]) -> anyhow::Result<Section> {
    let words = "Items are gathered by the probability that the formula gives them, tenth by tenth. A point on the thin line \
                 was accepted as often as predicted.";
    of_each("reliability", "Predicted acceptance against realised", words, evaluations, |named, n| {
        let rows = named.evaluation.policies.iter().map(|policy| {
            let reliability = &policy.reliability;
            vec![
                policy.policy.clone(),
                format!("{:.5}", reliability.expected_calibration_error()),
                format!("{:.1}", reliability.max_z_score()),
            ]
        });
        let header = header(&["policy", "expected calibration error", "most standard errors off"]);
        Ok(vec![Block::Figures(vec![diagram(named, n)?]), Block::Table { header, rows: rows.collect() }])
    })
}

fn diagram(named: &Named, n: usize) -> anyhow::Result<Figure> {
    let policies = named.evaluation.policies.iter().zip(inks(named));
    let lines_of = policies.map(|(policy, ink)| {
        let bins = policy.reliability.bins.iter().filter(|bin| bin.shown > 0);
        let points = bins.map(|bin| {
            let shown = bin.shown as f64;
            Point { x: bin.expected / shown, y: bin.accepted as f64 / shown, band: None }
        });
        Line { name: policy.policy.clone(), ink, points: points.collect() }
    });
    lines(Lines {
        id: numbered("reliability-diagram", n),
        title: "Reliability",
        words: String::new(),
        over: ("predicted", Unit::Share),
        measured: ("accepted", Unit::Share),
        lines: lines_of.collect(),
        diagonal: true,
    })
}
