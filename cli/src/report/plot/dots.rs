//! A value of several things for each of a few kinds: dots beside each other.

use plotters::element::{Circle, PathElement};
use plotters::style::Color;

use super::axis::{Axis, Unit};
use super::canvas::{Frame, LEGEND, px, shortened, stroke};
use super::{Figure, Ink, Numbers, cell};

/// What dots are drawn of.
pub(in crate::report) struct Dots<'a> {
    pub(in crate::report) id: String,
    pub(in crate::report) title: &'a str,
    pub(in crate::report) words: String,
    /// What kinds there are of, numbered from 0.
    pub(in crate::report) kind: &'a str,
    pub(in crate::report) measured: (&'a str, Unit),
    /// A value for each kind, if there is one.
    pub(in crate::report) series: Vec<(String, Ink, Vec<Option<f64>>)>,
}

/// Draws dots.
pub(in crate::report) fn dots(dots: Dots<'_>) -> anyhow::Result<Figure> {
    let Dots { id, title, words, kind, measured: (y_name, unit), series } = dots;
    let kinds = series.iter().map(|(_, _, values)| values.len()).max().unwrap_or(0);
    let ends = [-0.5, kinds as f64 - 0.5];
    let x = Axis::tight(Unit::Count, ends.into_iter(), 12);
    let y = Axis::round(unit, series.iter().flat_map(|(_, _, values)| values.iter().flatten().copied()), 5);
    let legend: Vec<(Ink, String)> = series.iter().map(|(name, ink, _)| (*ink, shortened(name, LEGEND))).collect();
    let svg = Frame::new(y_name, &legend).chart((&x, &y), kind, |chart| {
        for between in 1..kinds {
            let x = between as f64 - 0.5;
            chart.draw_series([PathElement::new([(x, y.low), (x, y.high)], stroke(Ink::Faint, 1.0))])?;
        }
        for (n, (_, ink, values)) in series.iter().enumerate() {
            let beside = (n as f64 + 1.0) / (series.len() as f64 + 1.0) - 0.5;
            for (kind, value) in values.iter().enumerate().filter_map(|(kind, value)| Some((kind, (*value)?))) {
                let x = kind as f64 + beside;
                chart.draw_series([PathElement::new([(x, 0.0), (x, value)], stroke(*ink, 1.6))])?;
                chart.draw_series([Circle::new((x, value), px(3.2), ink.light().filled())])?;
            }
        }
        Ok(())
    })?;
    let mut numbers = Numbers::new(&["policy", kind, y_name]);
    for (name, _, values) in &series {
        for (kind, value) in values.iter().enumerate() {
            numbers.push(vec![name.clone(), kind.to_string(), cell(*value)]);
        }
    }
    Ok(Figure { id, title: title.to_owned(), words, svg, numbers })
}
