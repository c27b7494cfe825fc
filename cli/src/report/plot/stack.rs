//! Parts of a whole over rounds or episodes, one above the other.

use plotters::element::Polygon;

use super::axis::{Axis, Unit};
use super::canvas::{Frame, LEGEND, shortened};
use super::{Figure, Ink, Numbers, cell};

/// What parts are drawn of.
pub(in crate::report) struct Stack<'a> {
    pub(in crate::report) id: String,
    pub(in crate::report) title: String,
    pub(in crate::report) words: String,
    /// What is counted from left to right, as an axis and as a column.
    pub(in crate::report) over: &'a str,
    /// What is measured, as an axis.
    pub(in crate::report) measured: (&'a str, Unit),
    /// The lowest first.
    pub(in crate::report) parts: Vec<(String, Ink)>,
    /// What is counted, and each part there.
    pub(in crate::report) columns: Vec<(f64, Vec<f64>)>,
}

/// Draws parts.
pub(in crate::report) fn stack(stack: Stack<'_>) -> anyhow::Result<Figure> {
    let Stack { id, title, words, over, measured: (y_name, unit), parts, columns } = stack;
    let ends = columns.iter().flat_map(|(x, _)| [x - 0.5, x + 0.5]);
    let x = Axis::tight(Unit::Count, ends, 7);
    let y = Axis::round(unit, columns.iter().map(|(_, values)| values.iter().sum()), 5);
    let legend: Vec<(Ink, String)> = parts.iter().map(|(name, ink)| (*ink, shortened(name, LEGEND))).collect();
    let svg = Frame::new(y_name, &legend).chart((&x, &y), over, |chart| {
        for (part, (_, ink)) in parts.iter().enumerate() {
            let edge = |height: usize| {
                columns.iter().flat_map(move |(x, values)| {
                    let sum: f64 = values.iter().take(height).sum();
                    [(x - 0.5, sum), (x + 0.5, sum)]
                })
            };
            let mut outline: Vec<(f64, f64)> = edge(part).collect();
            let mut upper: Vec<(f64, f64)> = edge(part + 1).collect();
            upper.reverse();
            outline.extend(upper);
            outline.retain(|(_, y)| y.is_finite());
            chart.draw_series([Polygon::new(outline, ink.fill())])?;
        }
        Ok(())
    })?;
    let mut numbers = Numbers::new(&[over, "part", y_name]);
    for (x, values) in &columns {
        for ((name, _), value) in parts.iter().zip(values) {
            numbers.push(vec![cell(*x), name.clone(), cell(*value)]);
        }
    }
    Ok(Figure { id, title, words, svg, numbers })
}
