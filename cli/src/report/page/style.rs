//! The page's style sheet, for light and dark mode, desktops and phones.

use crate::report::plot::style_sheet;

/// The whole style sheet.
pub(super) fn sheet() -> String {
    of_plots() + include_str!("page.css")
}

/// The part that a plot in a file of its own needs.
pub(super) fn of_plots() -> String {
    style_sheet() + "svg text { font-family: system-ui, sans-serif }\n"
}
