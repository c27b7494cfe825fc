//! Plots, each with the numbers it was drawn from.

mod axis;
mod canvas;
mod dots;
mod intervals;
mod lines;
mod numbers;
mod palette;
mod radar;
mod stack;

pub(super) use axis::Unit;
pub(super) use dots::{Dots, dots};
pub(super) use intervals::{Whisker, intervals};
pub(super) use lines::{Line, Lines, Point, lines};
pub(super) use numbers::{Numbers, cell};
pub(super) use palette::{Ink, style_sheet};
pub(super) use radar::{Radar, radar};
pub(super) use stack::{Stack, stack};

/// A plot, and the numbers in it.
pub(super) struct Figure {
    /// What it is called in files and links.
    pub(super) id: String,
    pub(super) title: String,
    /// What is seen, and how to read it.
    pub(super) words: String,
    /// From `<svg` to `</svg>`; colours are called by the names of [`style_sheet`].
    pub(super) svg: String,
    pub(super) numbers: Numbers,
}
