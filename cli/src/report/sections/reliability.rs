//! Predicted and observed acceptances.

use super::{ReportBlock, Section, header, numbered, of_each_evaluation, policy_colors};
use crate::report::plot::{AxisUnit, Figure, LinePlot, LinePoint, PlotLine, lines};
use crate::report::sources::NamedEvaluation;

pub(super) fn of(evaluations: &[NamedEvaluation]) -> anyhow::Result<Section> {
    let intro = "Items are binned by their predicted acceptance probability, in steps of 0.1. Points on the thin \
                 line were accepted as often as predicted.";
    of_each_evaluation("reliability", "Predicted and observed acceptance", intro, evaluations, |named, n| {
        let rows = named.evaluation.policies.iter().map(|policy| {
            let reliability = &policy.reliability;
            vec![
                policy.policy.clone(),
                format!("{:.5}", reliability.expected_calibration_error()),
                format!("{:.1}", reliability.max_z_score()),
            ]
        });
        let header = header(&["policy", "expected calibration error", "largest deviation (SE)"]);
        Ok(vec![
            ReportBlock::Figures(vec![diagram(named, n)?]),
            ReportBlock::Table { header, rows: rows.collect() },
        ])
    })
}

fn diagram(named: &NamedEvaluation, n: usize) -> anyhow::Result<Figure> {
    let policies = named.evaluation.policies.iter().zip(policy_colors(named));
    let lines_of = policies.map(|(policy, color)| {
        let bins = policy.reliability.bins.iter().filter(|bin| bin.shown > 0);
        let points = bins.map(|bin| {
            let shown = bin.shown as f64;
            LinePoint { x: bin.expected / shown, y: bin.accepted as f64 / shown, band: None }
        });
        PlotLine { name: policy.policy.clone(), color, points: points.collect() }
    });
    lines(LinePlot {
        id: numbered("reliability-diagram", n),
        title: "Reliability diagram",
        caption: String::new(),
        x_axis: ("predicted", AxisUnit::Share),
        y_axis: ("accepted", AxisUnit::Share),
        lines: lines_of.collect(),
        has_diagonal: true,
    })
}
