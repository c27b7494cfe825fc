//! Plots as SVG, each with the values it was drawn from.

mod axis;
mod canvas;
mod data;
mod dots;
mod intervals;
mod lines;
mod palette;
mod radar;
mod stack;

pub(super) use axis::AxisUnit;
pub(super) use data::{PlotData, cell};
pub(super) use dots::{DotPlot, dots};
pub(super) use intervals::{IntervalRow, intervals};
pub(super) use lines::{LinePlot, LinePoint, PlotLine, lines};
pub(super) use palette::{PlotColor, style_sheet};
pub(super) use radar::{RadarPlot, radar};
pub(super) use stack::{StackPlot, stack};

/// A plot, and the values in it.
pub(super) struct Figure {
    /// Its name in files and links.
    pub(super) id: String,
    pub(super) title: String,
    /// What it shows, and how to read it.
    pub(super) caption: String,
    /// From `<svg` to `</svg>`. Colors are the names that [`style_sheet`] defines.
    pub(super) svg: String,
    pub(super) data: PlotData,
}
