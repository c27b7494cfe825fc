//! Reads the names of items.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::Result;

use super::super::table::{DelimitedTable, TableRow};
use crate::error::BadInput;

/// The name of each of `item_ids`, or its id if the file has no name for it, and the ids in the file that are not among
/// `item_ids`.
///
/// # Errors
/// If the file cannot be read, has no column of ids or names, or contains an id twice.
pub(super) fn read(
    path: &Path,
    item_column: &str,
    name_column: Option<&str>,
    item_ids: &[String],
) -> Result<(Vec<String>, Vec<String>)> {
    let mut table = DelimitedTable::open(path)?;
    let item = table.required(item_column, "--item-column")?;
    let name = match name_column {
        Some(name) => table.required(name, "--name-column")?,
        None => match DEFAULTS.iter().find_map(|name| table.column(name)) {
            Some(column) => column,
            None => table.required(DEFAULTS[0], "--name-column")?,
        },
    };
    let indices: HashMap<&str, usize> =
        item_ids.iter().enumerate().map(|(index, id)| (id.as_str(), index)).collect();
    let mut names = item_ids.to_vec();
    let mut seen = HashSet::new();
    let mut unseen = Vec::new();
    let mut row = TableRow::default();
    while table.next(&mut row)? {
        let id = table.id(&row, item)?;
        if !seen.insert(id.to_owned()) {
            let problem = format!("`{id}` occurs twice in `{}`", table.header(item));
            return Err(BadInput::new(table.location(&row), problem, "remove one of the rows").into());
        }
        match indices.get(id) {
            Some(&index) if !row.cell(name).is_empty() => row.cell(name).clone_into(&mut names[index]),
            Some(_) => {}
            None => unseen.push(id.to_owned()),
        }
    }
    Ok((names, unseen))
}

/// Names of the column of names, in the order of preference.
const DEFAULTS: [&str; 3] = ["name", "title", "movie_title"];
