//! The colors of plots. A plot is drawn in the light palette; then each color is replaced by a CSS variable, so that
//! a page can be dark.

use std::fmt::Write;

use plotters::style::{Color, RGBColor, ShapeStyle};

/// A color of the palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum PlotColor {
    Text,
    /// Axes and grids.
    Faint,
    /// The color of the n-th series. Colors repeat after [`SERIES`].
    Series(usize),
}

impl PlotColor {
    /// Its value in the light palette.
    pub(super) fn light(self) -> RGBColor {
        let (_, [r, g, b], _) = PALETTE[self.index()];
        RGBColor(r, g, b)
    }

    /// The style of a filled area. A series whose color repeats an earlier one's is paler.
    pub(super) fn fill(self) -> ShapeStyle {
        let repetition = if let Self::Series(n) = self { n / SERIES } else { 0 };
        self.light().mix([1.0, 0.55, 0.25][repetition.min(2)]).filled()
    }

    fn index(self) -> usize {
        match self {
            Self::Text => 0,
            Self::Faint => 1,
            Self::Series(n) => 2 + n % SERIES,
        }
    }
}

/// Replaces the light palette's colors in a drawing by CSS variables.
pub(super) fn with_css_variables(svg: &str) -> String {
    PALETTE.iter().fold(svg.to_owned(), |svg, (name, light, _)| {
        svg.replace(&format!("\"{}\"", hex(*light)), &format!("\"var(--{name})\""))
    })
}

/// The style sheet that defines the CSS variables, for the light and the dark scheme.
pub(in crate::report) fn style_sheet() -> String {
    let list = |of: fn(&NamedColor) -> Rgb| {
        PALETTE.iter().fold(String::new(), |mut list, color| {
            // Writing to a string cannot fail.
            let _ = write!(list, "--{}:{};", color.0, hex(of(color)));
            list
        })
    };
    let (light, dark) = (list(|color| color.1), list(|color| color.2));
    format!(":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n")
}

/// A color as the drawing library writes it.
fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

type Rgb = [u8; 3];
/// A color's name, its light and its dark value.
type NamedColor = (&'static str, Rgb, Rgb);

const SERIES: usize = 10;
/// All light values differ, so that each can be replaced by its name. Most color-blind readers can distinguish the
/// series, the first eight best.
const PALETTE: [NamedColor; 2 + SERIES] = [
    ("text", [0x1f, 0x28, 0x33], [0xe4, 0xe8, 0xee]),
    ("faint", [0xd3, 0xd8, 0xde], [0x3a, 0x42, 0x4d]),
    ("blue", [0x00, 0x66, 0xb3], [0x5c, 0xb0, 0xff]),
    ("vermilion", [0xd0, 0x52, 0x00], [0xff, 0x8b, 0x4d]),
    ("green", [0x00, 0x8f, 0x68], [0x37, 0xcf, 0x9f]),
    ("purple", [0x8a, 0x4f, 0xb5], [0xc2, 0x95, 0xee]),
    ("orange", [0xd9, 0x94, 0x00], [0xf5, 0xbe, 0x4a]),
    ("sky", [0x3d, 0xa5, 0xe0], [0x9a, 0xdb, 0xff]),
    ("pink", [0xc2, 0x5f, 0x96], [0xf4, 0x9d, 0xcb]),
    ("grey", [0x6c, 0x76, 0x81], [0xa4, 0xae, 0xb9]),
    ("olive", [0x75, 0x80, 0x10], [0xc3, 0xcd, 0x52]),
    ("brown", [0x8c, 0x4a, 0x3c], [0xd6, 0x95, 0x85]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_colors_are_alike_so_that_each_gets_its_own_name() {
        let mut light = PALETTE.map(|(_, light, _)| hex(light));
        light.sort();
        assert!(light.windows(2).all(|pair| pair[0] != pair[1]));
        let svg = format!(r##"<path stroke="{}" fill="none"/>"##, hex(PALETTE[2].1));
        assert_eq!(with_css_variables(&svg), r#"<path stroke="var(--blue)" fill="none"/>"#);
    }
}
