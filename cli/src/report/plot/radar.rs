//! Beliefs in K clusters as polygons: K equally spaced axes, each as long as the target. Of one or two clusters, which
//! make no polygon, bars.

use std::f64::consts::TAU;

use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Area, Frame, LINE, MARGIN, WIDTH, put, px, stroke};
use super::{Figure, Ink, Numbers, cell};

/// What beliefs are drawn of.
pub(in crate::report) struct Radar {
    pub(in crate::report) id: String,
    pub(in crate::report) title: String,
    pub(in crate::report) words: String,
    /// `[K]`
    pub(in crate::report) target: Vec<f64>,
    /// By name: `[K]` each.
    pub(in crate::report) beliefs: Vec<(String, Ink, Vec<f64>)>,
}

/// Draws beliefs.
pub(in crate::report) fn radar(radar: Radar) -> anyhow::Result<Figure> {
    let Radar { id, title, words, target, beliefs } = radar;
    let reached = |values: &[f64]| -> Vec<f64> { values.iter().zip(&target).map(|(b, t)| share(*b, *t)).collect() };
    let mut shapes = vec![(Ink::Text, "target".to_owned(), vec![1.0; target.len()])];
    shapes.extend(beliefs.iter().map(|(name, ink, values)| (*ink, name.clone(), reached(values))));
    let legend: Vec<(Ink, String)> = shapes.iter().map(|(ink, name, _)| (*ink, name.clone())).collect();
    let frame = Frame { height: SIDE, ..Frame::new("share of the target that is reached", &legend) };
    let svg = if target.len() < 3 {
        frame.sheet(bars_height(&shapes), |area, top| bars(area, top, &shapes))?
    } else {
        frame.sheet(SIDE, |area, top| polygons(area, top, &shapes))?
    };
    let mut numbers = Numbers::new(&["beliefs", "cluster", "belief", "target", "share of the target"]);
    for (name, _, values) in &beliefs {
        for (cluster, (belief, target)) in values.iter().zip(&target).enumerate() {
            let cells = [*belief, *target, share(*belief, *target)].map(cell);
            numbers.push([vec![name.clone(), cluster.to_string()], cells.to_vec()].concat());
        }
    }
    Ok(Figure { id, title, words, svg, numbers })
}

type Shape = (Ink, String, Vec<f64>);

fn polygons(area: &Area<'_>, top: f64, shapes: &[Shape]) -> anyhow::Result<()> {
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
        area.draw(&PathElement::new(ring, stroke(Ink::Faint, 0.75)))?;
    }
    for cluster in 0..clusters {
        area.draw(&PathElement::new([pixel(centre), pixel(at(cluster, 1.0))], stroke(Ink::Faint, 0.75)))?;
    }
    for (ink, _, shares) in shapes {
        // A user never passes the target; what lies outside the page is not worth seeing.
        let outline = (0..=clusters).map(|n| pixel(at(n % clusters, shares[n % clusters].clamp(0.0, 1.15))));
        let outline: Vec<_> = outline.collect();
        if *ink != Ink::Text {
            area.draw(&Polygon::new(outline.clone(), ink.light().mix(0.18)))?;
        }
        area.draw(&PathElement::new(outline.clone(), stroke(*ink, 1.6)))?;
        if *ink != Ink::Text && clusters <= NAMED {
            for point in outline {
                area.draw(&Circle::new(point, px(2.6), ink.light().filled()))?;
            }
        }
    }
    // Of very many axes, some are named.
    for cluster in (0..clusters).step_by(clusters.div_ceil(NAMED)) {
        let (x, y) = at(cluster, 1.0);
        let (right, down) = ((x - centre.0) / RADIUS, (y - centre.1) / RADIUS);
        let across = match right {
            right if right > 0.2 => HPos::Left,
            right if right < -0.2 => HPos::Right,
            _ => HPos::Center,
        };
        let place = (x + 8.0 * right, y + 13.0 * down);
        put(area, place, &format!("cluster {cluster}"), (Ink::Text, across, VPos::Center))?;
    }
    Ok(())
}

fn bars(area: &Area<'_>, top: f64, shapes: &[Shape]) -> anyhow::Result<()> {
    let mut line = top;
    for cluster in 0..shapes[0].2.len() {
        put(
            area,
            (MARGIN, line + LINE / 2.0),
            &format!("cluster {cluster}"),
            (Ink::Text, HPos::Left, VPos::Center),
        )?;
        line += LINE;
        for (ink, _, shares) in shapes {
            let long = shares[cluster].clamp(0.0, 1.0) * (WIDTH - 2.0 * MARGIN);
            let corners = [(px(MARGIN), px(line)), (px(MARGIN + long.max(1.0)), px(line + BAR - 2.0))];
            area.draw(&Rectangle::new(corners, ink.light().filled()))?;
            line += BAR;
        }
        line += BAR / 2.0;
    }
    Ok(())
}

fn bars_height(shapes: &[Shape]) -> f64 {
    shapes[0].2.len() as f64 * (LINE + BAR * (shapes.len() as f64 + 0.5))
}

/// Of a target of 0 all is reached.
fn share(belief: f64, target: f64) -> f64 {
    if target > 0.0 { belief / target } else { 1.0 }
}

const SIDE: f64 = 260.0;
const RADIUS: f64 = 98.0;
const BAR: f64 = 14.0;
/// Axes that are named.
const NAMED: usize = 12;
