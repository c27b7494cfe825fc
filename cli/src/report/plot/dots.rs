//! Dot plots: the values of several series in each of a few categories.

use plotters::element::{Circle, PathElement};
use plotters::style::Color;

use super::axis::{Axis, AxisUnit};
use super::canvas::{Frame, LEGEND, px, shortened, stroke};
use super::{Figure, PlotColor, PlotData, cell};

/// A dot plot.
pub(in crate::report) struct DotPlot<'a> {
    pub(in crate::report) id: String,
    pub(in crate::report) title: &'a str,
    pub(in crate::report) caption: String,
    /// What the categories are, which are numbered from 0.
    pub(in crate::report) category: &'a str,
    /// The name and the unit of the y axis.
    pub(in crate::report) y_axis: (&'a str, AxisUnit),
    /// Each series' value in each category.
    pub(in crate::report) series: Vec<(String, PlotColor, Vec<Option<f64>>)>,
}

/// Draws a dot plot.
pub(in crate::report) fn dots(plot: DotPlot<'_>) -> anyhow::Result<Figure> {
    let DotPlot { id, title, caption, category, y_axis: (y_name, unit), series } = plot;
    let num_categories = series.iter().map(|(_, _, values)| values.len()).max().unwrap_or(0);
    let ends = [-0.5, num_categories as f64 - 0.5];
    let x = Axis::tight(AxisUnit::Count, ends.into_iter(), 12);
    let y = Axis::round(unit, series.iter().flat_map(|(_, _, values)| values.iter().flatten().copied()), 5);
    let legend: Vec<(PlotColor, String)> =
        series.iter().map(|(name, color, _)| (*color, shortened(name, LEGEND))).collect();
    let svg = Frame::new(y_name, &legend).chart((&x, &y), category, |chart| {
        for between in 1..num_categories {
            let x = between as f64 - 0.5;
            chart.draw_series([PathElement::new([(x, y.low), (x, y.high)], stroke(PlotColor::Faint, 1.0))])?;
        }
        for (n, (_, color, values)) in series.iter().enumerate() {
            let offset = (n as f64 + 1.0) / (series.len() as f64 + 1.0) - 0.5;
            for (index, value) in values.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?))) {
                let x = index as f64 + offset;
                chart.draw_series([PathElement::new([(x, 0.0), (x, value)], stroke(*color, 1.6))])?;
                chart.draw_series([Circle::new((x, value), px(3.2), color.light().filled())])?;
            }
        }
        Ok(())
    })?;
    let mut data = PlotData::new(&["policy", category, y_name]);
    for (name, _, values) in &series {
        for (index, value) in values.iter().enumerate() {
            data.push(vec![name.clone(), index.to_string(), cell(*value)]);
        }
    }
    Ok(Figure { id, title: title.to_owned(), caption, svg, data })
}
