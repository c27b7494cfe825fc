//! Whether users accept as often as the formula says.

use super::{Block, Part, Section, header, heading, inks, needs_evaluation, numbered};
use crate::report::plot::{Figure, Line, Lines, Point, Unit, lines};
use crate::report::sources::Named;

pub(super) fn of(evaluations: &[Named]) -> anyhow::Result<Section> {
    if evaluations.is_empty() {
        return Ok(needs_evaluation(TITLE));
    }
    let mut blocks = Vec::new();
    for (n, named) in evaluations.iter().enumerate() {
        blocks.extend(heading(&named.name, evaluations.len()));
        blocks.push(Block::Figures(vec![diagram(named, n)?]));
        let rows = named.evaluation.policies.iter().map(|policy| {
            let reliability = &policy.reliability;
            vec![
                policy.policy.clone(),
                format!("{:.5}", reliability.error()),
                format!("{:.1}", reliability.worst()),
            ]
        });
        let header = header(&["policy", "expected calibration error", "most standard errors off"]);
        blocks.push(Block::Table { header, rows: rows.collect() });
    }
    let words = "Items are gathered by the probability that the formula gives them, tenth by tenth. A point on the thin line \
                 was accepted as often as predicted.";
    Ok(Section::There(Part { id: "reliability", title: TITLE, words: words.to_owned(), blocks }))
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
        id: numbered("reliability", n),
        title: "Reliability",
        words: String::new(),
        over: ("predicted", Unit::Share),
        measured: ("accepted", Unit::Share),
        lines: lines_of.collect(),
        diagonal: true,
    })
}

const TITLE: &str = "Predicted acceptance against realised";
