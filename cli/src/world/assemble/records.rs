//! Reads records from delimited text with a header, or from a JSON array of objects.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value};

use super::super::table::{DelimitedTable, TableRow};
use crate::error::BadInput;

/// One record of a table.
pub(super) enum Record<'a> {
    Delimited(&'a DelimitedTable, &'a TableRow),
    Json { path: &'a Path, index: usize, object: &'a Map<String, Value> },
}

/// Calls `each` with every record of the file, in order. Other fields than the `known` ones are ignored.
///
/// # Errors
/// If the file cannot be read, has none of the `known` fields, or `each` fails.
pub(super) fn read(path: &Path, known: &[&str], mut each: impl FnMut(&Record<'_>) -> Result<()>) -> Result<()> {
    if is_json(path) {
        let objects: Vec<Map<String, Value>> = json(path, "an array of objects")?;
        if let Some(first) = objects.first() {
            check_fields(path, known, first.keys().map(String::as_str))?;
        }
        let mut records = objects.iter().enumerate();
        records.try_for_each(|(index, object)| each(&Record::Json { path, index, object }))
    } else {
        let mut table = DelimitedTable::open(path)?;
        check_fields(path, known, table.columns())?;
        let mut row = TableRow::default();
        while table.next(&mut row)? {
            each(&Record::Delimited(&table, &row))?;
        }
        Ok(())
    }
}

/// Refuses fields of which none is known, or of which one differs from a known one only in case.
fn check_fields<'a>(path: &Path, known: &[&str], fields: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    let names = known.join("`, `");
    let refuse = |problem: String, remedy: String| Err(BadInput::new(path.display(), problem, remedy).into());
    if let Some((field, name)) = fields.clone().find_map(|field| {
        let name = known.iter().find(|known| known.eq_ignore_ascii_case(field) && **known != field)?;
        Some((field, name))
    }) {
        return refuse(format!("has a field `{field}`, which is ignored"), format!("rename it to `{name}`"));
    }
    if fields.clone().any(|field| known.contains(&field)) {
        return Ok(());
    }
    let fields: Vec<&str> = fields.collect();
    let fields = fields.join("`, `");
    let problem = format!("has none of the fields `{names}`; its fields are `{fields}`");
    refuse(problem, "rename the fields".to_owned())
}

/// Reads the target of each cluster: a JSON array such as `[0.7, 0.3]`, or the column `target` of a table with one row
/// per cluster, in the order of the clusters.
///
/// # Errors
/// If the file cannot be read, is empty, or has its clusters in another order.
pub(super) fn target(path: &Path) -> Result<Vec<f32>> {
    let target = if is_json(path) { json(path, "an array of numbers")? } else { target_column(path)? };
    if target.is_empty() {
        return Err(BadInput::new(
            path.display(),
            "has no cluster",
            "give the target of each cluster, or leave out the file",
        )
        .into());
    }
    Ok(target)
}

fn target_column(path: &Path) -> Result<Vec<f32>> {
    let mut target = Vec::new();
    read(path, &["target"], |record| {
        if let Some(cluster) = record.text("cluster")?
            && *cluster != *target.len().to_string()
        {
            let problem = format!("has the `cluster` {cluster}, and cluster {} is expected", target.len());
            return Err(record.refuse(&problem));
        }
        target.push(record.number("target")?.ok_or_else(|| record.refuse("has no `target`"))?);
        Ok(())
    })?;
    Ok(target)
}

impl Record<'_> {
    /// A text or a number, as text. `None` if it is missing or empty.
    ///
    /// # Errors
    /// If the value is neither text nor a number.
    pub(super) fn text(&self, field: &str) -> Result<Option<Cow<'_, str>>> {
        match self {
            Self::Delimited(table, row) => {
                let cell = table.column(field).map(|column| row.cell(column)).filter(|cell| !cell.is_empty());
                Ok(cell.map(Cow::Borrowed))
            }
            Self::Json { object, .. } => match object.get(field) {
                None | Some(Value::Null) => Ok(None),
                Some(value) => self.scalar(field, value).map(Some),
            },
        }
    }

    /// A finite number. `None` if it is missing or empty.
    ///
    /// # Errors
    /// If the value is not a finite `f32`.
    pub(super) fn number(&self, field: &str) -> Result<Option<f32>> {
        self.text(field)?.map(|text| self.parse_number(field, &text)).transpose()
    }

    /// Several texts or numbers: a JSON array, or a cell whose values are separated by spaces. `None` if the field is
    /// missing.
    ///
    /// # Errors
    /// If the value is not a list of texts and numbers.
    pub(super) fn list(&self, field: &str) -> Result<Option<Vec<Cow<'_, str>>>> {
        match self {
            Self::Delimited(table, row) => {
                let cell = table.column(field).map(|column| row.cell(column));
                Ok(cell.map(|cell| cell.split_whitespace().map(Cow::Borrowed).collect()))
            }
            Self::Json { object, .. } => match object.get(field) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::Array(values)) => {
                    values.iter().map(|value| self.scalar(field, value)).collect::<Result<_>>().map(Some)
                }
                Some(_) => Err(self.refuse(&format!("`{field}` is not an array"))),
            },
        }
    }

    /// Parses the text of `field` as a finite number.
    ///
    /// # Errors
    /// If it is not a finite `f32`.
    pub(super) fn parse_number(&self, field: &str, text: &str) -> Result<f32> {
        match text.parse::<f32>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(self.refuse(&format!("`{field}` is `{text}`, which is not a finite 32-bit number"))),
        }
    }

    /// The error for this record, with its location.
    pub(super) fn refuse(&self, problem: &str) -> anyhow::Error {
        let location = match self {
            Self::Delimited(table, row) => table.location(row),
            Self::Json { path, index, .. } => format!("{}, record {index}", path.display()),
        };
        BadInput::new(location, problem, "correct the record").into()
    }

    fn scalar<'a>(&self, field: &str, value: &'a Value) -> Result<Cow<'a, str>> {
        match value {
            Value::String(text) => Ok(Cow::Borrowed(text)),
            Value::Number(number) => Ok(Cow::Owned(number.to_string())),
            _ => Err(self.refuse(&format!("`{field}` contains `{value}`, and text or a number is expected"))),
        }
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn json<T: serde::de::DeserializeOwned>(path: &Path, expected: &str) -> Result<T> {
    let remedy = format!("give a JSON file that contains {expected}, or a CSV file");
    let refuse = |problem: String| BadInput::new(path.display(), problem, &remedy);
    let file = File::open(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let mut file = BufReader::new(file);
    // Some programs put a byte order mark before UTF-8 text.
    if file.fill_buf().is_ok_and(|head| head.starts_with("\u{feff}".as_bytes())) {
        file.consume('\u{feff}'.len_utf8());
    }
    let value = serde_json::from_reader(file);
    value.map_err(|error| refuse(format!("does not contain {expected}: {error}")).into())
}
