//! Policies compared: where they stand, and how the distance falls under each.

use recsim_core::eval::PolicyMetrics;
use recsim_core::eval::resample::Interval;

use super::{Block, Section, header, inks, numbered, of_each};
use crate::files::evaluation::{Curves, Evaluation};
use crate::output::percent;
use crate::report::plot::{Figure, Line, Lines, Point, Unit, Whisker, intervals, lines};
use crate::report::sources::Named;

pub(super) fn of(evaluations: &[Named]) -> anyhow::Result<Section> {
    let words = "All policies serve the same users with the same luck. Bands and brackets hold 95 of 100 resamples of users \
                 and seeds.";
    of_each("policies", "Policies compared", words, evaluations, |named, n| {
        let distance = ("distance", Unit::Number);
        let acceptance = ("share of shown items accepted", Unit::Share);
        let figures = vec![
            ranking(named, n)?,
            curves(named, n, "policies-distance", "Distance after each round", distance, |curves| {
                &curves.distance
            })?,
            curves(named, n, "policies-acceptance", "Acceptance in each round", acceptance, |curves| {
                &curves.acceptance
            })?,
        ];
        let mut blocks = vec![Block::Figures(figures), metrics(&named.evaluation)];
        if !named.evaluation.pairs.is_empty() {
            blocks.push(pairs(&named.evaluation));
        }
        Ok(blocks)
    })
}

fn ranking(named: &Named, n: usize) -> anyhow::Result<Figure> {
    let policies = named.evaluation.policies.iter().zip(inks(named));
    let whiskers: Vec<Whisker> = policies
        .map(|(policy, ink)| Whisker { name: policy.policy.clone(), ink, value: policy.metrics.normalized_area })
        .collect();
    let words = "0 is random, 1 is greedy, and more is better.".to_owned();
    intervals(numbered("policies-ranking", n), "Normalised area", words, "normalised area", &whiskers)
}

fn curves(
    named: &Named,
    n: usize,
    id: &str,
    title: &str,
    measured: (&str, Unit),
    of: fn(&Curves) -> &Vec<Interval>,
) -> anyhow::Result<Figure> {
    let policies = named.evaluation.policies.iter().zip(inks(named));
    let lines_of = policies.map(|(policy, ink)| Line {
        name: policy.policy.clone(),
        ink,
        points: (1..).zip(of(&policy.curves)).filter_map(|(round, interval)| point(round, interval)).collect(),
    });
    lines(Lines {
        id: numbered(id, n),
        title,
        words: String::new(),
        over: ("round", Unit::Count),
        measured,
        lines: lines_of.collect(),
        diagonal: false,
    })
}

fn point(round: u32, interval: &Interval) -> Option<Point> {
    Some(Point { x: f64::from(round), y: interval.mean?, band: interval.low.zip(interval.high) })
}

fn metrics(evaluation: &Evaluation) -> Block {
    let names = [
        "policy",
        "normalised area",
        "area",
        "last distance",
        "to a tenth",
        "improved",
        "accepted",
        "return",
        "covered",
        "Gini",
        "diversity",
        "entropy",
        "KL to the target",
    ];
    let rows = evaluation.policies.iter().map(|policy| {
        let PolicyMetrics { normalized_area, area, distance, rounds_to_tenth, improved_share, .. } =
            &policy.metrics;
        let PolicyMetrics {
            total_reward, acceptance, item_coverage, gini, diversity, entropy, calibration, ..
        } = &policy.metrics;
        let number = |interval: &Interval, digits: usize| told(interval.mean, digits);
        let share = |interval: &Interval| interval.mean.map_or("-".to_owned(), percent);
        vec![
            policy.policy.clone(),
            bracketed(normalized_area, 3),
            bracketed(area, 3),
            number(distance, 4),
            rounds_to_tenth.mean.map_or("never".to_owned(), |round| format!("round {round:.0}")),
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
    Block::Table { header: header(&names), rows: rows.collect() }
}

fn pairs(evaluation: &Evaluation) -> Block {
    let header = header(&["better", "than", "by (normalised area)", "for so many users"]);
    let rows = evaluation.pairs.iter().map(|pair| {
        vec![
            pair.first.clone(),
            pair.second.clone(),
            bracketed(&pair.difference.normalized_area, 3),
            pair.improvement.mean.map_or("-".to_owned(), percent),
        ]
    });
    Block::Folded { title: "Every two policies", header, rows: rows.collect() }
}

fn bracketed(interval: &Interval, digits: usize) -> String {
    let [mean, low, high] = [interval.mean, interval.low, interval.high].map(|value| told(value, digits));
    format!("{mean} [{low}, {high}]")
}

fn told(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}
