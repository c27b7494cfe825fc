//! Tables of records: delimited text with a header, or JSON as an array of objects.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value};

use super::super::table::{Row, Table};
use crate::error::BadInput;

/// One record of a table.
pub(super) enum Record<'a> {
    Delimited(&'a Table, &'a Row),
    Json { path: &'a Path, number: usize, object: &'a Map<String, Value> },
}

/// Hands every record of the file to `each`, in order. It must have one of the `known` fields at least.
pub(super) fn read(path: &Path, known: &[&str], mut each: impl FnMut(&Record<'_>) -> Result<()>) -> Result<()> {
    if is_json(path) {
        let objects: Vec<Map<String, Value>> = json(path, "an array of objects")?;
        if let Some(first) = objects.first() {
            recognise(path, known, first.keys().map(String::as_str))?;
        }
        let mut records = objects.iter().enumerate();
        records.try_for_each(|(number, object)| each(&Record::Json { path, number, object }))
    } else {
        let mut table = Table::open(path)?;
        recognise(path, known, table.columns())?;
        let mut row = Row::default();
        while table.next(&mut row)? {
            each(&Record::Delimited(&table, &row))?;
        }
        Ok(())
    }
}

/// Refuses a file whose fields are none of the known ones, or one of them but for its case.
fn recognise<'a>(path: &Path, known: &[&str], found: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    let names = known.join("`, `");
    let refuse = |problem: String, remedy: String| Err(BadInput::new(path.display(), problem, remedy).into());
    if let Some((word, meant)) = found.clone().find_map(|word| {
        let meant = known.iter().find(|known| known.eq_ignore_ascii_case(word) && **known != word)?;
        Some((word, meant))
    }) {
        return refuse(format!("has a field `{word}`, which is not looked at"), format!("call it `{meant}`"));
    }
    if found.clone().any(|word| known.contains(&word)) {
        return Ok(());
    }
    let found: Vec<&str> = found.collect();
    let found = found.join("`, `");
    refuse(format!("has none of the fields `{names}`; its fields are `{found}`"), "call them so".to_owned())
}

/// Reads a target: `[0.7, 0.3]` in JSON, or the column `target` of a table, whose rows are in the clusters' order.
pub(super) fn target(path: &Path) -> Result<Vec<f32>> {
    let target = if is_json(path) { json(path, "an array of numbers")? } else { target_column(path)? };
    if target.is_empty() {
        return Err(
            BadInput::new(path.display(), "has no cluster", "give each cluster's share, or leave it out").into()
        );
    }
    Ok(target)
}

fn target_column(path: &Path) -> Result<Vec<f32>> {
    let mut target = Vec::new();
    read(path, &["target"], |record| {
        if let Some(cluster) = record.text("cluster")?
            && *cluster != *target.len().to_string()
        {
            let problem = format!("is of `cluster` {cluster}, and stands where cluster {} should", target.len());
            return Err(record.refuse(&problem));
        }
        target.push(record.number("target")?.ok_or_else(|| record.refuse("has no `target`"))?);
        Ok(())
    })?;
    Ok(target)
}

impl Record<'_> {
    /// A text or a number, as text; none if it is missing or empty.
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

    /// A finite number; none if it is missing or empty.
    pub(super) fn number(&self, field: &str) -> Result<Option<f32>> {
        self.text(field)?.map(|text| self.parse_number(field, &text)).transpose()
    }

    /// Several texts or numbers: a JSON array, or what spaces part in a cell; none if the field is missing.
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

    pub(super) fn parse_number(&self, field: &str, text: &str) -> Result<f32> {
        match text.parse::<f32>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(self.refuse(&format!("`{field}` is `{text}`, which is no finite 32-bit number"))),
        }
    }

    pub(super) fn refuse(&self, problem: &str) -> anyhow::Error {
        let place = match self {
            Self::Delimited(table, row) => table.place(row),
            Self::Json { path, number, .. } => format!("{}, record {number}", path.display()),
        };
        BadInput::new(place, problem, "correct the record").into()
    }

    fn scalar<'a>(&self, field: &str, value: &'a Value) -> Result<Cow<'a, str>> {
        match value {
            Value::String(text) => Ok(Cow::Borrowed(text)),
            Value::Number(number) => Ok(Cow::Owned(number.to_string())),
            _ => Err(self.refuse(&format!("`{field}` holds `{value}`, where text or a number is expected"))),
        }
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn json<T: serde::de::DeserializeOwned>(path: &Path, expected: &str) -> Result<T> {
    let remedy = format!("name a JSON file that holds {expected}, or a CSV file");
    let refuse = |problem: String| BadInput::new(path.display(), problem, &remedy);
    let file = File::open(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let mut file = BufReader::new(file);
    // Some programs put a byte order mark before UTF-8 text.
    if file.fill_buf().is_ok_and(|head| head.starts_with("\u{feff}".as_bytes())) {
        file.consume('\u{feff}'.len_utf8());
    }
    let value = serde_json::from_reader(file);
    value.map_err(|error| refuse(format!("does not hold {expected}: {error}")).into())
}
