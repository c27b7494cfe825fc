//! The sheet that plots are drawn on: text, a legend, axes, and an SVG at the end.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Rectangle, Text};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, ShapeStyle, TextStyle};

use super::axis::Axis;
use super::palette::{Ink, named};

/// A sheet, and the part of it where something is drawn.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// The part between axes.
pub(super) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// What stands around a plot.
pub(super) struct Frame<'a> {
    /// What is measured upwards: stands above the plot.
    pub(super) title: &'a str,
    pub(super) legend: &'a [(Ink, String)],
    pub(super) width: f64,
    /// Of the part between the axes.
    pub(super) height: f64,
}

impl<'a> Frame<'a> {
    /// A frame of the usual size.
    pub(super) fn new(title: &'a str, legend: &'a [(Ink, String)]) -> Self {
        Self { title, legend, width: WIDTH, height: HEIGHT }
    }

    /// Draws what `paint` does between axes that are named.
    pub(super) fn chart(
        &self,
        (x, y): (&Axis, &Axis),
        x_name: &str,
        paint: impl FnOnce(&mut Chart<'_, '_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        self.sheet(self.height + BELOW, |area, top| {
            let widest = y.ticks.iter().map(|&tick| width_of(&y.label(tick))).fold(0.0, f64::max);
            // The outer labels below are centred where the axis begins and ends, and may be wide.
            let half = |tick: Option<&f64>| tick.map_or(0.0, |&tick| width_of(&x.label(tick)) / 2.0 + 2.0);
            let [first, last] = [half(x.ticks.first()), half(x.ticks.last())];
            let right = last.max(RIGHT);
            let mut chart = ChartBuilder::on(area)
                .margin_top(px(top))
                .margin_right(px(right))
                .margin_bottom(px(LINE))
                .x_label_area_size(px(BELOW - LINE))
                .y_label_area_size(px((widest + 10.0).max(first)))
                .build_cartesian_2d(x.clone(), y.clone())?;
            let labels = text(Ink::Text, HPos::Center, VPos::Top);
            chart
                .configure_mesh()
                .disable_x_mesh()
                .bold_line_style(stroke(Ink::Faint, 1.0))
                .light_line_style(Ink::Faint.light().mix(0.0))
                .axis_style(stroke(Ink::Faint, 1.0))
                .label_style(labels)
                .x_labels(x.ticks.len())
                .y_labels(y.ticks.len())
                .set_all_tick_mark_size(px(3.0))
                .draw()?;
            paint(&mut chart)?;
            put(
                area,
                (self.width - right, top + self.height + BELOW - 4.0),
                x_name,
                (Ink::Text, HPos::Right, VPos::Bottom),
            )
        })
    }

    /// Draws what `paint` does below the title and the legend, from the line it is told on.
    pub(super) fn sheet(
        &self,
        height: f64,
        paint: impl FnOnce(&Area<'_>, f64) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        let rows = self.rows();
        let top = ABOVE + rows.len() as f64 * LINE + 11.0;
        let mut svg = String::new();
        let size = [px(self.width), px(top + height)];
        {
            let area = SVGBackend::with_string(&mut svg, (size[0] as u32, size[1] as u32));
            let area = area.into_drawing_area();
            put(&area, (MARGIN, ABOVE - 4.0), self.title, (Ink::Text, HPos::Left, VPos::Bottom))?;
            for (n, row) in rows.iter().enumerate() {
                let line = ABOVE + (n as f64 + 0.5) * LINE;
                let mut x = MARGIN;
                for (ink, label) in *row {
                    let corners = [(px(x), px(line - 4.0)), (px(x + SWATCH), px(line + 4.0))];
                    area.draw(&Rectangle::new(corners, ink.fill()))?;
                    put(&area, (x + SWATCH + 5.0, line), label, (Ink::Text, HPos::Left, VPos::Center))?;
                    x += entry(label);
                }
            }
            paint(&area, top)?;
            area.present()?;
        }
        // By itself a plot is as large as it is meant to be; only its coordinates are finer.
        let told = |[width, height]: [f64; 2]| format!("width=\"{width}\" height=\"{height}\"");
        let size = size.map(f64::from);
        Ok(named(&svg).replacen(&told(size), &told(size.map(|length| length / SCALE)), 1))
    }

    /// The legend, broken into lines.
    fn rows(&self) -> Vec<&'a [(Ink, String)]> {
        let (mut rows, mut rest) = (Vec::new(), self.legend);
        while !rest.is_empty() {
            let mut x = MARGIN;
            let fit = rest.iter().take_while(|(_, label)| {
                x += entry(label);
                x <= self.width + GAP
            });
            let (row, others) = rest.split_at(fit.count().max(1));
            rows.push(row);
            rest = others;
        }
        rows
    }
}

/// Puts a text somewhere.
pub(super) fn put(
    area: &Area<'_>,
    (x, y): (f64, f64),
    words: &str,
    (ink, across, along): (Ink, HPos, VPos),
) -> anyhow::Result<()> {
    Ok(area.draw(&Text::new(words.to_owned(), (px(x), px(y)), text(ink, across, along)))?)
}

/// How text is set.
pub(super) fn text(ink: Ink, across: HPos, along: VPos) -> TextStyle<'static> {
    // The library writes a size divided by 1.24.
    let font = FontDesc::new(FontFamily::SansSerif, FONT * SCALE * 1.24, FontStyle::Normal);
    TextStyle { font, color: ink.light().to_backend_color(), pos: Pos::new(across, along) }
}

/// A line's style.
pub(super) fn stroke(ink: Ink, width: f64) -> ShapeStyle {
    ink.light().stroke_width(px(width) as u32)
}

/// In the library's pixels, which are whole: a plot has several for each of the page's.
pub(super) fn px(length: f64) -> i32 {
    (length * SCALE).round() as i32
}

/// About how wide a text is: nobody knows the font, but that these are the widths of a wide one.
pub(super) fn width_of(text: &str) -> f64 {
    let letter = |letter| match letter {
        '%' => 0.95,
        ' ' | '.' | ',' | ':' | '-' => 0.36,
        _ => 0.64,
    };
    FONT * text.chars().map(letter).sum::<f64>()
}

/// A name of at most so many letters: what is left out is in the middle.
pub(super) fn shortened(name: &str, longest: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= longest {
        return name.to_owned();
    }
    let [head, tail] = [&letters[..HEAD], &letters[letters.len() - (longest - HEAD - 1)..]];
    format!("{}…{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

/// The width of a legend's entry.
fn entry(label: &str) -> f64 {
    SWATCH + 5.0 + width_of(label) + GAP
}

const SCALE: f64 = 4.0;
/// As wide as a phone, and a third of a desktop's page.
pub(super) const WIDTH: f64 = 400.0;
pub(super) const HEIGHT: f64 = 200.0;
pub(super) const MARGIN: f64 = 6.0;
pub(super) const LINE: f64 = 19.0;
const FONT: f64 = 13.5;
const ABOVE: f64 = 22.0;
const BELOW: f64 = 43.0;
const RIGHT: f64 = 20.0;
const SWATCH: f64 = 14.0;
/// Between two entries of a legend.
const GAP: f64 = 14.0;
/// Letters of a legend's entry.
pub(super) const LEGEND: usize = 44;
const HEAD: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("actor:runs/1", LEGEND), "actor:runs/1");
        let long = shortened(&format!("actor:{}/end", "x".repeat(60)), LEGEND);
        assert!(long.chars().count() == LEGEND && long.starts_with("actor:") && long.ends_with("/end"), "{long}");
    }

    #[test]
    fn a_legend_takes_as_many_lines_as_it_needs() {
        let legend: Vec<(Ink, String)> = (0..7).map(|n| (Ink::Series(n), "greedy-full".to_owned())).collect();
        let frame = Frame::new("", &legend);
        assert_eq!(frame.rows().iter().map(|row| row.len()).collect::<Vec<_>>(), [3, 3, 1]);
    }
}
