//! The comparison of policies: ranking, curves, metrics and pairs.

use recsim_core::eval::PolicyMetrics;
use recsim_core::eval::resample::Interval;

use super::{ReportBlock, Section, header, numbered, of_each_evaluation, policy_colors};
use crate::files::evaluation::{Curves, Evaluation};
use crate::output::percent;
use crate::report::plot::{AxisUnit, Figure, IntervalRow, LinePlot, LinePoint, PlotLine, intervals, lines};
use crate::report::sources::NamedEvaluation;

pub(super) fn of(evaluations: &[NamedEvaluation]) -> anyhow::Result<Section> {
    let intro = "All policies serve the same users with the same evaluation seeds. Bands and brackets are 95 % \
                 bootstrap intervals over users and seeds.";
    of_each_evaluation("policies", "Policies compared", intro, evaluations, |named, n| {
        let distance = ("distance", AxisUnit::Number);
        let acceptance = ("share of shown items accepted", AxisUnit::Share);
        let figures = vec![
            ranking(named, n)?,
            curves(named, n, "policies-distance", "Distance after each round", distance, |curves| {
                &curves.distance
            })?,
            curves(named, n, "policies-acceptance", "Acceptance in each round", acceptance, |curves| {
                &curves.acceptance
            })?,
        ];
        let mut blocks = vec![ReportBlock::Figures(figures), metrics(&named.evaluation)];
        if !named.evaluation.pairs.is_empty() {
            blocks.push(pairs(&named.evaluation));
        }
        Ok(blocks)
    })
}

fn ranking(named: &NamedEvaluation, n: usize) -> anyhow::Result<Figure> {
    let policies = named.evaluation.policies.iter().zip(policy_colors(named));
    let rows: Vec<IntervalRow> = policies
        .map(|(policy, color)| IntervalRow {
            name: policy.policy.clone(),
            color,
            value: policy.metrics.normalized_area,
        })
        .collect();
    let caption = "0 is random, 1 is greedy; more is better.".to_owned();
    intervals(numbered("policies-ranking", n), "Normalized area", caption, "normalized area", &rows)
}

fn curves(
    named: &NamedEvaluation,
    n: usize,
    id: &str,
    title: &str,
    y_axis: (&str, AxisUnit),
    of: fn(&Curves) -> &Vec<Interval>,
) -> anyhow::Result<Figure> {
    let policies = named.evaluation.policies.iter().zip(policy_colors(named));
    let lines_of = policies.map(|(policy, color)| PlotLine {
        name: policy.policy.clone(),
        color,
        points: (1..).zip(of(&policy.curves)).filter_map(|(round, interval)| point(round, interval)).collect(),
    });
    lines(LinePlot {
        id: numbered(id, n),
        title,
        caption: String::new(),
        x_axis: ("round", AxisUnit::Count),
        y_axis,
        lines: lines_of.collect(),
        has_diagonal: false,
    })
}

fn point(round: u32, interval: &Interval) -> Option<LinePoint> {
    Some(LinePoint { x: f64::from(round), y: interval.mean?, band: interval.low.zip(interval.high) })
}

fn metrics(evaluation: &Evaluation) -> ReportBlock {
    let names = [
        "policy",
        "normalized area",
        "area",
        "final",
        "rounds to 10 %",
        "improved",
        "accepted",
        "total reward",
        "items covered",
        "Gini",
        "diversity",
        "entropy",
        "KL to target",
    ];
    let rows = evaluation.policies.iter().map(|policy| {
        let PolicyMetrics { normalized_area, area, distance, rounds_to_tenth, improved_share, .. } =
            &policy.metrics;
        let PolicyMetrics {
            total_reward, acceptance, item_coverage, gini, diversity, entropy, calibration, ..
        } = &policy.metrics;
        let number = |interval: &Interval, digits: usize| formatted(interval.mean, digits);
        let share = |interval: &Interval| interval.mean.map_or("-".to_owned(), percent);
        vec![
            policy.policy.clone(),
            bracketed(normalized_area, 3),
            bracketed(area, 3),
            number(distance, 4),
            rounds_to_tenth.mean.map_or("never".to_owned(), |round| format!("{round:.0}")),
            share(improved_share),
            share(acceptance),
            number(total_reward, 2),
            share(item_coverage),
            number(gini, 3),
            number(diversity, 3),
            number(entropy, 3),
            number(calibration, 3),
        ]
    });
    ReportBlock::Table { header: header(&names), rows: rows.collect() }
}

fn pairs(evaluation: &Evaluation) -> ReportBlock {
    let header = header(&["better", "than", "by (normalized area)", "P(improvement)"]);
    let rows = evaluation.pairs.iter().map(|pair| {
        vec![
            pair.first.clone(),
            pair.second.clone(),
            bracketed(&pair.difference.normalized_area, 3),
            pair.probability_of_improvement.mean.map_or("-".to_owned(), percent),
        ]
    });
    ReportBlock::Folded { title: "All pairs of policies", header, rows: rows.collect() }
}

fn bracketed(interval: &Interval, digits: usize) -> String {
    let [mean, low, high] = [interval.mean, interval.low, interval.high].map(|value| formatted(value, digits));
    format!("{mean} [{low}, {high}]")
}

fn formatted(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}
