//! A table of numbers, as CSV.

/// Named columns, and rows of as many cells.
pub(in crate::report) struct Numbers {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Numbers {
    pub(in crate::report) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(in crate::report) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// All of it.
    pub(in crate::report) fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.header)?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

/// A number to its last digit, as in JSON; nothing where there is none.
pub(in crate::report) fn cell(value: impl Into<Option<f64>>) -> String {
    value.into().map_or(String::new(), |value| value.to_string())
}
