//! Lines over rounds or episodes, some with a band.

use plotters::element::{Circle, PathElement, Polygon};
use plotters::style::Color;

use super::axis::{Axis, Unit};
use super::canvas::{Chart, Frame, LEGEND, px, shortened, stroke};
use super::{Figure, Ink, Numbers, cell};

/// What lines are drawn of.
pub(in crate::report) struct Lines<'a> {
    pub(in crate::report) id: String,
    pub(in crate::report) title: &'a str,
    pub(in crate::report) words: String,
    /// What the lines go over, as an axis and as a column.
    pub(in crate::report) over: (&'a str, Unit),
    /// What is measured, as an axis.
    pub(in crate::report) measured: (&'a str, Unit),
    pub(in crate::report) lines: Vec<Line>,
    /// Whether a thin line shows where both axes are equal.
    pub(in crate::report) diagonal: bool,
}

/// A line.
pub(in crate::report) struct Line {
    pub(in crate::report) name: String,
    pub(in crate::report) ink: Ink,
    /// From left to right.
    pub(in crate::report) points: Vec<Point>,
}

/// A point of a line, and the ends of the band there if there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::report) struct Point {
    pub(in crate::report) x: f64,
    pub(in crate::report) y: f64,
    pub(in crate::report) band: Option<(f64, f64)>,
}

/// Draws lines.
pub(in crate::report) fn lines(lines: Lines<'_>) -> anyhow::Result<Figure> {
    let Lines { id, title, words, over: (x_name, x_unit), measured: (y_name, y_unit), lines, diagonal } = lines;
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = match x_unit {
        Unit::Count => Axis::tight(x_unit, points().map(|point| point.x), 7),
        _ => Axis::round(x_unit, points().map(|point| point.x), 6),
    };
    let values = points().flat_map(|point| {
        let (low, high) = point.band.unwrap_or((point.y, point.y));
        [low, point.y, high]
    });
    let y = Axis::round(y_unit, values, 5);
    let legend: Vec<(Ink, String)> = lines.iter().map(|line| (line.ink, shortened(&line.name, LEGEND))).collect();
    let svg = Frame::new(y_name, &legend).chart((&x, &y), x_name, |chart| {
        if diagonal {
            let (from, to) = (x.low.max(y.low), x.high.min(y.high));
            chart.draw_series([PathElement::new([(from, from), (to, to)], stroke(Ink::Faint, 1.0))])?;
        }
        lines.iter().try_for_each(|line| band(chart, line))?;
        lines.iter().try_for_each(|line| curve(chart, line))
    })?;
    let mut numbers = Numbers::new(&["line", x_name, y_name, "low", "high"]);
    for (line, point) in lines.iter().flat_map(|line| line.points.iter().map(move |point| (line, point))) {
        let band = [point.band.map(|band| band.0), point.band.map(|band| band.1)].map(cell);
        let [low, high] = band;
        numbers.push(vec![line.name.clone(), cell(point.x), cell(point.y), low, high]);
    }
    Ok(Figure { id, title: title.to_owned(), words, svg, numbers })
}

fn band(chart: &mut Chart<'_, '_>, line: &Line) -> anyhow::Result<()> {
    let ends: Vec<(f64, f64, f64)> =
        drawn(&line.points).filter_map(|point| point.band.map(|(low, high)| (point.x, low, high))).collect();
    let there = ends.iter().map(|&(x, _, high)| (x, high));
    let back = ends.iter().rev().map(|&(x, low, _)| (x, low));
    let outline: Vec<(f64, f64)> = there.chain(back).filter(|(_, y)| y.is_finite()).collect();
    if outline.len() > 2 {
        chart.draw_series([Polygon::new(outline, line.ink.light().mix(0.18))])?;
    }
    Ok(())
}

fn curve(chart: &mut Chart<'_, '_>, line: &Line) -> anyhow::Result<()> {
    let points: Vec<(f64, f64)> = drawn(&line.points).map(|point| (point.x, point.y)).collect();
    if points.len() <= FEW {
        let marks = points.iter().map(|&point| Circle::new(point, px(2.6), line.ink.light().filled()));
        chart.draw_series(marks)?;
    }
    if points.len() > 1 {
        chart.draw_series([PathElement::new(points, stroke(line.ink, 1.8))])?;
    }
    Ok(())
}

/// Of very many points those that can be told apart, the last among them.
fn drawn(points: &[Point]) -> impl Iterator<Item = Point> {
    let every = points.len() / MOST + 1;
    let last = points.len().saturating_sub(1);
    let told = move |n: &usize| n.is_multiple_of(every) || *n == last;
    let numbered = points.iter().enumerate().filter(|(_, point)| point.x.is_finite() && point.y.is_finite());
    numbered.filter(move |(n, _)| told(n)).map(|(_, point)| *point)
}

/// So few points are marked.
const FEW: usize = 24;
/// A plot is not wider.
const MOST: usize = 1200;
