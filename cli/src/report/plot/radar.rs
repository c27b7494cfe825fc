//! Beliefs in K clusters as a radar chart: K equally spaced axes, each as long as the target. With one or two clusters,
//! which make no polygon, bars.

use std::f64::consts::TAU;

use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Area, Frame, LINE, MARGIN, WIDTH, put, px, stroke};
use super::{Figure, PlotColor, PlotData, cell};

/// A radar chart of beliefs.
pub(in crate::report) struct RadarPlot {
    pub(in crate::report) id: String,
    pub(in crate::report) title: String,
    pub(in crate::report) caption: String,
    /// `[K]`: the target beliefs.
    pub(in crate::report) target: Vec<f64>,
    /// Name, color and `[K]` of each polygon.
    pub(in crate::report) beliefs: Vec<(String, PlotColor, Vec<f64>)>,
}

/// Draws a radar chart.
pub(in crate::report) fn radar(plot: RadarPlot) -> anyhow::Result<Figure> {
    let RadarPlot { id, title, caption, target, beliefs } = plot;
    let reached =
        |values: &[f64]| -> Vec<f64> { values.iter().zip(&target).map(|(b, t)| share_of_target(*b, *t)).collect() };
    let mut shapes = vec![(PlotColor::Text, "target".to_owned(), vec![1.0; target.len()])];
    shapes.extend(beliefs.iter().map(|(name, color, values)| (*color, name.clone(), reached(values))));
    let legend: Vec<(PlotColor, String)> = shapes.iter().map(|(color, name, _)| (*color, name.clone())).collect();
    let frame = Frame { height: SIDE, ..Frame::new("share of the target", &legend) };
    let svg = if target.len() < 3 {
        frame.canvas(bars_height(&shapes), |area, top| bars(area, top, &shapes))?
    } else {
        frame.canvas(SIDE, |area, top| polygons(area, top, &shapes))?
    };
    let mut data = PlotData::new(&["beliefs", "cluster", "belief", "target", "share of the target"]);
    for (name, _, values) in &beliefs {
        for (cluster, (belief, target)) in values.iter().zip(&target).enumerate() {
            let cells = [*belief, *target, share_of_target(*belief, *target)].map(cell);
            data.push([vec![name.clone(), cluster.to_string()], cells.to_vec()].concat());
        }
    }
    Ok(Figure { id, title, caption, svg, data })
}

/// A polygon's color, name and `[K]` shares of the target.
type RadarShape = (PlotColor, String, Vec<f64>);

fn polygons(area: &Area<'_>, top: f64, shapes: &[RadarShape]) -> anyhow::Result<()> {
    let clusters = shapes[0].2.len();
    let centre = (WIDTH / 2.0, top + SIDE / 2.0);
    let at = |cluster: usize, length: f64| {
        // The first axis points upwards.
        let angle = TAU * cluster as f64 / clusters as f64;
        (centre.0 + length * RADIUS * angle.sin(), centre.1 - length * RADIUS * angle.cos())
    };
    let pixel = |(x, y): (f64, f64)| (px(x), px(y));
    for ring in [0.25, 0.5, 0.75] {
        let ring: Vec<_> = (0..=clusters).map(|cluster| pixel(at(cluster % clusters, ring))).collect();
        area.draw(&PathElement::new(ring, stroke(PlotColor::Faint, 0.75)))?;
    }
    for cluster in 0..clusters {
        area.draw(&PathElement::new([pixel(centre), pixel(at(cluster, 1.0))], stroke(PlotColor::Faint, 0.75)))?;
    }
    for (color, _, shares) in shapes {
        // A belief never exceeds its target. A damaged file's may: the clamp keeps it on the page.
        let outline = (0..=clusters).map(|n| pixel(at(n % clusters, shares[n % clusters].clamp(0.0, 1.15))));
        let outline: Vec<_> = outline.collect();
        if *color != PlotColor::Text {
            area.draw(&Polygon::new(outline.clone(), color.light().mix(0.18)))?;
        }
        area.draw(&PathElement::new(outline.clone(), stroke(*color, 1.6)))?;
        if *color != PlotColor::Text && clusters <= MAX_AXIS_LABELS {
            for point in outline {
                area.draw(&Circle::new(point, px(2.6), color.light().filled()))?;
            }
        }
    }
    // Only some of many axes have a label.
    for cluster in (0..clusters).step_by(clusters.div_ceil(MAX_AXIS_LABELS)) {
        let (x, y) = at(cluster, 1.0);
        let (right, down) = ((x - centre.0) / RADIUS, (y - centre.1) / RADIUS);
        let across = match right {
            right if right > 0.2 => HPos::Left,
            right if right < -0.2 => HPos::Right,
            _ => HPos::Center,
        };
        let label = (x + 8.0 * right, y + 13.0 * down);
        put(area, label, &format!("cluster {cluster}"), (PlotColor::Text, across, VPos::Center))?;
    }
    Ok(())
}

fn bars(area: &Area<'_>, top: f64, shapes: &[RadarShape]) -> anyhow::Result<()> {
    let mut line = top;
    for cluster in 0..shapes[0].2.len() {
        put(
            area,
            (MARGIN, line + LINE / 2.0),
            &format!("cluster {cluster}"),
            (PlotColor::Text, HPos::Left, VPos::Center),
        )?;
        line += LINE;
        for (color, _, shares) in shapes {
            let length = shares[cluster].clamp(0.0, 1.0) * (WIDTH - 2.0 * MARGIN);
            let corners = [(px(MARGIN), px(line)), (px(MARGIN + length.max(1.0)), px(line + BAR - 2.0))];
            area.draw(&Rectangle::new(corners, color.light().filled()))?;
            line += BAR;
        }
        line += BAR / 2.0;
    }
    Ok(())
}

fn bars_height(shapes: &[RadarShape]) -> f64 {
    shapes[0].2.len() as f64 * (LINE + BAR * (shapes.len() as f64 + 0.5))
}

/// The share of the target that a belief reaches: 1 where the target is 0.
fn share_of_target(belief: f64, target: f64) -> f64 {
    if target > 0.0 { belief / target } else { 1.0 }
}

const SIDE: f64 = 260.0;
const RADIUS: f64 = 98.0;
const BAR: f64 = 14.0;
const MAX_AXIS_LABELS: usize = 12;
