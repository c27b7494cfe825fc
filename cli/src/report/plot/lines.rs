//! Line plots, with bands where there are intervals.

use plotters::element::{Circle, PathElement, Polygon};
use plotters::style::Color;

use super::axis::{Axis, AxisUnit};
use super::canvas::{Chart, Frame, LEGEND, px, shortened, stroke};
use super::{Figure, PlotColor, PlotData, cell};

/// A line plot.
pub(in crate::report) struct LinePlot<'a> {
    pub(in crate::report) id: String,
    pub(in crate::report) title: &'a str,
    pub(in crate::report) caption: String,
    /// The name and the unit of the x axis. The name is also a column of the values.
    pub(in crate::report) x_axis: (&'a str, AxisUnit),
    /// The name and the unit of the y axis.
    pub(in crate::report) y_axis: (&'a str, AxisUnit),
    pub(in crate::report) lines: Vec<PlotLine>,
    /// Whether a thin line marks equal values on both axes.
    pub(in crate::report) has_diagonal: bool,
}

/// A line of a line plot.
pub(in crate::report) struct PlotLine {
    pub(in crate::report) name: String,
    pub(in crate::report) color: PlotColor,
    /// From left to right.
    pub(in crate::report) points: Vec<LinePoint>,
}

/// A point of a line, and the low and high end of its band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::report) struct LinePoint {
    pub(in crate::report) x: f64,
    pub(in crate::report) y: f64,
    pub(in crate::report) band: Option<(f64, f64)>,
}

/// Draws a line plot.
pub(in crate::report) fn lines(plot: LinePlot<'_>) -> anyhow::Result<Figure> {
    let LinePlot { id, title, caption, x_axis: (x_name, x_unit), y_axis: (y_name, y_unit), lines, has_diagonal } =
        plot;
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = match x_unit {
        AxisUnit::Count => Axis::tight(x_unit, points().map(|point| point.x), 7),
        _ => Axis::round(x_unit, points().map(|point| point.x), 6),
    };
    let values = points().flat_map(|point| {
        let (low, high) = point.band.unwrap_or((point.y, point.y));
        [low, point.y, high]
    });
    let y = Axis::round(y_unit, values, 5);
    let legend: Vec<(PlotColor, String)> =
        lines.iter().map(|line| (line.color, shortened(&line.name, LEGEND))).collect();
    let svg = Frame::new(y_name, &legend).chart((&x, &y), x_name, |chart| {
        if has_diagonal {
            let (from, to) = (x.low.max(y.low), x.high.min(y.high));
            chart.draw_series([PathElement::new([(from, from), (to, to)], stroke(PlotColor::Faint, 1.0))])?;
        }
        lines.iter().try_for_each(|line| band(chart, line))?;
        lines.iter().try_for_each(|line| curve(chart, line))
    })?;
    let mut data = PlotData::new(&["line", x_name, y_name, "low", "high"]);
    for (line, point) in lines.iter().flat_map(|line| line.points.iter().map(move |point| (line, point))) {
        let band = [point.band.map(|band| band.0), point.band.map(|band| band.1)].map(cell);
        let [low, high] = band;
        data.push(vec![line.name.clone(), cell(point.x), cell(point.y), low, high]);
    }
    Ok(Figure { id, title: title.to_owned(), caption, svg, data })
}

fn band(chart: &mut Chart<'_, '_>, line: &PlotLine) -> anyhow::Result<()> {
    let ends: Vec<(f64, f64, f64)> =
        drawn(&line.points).filter_map(|point| point.band.map(|(low, high)| (point.x, low, high))).collect();
    let upper = ends.iter().map(|&(x, _, high)| (x, high));
    let lower = ends.iter().rev().map(|&(x, low, _)| (x, low));
    let outline: Vec<(f64, f64)> = upper.chain(lower).filter(|(_, y)| y.is_finite()).collect();
    if outline.len() > 2 {
        chart.draw_series([Polygon::new(outline, line.color.light().mix(0.18))])?;
    }
    Ok(())
}

fn curve(chart: &mut Chart<'_, '_>, line: &PlotLine) -> anyhow::Result<()> {
    let points: Vec<(f64, f64)> = drawn(&line.points).map(|point| (point.x, point.y)).collect();
    if points.len() <= MAX_MARKED_POINTS {
        let marks = points.iter().map(|&point| Circle::new(point, px(2.6), line.color.light().filled()));
        chart.draw_series(marks)?;
    }
    if points.len() > 1 {
        chart.draw_series([PathElement::new(points, stroke(line.color, 1.8))])?;
    }
    Ok(())
}

/// At most [`MAX_POINTS`] of the points that can be drawn, the last among them.
fn drawn(points: &[LinePoint]) -> impl Iterator<Item = LinePoint> {
    let stride = points.len() / MAX_POINTS + 1;
    let last = points.len().saturating_sub(1);
    let is_drawn = move |n: &usize| n.is_multiple_of(stride) || *n == last;
    let finite = points.iter().enumerate().filter(|(_, point)| point.x.is_finite() && point.y.is_finite());
    finite.filter(move |(n, _)| is_drawn(n)).map(|(_, point)| *point)
}

/// A line with more points has no dots.
const MAX_MARKED_POINTS: usize = 24;
/// More points than a plot has pixels are not told apart.
const MAX_POINTS: usize = 1200;
