//! Reads an interaction log.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;

use super::super::table::{DelimitedTable, TableRow};
use super::ColumnNames;
use crate::error::BadInput;

/// The distinct interactions of a log. Users and items have indices in the order of their first interaction.
#[derive(Debug, Default)]
pub(super) struct InteractionLog {
    /// `[U]`
    pub(super) user_ids: Vec<String>,
    /// `[I]`
    pub(super) item_ids: Vec<String>,
    /// `[U]`: the items that each user has interacted with, in ascending order and without duplicates.
    pub(super) user_items: Vec<Vec<u32>>,
    /// Rows read.
    pub(super) num_rows: usize,
    /// Rows with a rating below `--min-rating`.
    pub(super) below_minimum: usize,
    /// Rows that repeat an earlier interaction.
    pub(super) repeated: usize,
    /// Items that occur only in rows below the minimum rating.
    pub(super) items_left_out: Vec<String>,
    /// Number of users that occur only in rows below the minimum rating.
    pub(super) users_left_out: usize,
}

/// Reads a log. `min_rating` leaves out rows with a lower rating.
///
/// # Errors
/// If the file cannot be read, a column is missing, no interaction remains, or a rating or a timestamp is not a number.
/// The latter two are checked even if they are not used: the columns are probably not the intended ones.
pub(super) fn read(path: &Path, columns: &ColumnNames, min_rating: Option<f64>) -> Result<InteractionLog> {
    let mut table = DelimitedTable::open(path)?;
    let user = table.required(&columns.user_column, "--user-column")?;
    let item = table.required(&columns.item_column, "--item-column")?;
    let rating = optional(&table, &columns.rating_column, DEFAULT_RATING, "--rating-column")?;
    let timestamp = optional(&table, &columns.timestamp_column, DEFAULT_TIMESTAMP, "--timestamp-column")?;
    if min_rating.is_some() && rating.is_none() {
        table.required(DEFAULT_RATING, "--rating-column, or leave out --min-rating")?;
    }

    let mut log = InteractionLog::default();
    let (mut users, mut items) = (IdIndices::default(), IdIndices::default());
    let (mut users_left_out, mut items_left_out) = (IdIndices::default(), IdIndices::default());
    let mut row = TableRow::default();
    while table.next(&mut row)? {
        log.num_rows += 1;
        let (user, item) = (table.id(&row, user)?, table.id(&row, item)?);
        let rating = rating.map(|column| table.number(&row, column)).transpose()?;
        timestamp.map(|column| table.number(&row, column)).transpose()?;
        if rating.zip(min_rating).is_some_and(|(rating, min)| rating < min) {
            log.below_minimum += 1;
            users_left_out.index(user);
            items_left_out.index(item);
            continue;
        }
        let user = users.index(user) as usize;
        log.user_items.resize_with(users.ids.len(), Vec::new);
        log.user_items[user].push(items.index(item));
    }
    if users.ids.is_empty() {
        let problem = match log.below_minimum {
            0 => "contains no interactions".to_owned(),
            n => format!("contains no interaction with a high enough rating: all {n} are below --min-rating"),
        };
        return Err(BadInput::new(path.display(), problem, "give a log with at least one interaction").into());
    }
    for items in &mut log.user_items {
        let before = items.len();
        items.sort_unstable();
        items.dedup();
        log.repeated += before - items.len();
    }
    log.users_left_out = users_left_out.ids.iter().filter(|id| !users.indices.contains_key(*id)).count();
    log.items_left_out = items_left_out.ids.into_iter().filter(|id| !items.indices.contains_key(id)).collect();
    (log.user_ids, log.item_ids) = (users.ids, items.ids);
    Ok(log)
}

/// The column `name`, or else `default`, or `None` if there is no column of the default name.
///
/// # Errors
/// If there is no column `name`.
fn optional(table: &DelimitedTable, name: &Option<String>, default: &str, flag: &str) -> Result<Option<usize>> {
    match name {
        Some(name) => table.required(name, flag).map(Some),
        None => Ok(table.column(default)),
    }
}

/// Ids, with indices in the order of their first occurrence.
#[derive(Default)]
struct IdIndices {
    ids: Vec<String>,
    indices: HashMap<String, u32>,
}

impl IdIndices {
    fn index(&mut self, id: &str) -> u32 {
        if let Some(&index) = self.indices.get(id) {
            return index;
        }
        let index = u32::try_from(self.ids.len()).expect("a file has fewer than 2^32 distinct ids");
        self.ids.push(id.to_owned());
        self.indices.insert(id.to_owned(), index);
        index
    }
}

const DEFAULT_RATING: &str = "rating";
const DEFAULT_TIMESTAMP: &str = "timestamp";
