//! Values with their intervals, one below the other: a forest plot.

use plotters::element::{Circle, PathElement};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};
use recsim_core::eval::resample::Interval;

use super::axis::{Axis, AxisUnit};
use super::canvas::{Frame, HEIGHT, MARGIN, put, px, shortened, stroke};
use super::{Figure, PlotColor, PlotData, cell};

/// A row of a forest plot.
pub(in crate::report) struct IntervalRow {
    pub(in crate::report) name: String,
    pub(in crate::report) color: PlotColor,
    pub(in crate::report) value: Interval,
}

/// Draws the rows from top to bottom, over an axis named `axis`.
pub(in crate::report) fn intervals(
    id: String,
    title: &str,
    caption: String,
    axis: &str,
    rows: &[IntervalRow],
) -> anyhow::Result<Figure> {
    let ends = rows.iter().flat_map(|row| {
        let Interval { mean, low, high } = row.value;
        [mean, low, high].into_iter().flatten()
    });
    let x = Axis::round(AxisUnit::Number, ends, 6);
    let num_rows = rows.len() as f64;
    let y = Axis::without_ticks(0.0, num_rows);
    let frame = Frame { height: (num_rows * ROW_HEIGHT).max(HEIGHT / 2.0), ..Frame::new("", &[]) };
    let row_height = frame.height / num_rows;
    let svg = frame.chart((&x, &y), axis, |chart| {
        for (n, row) in rows.iter().enumerate() {
            let height = num_rows - n as f64 - 0.72;
            // The zero line is drawn beside the dot only: the text stands above it.
            let zero = [(0.0, height - 0.2), (0.0, height + 0.2)];
            chart.draw_series([PathElement::new(zero, stroke(PlotColor::Faint, 1.5))])?;
            let Interval { mean, low, high } = row.value;
            if let (Some(low), Some(high)) = (low, high) {
                let line = [(low, height), (high, height)];
                chart.draw_series([PathElement::new(line, stroke(row.color, 3.0))])?;
            }
            if let Some(mean) = mean {
                chart.draw_series([Circle::new((mean, height), px(4.0), row.color.light().filled())])?;
            }
        }
        let area = chart.plotting_area().strip_coord_spec();
        let width = f64::from(area.dim_in_pixel().0) / f64::from(px(1.0));
        for (n, row) in rows.iter().enumerate() {
            let line = (n as f64 + 0.34) * row_height;
            put(&area, (MARGIN, line), &shortened(&row.name, MAX_NAME_LEN), (row.color, HPos::Left, VPos::Center))?;
            put(
                &area,
                (width - MARGIN, line),
                &formatted(&row.value),
                (PlotColor::Text, HPos::Right, VPos::Center),
            )?;
        }
        Ok(())
    })?;
    let mut data = PlotData::new(&["policy", axis, "low", "high"]);
    for row in rows {
        let Interval { mean, low, high } = row.value;
        data.push(vec![row.name.clone(), cell(mean), cell(low), cell(high)]);
    }
    Ok(Figure { id, title: title.to_owned(), caption, svg, data })
}

/// A value and its interval.
fn formatted(interval: &Interval) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    format!("{} [{}, {}]", number(interval.mean), number(interval.low), number(interval.high))
}

const ROW_HEIGHT: f64 = 36.0;
/// Letters of a name, so that its value fits into the same line.
const MAX_NAME_LEN: usize = 24;
