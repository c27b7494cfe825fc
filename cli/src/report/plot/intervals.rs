//! Values with how sure they are, one below the other.

use plotters::element::{Circle, PathElement};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};
use recsim_core::eval::resample::Interval;

use super::axis::{Axis, Unit};
use super::canvas::{Frame, HEIGHT, MARGIN, put, px, shortened, stroke};
use super::{Figure, Ink, Numbers, cell};

/// Something measured.
pub(in crate::report) struct Whisker {
    pub(in crate::report) name: String,
    pub(in crate::report) ink: Ink,
    pub(in crate::report) value: Interval,
}

/// Draws what was measured as `measured`, from the top down.
pub(in crate::report) fn intervals(
    id: String,
    title: &str,
    words: String,
    measured: &str,
    whiskers: &[Whisker],
) -> anyhow::Result<Figure> {
    let ends = whiskers.iter().flat_map(|whisker| {
        let Interval { mean, low, high } = whisker.value;
        [mean, low, high].into_iter().flatten()
    });
    let x = Axis::round(Unit::Number, ends, 6);
    let rows = whiskers.len() as f64;
    let y = Axis::silent(0.0, rows);
    let frame = Frame { height: (rows * ROW).max(HEIGHT / 2.0), ..Frame::new("", &[]) };
    let row = frame.height / rows;
    let svg = frame.chart((&x, &y), measured, |chart| {
        for (n, whisker) in whiskers.iter().enumerate() {
            let height = rows - n as f64 - 0.72;
            // Beside the dot alone: above it stands text.
            let zero = [(0.0, height - 0.2), (0.0, height + 0.2)];
            chart.draw_series([PathElement::new(zero, stroke(Ink::Faint, 1.5))])?;
            let Interval { mean, low, high } = whisker.value;
            if let (Some(low), Some(high)) = (low, high) {
                let line = [(low, height), (high, height)];
                chart.draw_series([PathElement::new(line, stroke(whisker.ink, 3.0))])?;
            }
            if let Some(mean) = mean {
                chart.draw_series([Circle::new((mean, height), px(4.0), whisker.ink.light().filled())])?;
            }
        }
        let area = chart.plotting_area().strip_coord_spec();
        let wide = f64::from(area.dim_in_pixel().0) / f64::from(px(1.0));
        for (n, whisker) in whiskers.iter().enumerate() {
            let line = (n as f64 + 0.34) * row;
            put(
                &area,
                (MARGIN, line),
                &shortened(&whisker.name, LONGEST),
                (whisker.ink, HPos::Left, VPos::Center),
            )?;
            put(&area, (wide - MARGIN, line), &told(&whisker.value), (Ink::Text, HPos::Right, VPos::Center))?;
        }
        Ok(())
    })?;
    let mut numbers = Numbers::new(&["policy", measured, "low", "high"]);
    for whisker in whiskers {
        let Interval { mean, low, high } = whisker.value;
        numbers.push(vec![whisker.name.clone(), cell(mean), cell(low), cell(high)]);
    }
    Ok(Figure { id, title: title.to_owned(), words, svg, numbers })
}

/// A value and its interval.
fn told(interval: &Interval) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    format!("{} [{}, {}]", number(interval.mean), number(interval.low), number(interval.high))
}

const ROW: f64 = 36.0;
/// Letters of a name, so that its value stands in the same line.
const LONGEST: usize = 24;
