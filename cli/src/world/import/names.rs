//! The items' names.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::Result;

use super::super::table::{Row, Table};
use crate::error::BadInput;

/// The name of each of `item_ids`, its id where the file names none; and the ids the file has besides.
pub(super) fn read(
    path: &Path,
    item_column: &str,
    name_column: Option<&str>,
    item_ids: &[String],
) -> Result<(Vec<String>, Vec<String>)> {
    let mut table = Table::open(path)?;
    let item = table.required(item_column, "--item-column")?;
    let name = match name_column {
        Some(name) => table.required(name, "--name-column")?,
        None => match DEFAULTS.iter().find_map(|name| table.column(name)) {
            Some(column) => column,
            None => table.required(DEFAULTS[0], "--name-column")?,
        },
    };
    let places: HashMap<&str, usize> =
        item_ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let mut names = item_ids.to_vec();
    let mut seen = HashSet::new();
    let mut unseen = Vec::new();
    let mut row = Row::default();
    while table.next(&mut row)? {
        let id = table.id(&row, item)?;
        if !seen.insert(id.to_owned()) {
            let problem = format!("`{id}` stands twice in `{}`", table.header(item));
            return Err(BadInput::new(table.place(&row), problem, "remove one of the rows").into());
        }
        match places.get(id) {
            Some(&place) if !row.cell(name).is_empty() => row.cell(name).clone_into(&mut names[place]),
            Some(_) => {}
            None => unseen.push(id.to_owned()),
        }
    }
    Ok((names, unseen))
}

const DEFAULTS: [&str; 3] = ["name", "title", "movie_title"];
