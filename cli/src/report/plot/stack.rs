//! Stacked columns: the parts of a whole, by round or episode.

use plotters::element::Polygon;

use super::axis::{Axis, AxisUnit};
use super::canvas::{Frame, LEGEND, shortened};
use super::{Figure, PlotColor, PlotData, cell};

/// A stacked plot.
pub(in crate::report) struct StackPlot<'a> {
    pub(in crate::report) id: String,
    pub(in crate::report) title: String,
    pub(in crate::report) caption: String,
    /// What the x axis counts; also a column of the values.
    pub(in crate::report) x_axis: &'a str,
    /// The name and the unit of the y axis.
    pub(in crate::report) y_axis: (&'a str, AxisUnit),
    /// Names of the parts, the lowest first.
    pub(in crate::report) parts: Vec<(String, PlotColor)>,
    /// An x value, and the value of each part there.
    pub(in crate::report) columns: Vec<(f64, Vec<f64>)>,
}

/// Draws a stacked plot.
pub(in crate::report) fn stack(plot: StackPlot<'_>) -> anyhow::Result<Figure> {
    let StackPlot { id, title, caption, x_axis, y_axis: (y_name, unit), parts, columns } = plot;
    let ends = columns.iter().flat_map(|(x, _)| [x - 0.5, x + 0.5]);
    let x = Axis::tight(AxisUnit::Count, ends, 7);
    let y = Axis::round(unit, columns.iter().map(|(_, values)| values.iter().sum()), 5);
    let legend: Vec<(PlotColor, String)> =
        parts.iter().map(|(name, color)| (*color, shortened(name, LEGEND))).collect();
    let svg = Frame::new(y_name, &legend).chart((&x, &y), x_axis, |chart| {
        for (part, (_, color)) in parts.iter().enumerate() {
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
            chart.draw_series([Polygon::new(outline, color.fill())])?;
        }
        Ok(())
    })?;
    let mut data = PlotData::new(&[x_axis, "part", y_name]);
    for (x, values) in &columns {
        for ((name, _), value) in parts.iter().zip(values) {
            data.push(vec![cell(*x), name.clone(), cell(*value)]);
        }
    }
    Ok(Figure { id, title, caption, svg, data })
}
