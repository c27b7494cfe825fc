//! The canvas of a plot: text, a legend, axes, and the SVG they become.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Rectangle, Text};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, ShapeStyle, TextStyle};

use super::axis::Axis;
use super::palette::{PlotColor, with_css_variables};

/// The canvas.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// The part of the canvas between the axes.
pub(super) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// The title, the legend and the size of a plot.
pub(super) struct Frame<'a> {
    /// The name of the y axis, written above the plot.
    pub(super) title: &'a str,
    pub(super) legend: &'a [(PlotColor, String)],
    pub(super) width: f64,
    /// Height of the part between the axes.
    pub(super) height: f64,
}

impl<'a> Frame<'a> {
    /// A frame of the default size.
    pub(super) fn new(title: &'a str, legend: &'a [(PlotColor, String)]) -> Self {
        Self { title, legend, width: WIDTH, height: HEIGHT }
    }

    /// Draws axes, and calls `paint` to draw between them. Returns the SVG.
    ///
    /// # Errors
    /// If drawing fails.
    pub(super) fn chart(
        &self,
        (x, y): (&Axis, &Axis),
        x_name: &str,
        paint: impl FnOnce(&mut Chart<'_, '_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        self.canvas(self.height + BELOW, |area, top| {
            let widest = y.ticks.iter().map(|&tick| width_of(&y.label(tick))).fold(0.0, f64::max);
            // The outermost labels of the x axis are centred at its ends, and may be wide.
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
            let labels = text_style(PlotColor::Text, HPos::Center, VPos::Top);
            chart
                .configure_mesh()
                .disable_x_mesh()
                .bold_line_style(stroke(PlotColor::Faint, 1.0))
                .light_line_style(PlotColor::Faint.light().mix(0.0))
                .axis_style(stroke(PlotColor::Faint, 1.0))
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
                (PlotColor::Text, HPos::Right, VPos::Bottom),
            )
        })
    }

    /// Draws the title and the legend, and calls `paint` with the y coordinate below them. Returns the SVG.
    ///
    /// # Errors
    /// If drawing fails.
    pub(super) fn canvas(
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
            put(&area, (MARGIN, ABOVE - 4.0), self.title, (PlotColor::Text, HPos::Left, VPos::Bottom))?;
            for (n, row) in rows.iter().enumerate() {
                let line = ABOVE + (n as f64 + 0.5) * LINE;
                let mut x = MARGIN;
                for (color, label) in *row {
                    let corners = [(px(x), px(line - 4.0)), (px(x + SWATCH), px(line + 4.0))];
                    area.draw(&Rectangle::new(corners, color.fill()))?;
                    put(&area, (x + SWATCH + 5.0, line), label, (PlotColor::Text, HPos::Left, VPos::Center))?;
                    x += entry_width(label);
                }
            }
            paint(&area, top)?;
            area.present()?;
        }
        // Coordinates are in finer units than the plot's size in pixels.
        let attributes = |[width, height]: [f64; 2]| format!("width=\"{width}\" height=\"{height}\"");
        let size = size.map(f64::from);
        Ok(with_css_variables(&svg).replacen(&attributes(size), &attributes(size.map(|length| length / SCALE)), 1))
    }

    /// The legend, broken into lines.
    fn rows(&self) -> Vec<&'a [(PlotColor, String)]> {
        let (mut rows, mut rest) = (Vec::new(), self.legend);
        while !rest.is_empty() {
            let mut x = MARGIN;
            let fit = rest.iter().take_while(|(_, label)| {
                x += entry_width(label);
                x <= self.width + GAP
            });
            let (row, others) = rest.split_at(fit.count().max(1));
            rows.push(row);
            rest = others;
        }
        rows
    }
}

/// Draws a text at a position.
pub(super) fn put(
    area: &Area<'_>,
    (x, y): (f64, f64),
    text: &str,
    (color, across, along): (PlotColor, HPos, VPos),
) -> anyhow::Result<()> {
    Ok(area.draw(&Text::new(text.to_owned(), (px(x), px(y)), text_style(color, across, along)))?)
}

/// The style of a text.
pub(super) fn text_style(color: PlotColor, across: HPos, along: VPos) -> TextStyle<'static> {
    // The drawing library divides the size by 1.24.
    let font = FontDesc::new(FontFamily::SansSerif, FONT * SCALE * 1.24, FontStyle::Normal);
    TextStyle { font, color: color.light().to_backend_color(), pos: Pos::new(across, along) }
}

/// The style of a line.
pub(super) fn stroke(color: PlotColor, width: f64) -> ShapeStyle {
    color.light().stroke_width(px(width) as u32)
}

/// A length in the drawing library's whole pixels, of which a pixel of the page has [`SCALE`].
pub(super) fn px(length: f64) -> i32 {
    (length * SCALE).round() as i32
}

/// An upper estimate of a text's width: the font is unknown, so these are the widths of a wide one.
pub(super) fn width_of(text: &str) -> f64 {
    let letter = |letter| match letter {
        '%' => 0.95,
        ' ' | '.' | ',' | ':' | '-' => 0.36,
        _ => 0.64,
    };
    FONT * text.chars().map(letter).sum::<f64>()
}

/// A name of at most `max_len` letters. Letters in its middle are replaced by an ellipsis.
pub(super) fn shortened(name: &str, max_len: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= max_len {
        return name.to_owned();
    }
    let [head, tail] = [&letters[..HEAD], &letters[letters.len() - (max_len - HEAD - 1)..]];
    format!("{}…{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

/// The width of a legend's entry.
fn entry_width(label: &str) -> f64 {
    SWATCH + 5.0 + width_of(label) + GAP
}

const SCALE: f64 = 4.0;
/// The width of a phone's screen, and a third of a desktop page.
pub(super) const WIDTH: f64 = 400.0;
pub(super) const HEIGHT: f64 = 200.0;
pub(super) const MARGIN: f64 = 6.0;
pub(super) const LINE: f64 = 19.0;
const FONT: f64 = 13.5;
const ABOVE: f64 = 22.0;
const BELOW: f64 = 43.0;
const RIGHT: f64 = 20.0;
const SWATCH: f64 = 14.0;
/// The gap between two entries of a legend.
const GAP: f64 = 14.0;
/// Maximum letters of a legend's entry.
pub(super) const LEGEND: usize = 44;
/// Letters of a shortened name before the ellipsis.
const HEAD: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_keeps_both_ends() {
        assert_eq!(shortened("actor:runs/1", LEGEND), "actor:runs/1");
        let long = shortened(&format!("actor:{}/end", "x".repeat(60)), LEGEND);
        assert!(long.chars().count() == LEGEND && long.starts_with("actor:") && long.ends_with("/end"), "{long}");
    }

    #[test]
    fn legend_wraps_to_the_width() {
        let legend: Vec<(PlotColor, String)> =
            (0..7).map(|n| (PlotColor::Series(n), "greedy-full".to_owned())).collect();
        let frame = Frame::new("", &legend);
        assert_eq!(frame.rows().iter().map(|row| row.len()).collect::<Vec<_>>(), [3, 3, 1]);
    }
}
