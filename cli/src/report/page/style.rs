//! How the page looks, by day and by night, on a desk and on a phone.

use crate::report::plot::style_sheet;

/// All of it.
pub(super) fn sheet() -> String {
    of_plots() + include_str!("page.css")
}

/// What a plot needs by itself.
pub(super) fn of_plots() -> String {
    style_sheet() + "svg text { font-family: system-ui, sans-serif }\n"
}
