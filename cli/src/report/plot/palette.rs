//! Colours: the plots are drawn in the light ones, and then each is called by its name, so that a page can be dark.

use std::fmt::Write;

use plotters::style::{Color, RGBColor, ShapeStyle};

/// What something is drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Ink {
    Text,
    /// Axes and grids.
    Faint,
    /// The n-th of several things; they repeat after ten.
    Series(usize),
}

impl Ink {
    /// As it is on paper.
    pub(super) fn light(self) -> RGBColor {
        let (_, [r, g, b], _) = COLOURS[self.place()];
        RGBColor(r, g, b)
    }

    /// What a surface is filled with: of more things than there are colours, the later ones are paler.
    pub(super) fn fill(self) -> ShapeStyle {
        let round = if let Self::Series(n) = self { n / SERIES } else { 0 };
        self.light().mix([1.0, 0.55, 0.25][round.min(2)]).filled()
    }

    fn place(self) -> usize {
        match self {
            Self::Text => 0,
            Self::Faint => 1,
            Self::Series(n) => 2 + n % SERIES,
        }
    }
}

/// A drawing whose colours are called by their names.
pub(super) fn named(svg: &str) -> String {
    COLOURS.iter().fold(svg.to_owned(), |svg, (name, light, _)| {
        svg.replace(&format!("\"{}\"", hex(*light)), &format!("\"var(--{name})\""))
    })
}

/// The style sheet that says what the names mean, by day and by night.
pub(in crate::report) fn style_sheet() -> String {
    let list = |of: fn(&Colour) -> Rgb| {
        COLOURS.iter().fold(String::new(), |mut list, colour| {
            // A string takes whatever is written to it.
            let _ = write!(list, "--{}:{};", colour.0, hex(of(colour)));
            list
        })
    };
    let (light, dark) = (list(|colour| colour.1), list(|colour| colour.2));
    format!(":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n")
}

/// As the drawing library writes it.
fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

type Rgb = [u8; 3];
/// Its name, by day, by night.
type Colour = (&'static str, Rgb, Rgb);

const SERIES: usize = 10;
/// No two alike by day. The series' are told apart by most colour-blind people, the first eight best.
const COLOURS: [Colour; 2 + SERIES] = [
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
    fn no_two_colours_are_alike_so_that_each_gets_its_own_name() {
        let mut light = COLOURS.map(|(_, light, _)| hex(light));
        light.sort();
        assert!(light.windows(2).all(|pair| pair[0] != pair[1]));
        let svg = format!(r##"<path stroke="{}" fill="none"/>"##, hex(COLOURS[2].1));
        assert_eq!(named(&svg), r#"<path stroke="var(--blue)" fill="none"/>"#);
    }
}
