//! The values of a plot, as CSV.

/// A table: the columns' names, and rows with a cell for each.
pub(in crate::report) struct PlotData {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl PlotData {
    pub(in crate::report) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(in crate::report) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The header and all rows.
    ///
    /// # Errors
    /// If a row has another number of cells than the header.
    pub(in crate::report) fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.header)?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

/// A number with all its digits, or an empty cell for `None`.
pub(in crate::report) fn cell(value: impl Into<Option<f64>>) -> String {
    value.into().map_or(String::new(), |value| value.to_string())
}
