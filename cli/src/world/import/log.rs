//! An interaction log: who took up what.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;

use super::super::table::{Row, Table};
use super::Columns;
use crate::error::BadInput;

/// The distinct interactions of a log. Users and items are numbered in the order of their first one.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) user_ids: Vec<String>,
    pub(super) item_ids: Vec<String>,
    /// The items of each user, ascending, none twice.
    pub(super) taken: Vec<Vec<u32>>,
    /// Rows read.
    pub(super) rows: usize,
    /// Rows that `--min-rating` left out.
    pub(super) below_minimum: usize,
    /// Rows that repeat a user's earlier interaction with an item.
    pub(super) repeated: usize,
    /// Items that the log names only in rows left out.
    pub(super) items_left_out: Vec<String>,
    /// Users of whom no row is left.
    pub(super) users_left_out: usize,
}

/// Reads a log. A rating or a timestamp that is no number is refused even where nothing depends on it: the columns
/// are not what they seem.
pub(super) fn read(path: &Path, columns: &Columns, min_rating: Option<f64>) -> Result<Log> {
    let mut table = Table::open(path)?;
    let user = table.required(&columns.user_column, "--user-column")?;
    let item = table.required(&columns.item_column, "--item-column")?;
    let rating = optional(&table, &columns.rating_column, DEFAULT_RATING, "--rating-column")?;
    let timestamp = optional(&table, &columns.timestamp_column, DEFAULT_TIMESTAMP, "--timestamp-column")?;
    if min_rating.is_some() && rating.is_none() {
        table.required(DEFAULT_RATING, "--rating-column, or leave out --min-rating")?;
    }

    let mut log = Log::default();
    let (mut users, mut items) = (Numbers::default(), Numbers::default());
    let (mut users_left_out, mut items_left_out) = (Numbers::default(), Numbers::default());
    let mut row = Row::default();
    while table.next(&mut row)? {
        log.rows += 1;
        let (user, item) = (table.id(&row, user)?, table.id(&row, item)?);
        let rating = rating.map(|column| table.number(&row, column)).transpose()?;
        timestamp.map(|column| table.number(&row, column)).transpose()?;
        if rating.zip(min_rating).is_some_and(|(rating, least)| rating < least) {
            log.below_minimum += 1;
            users_left_out.of(user);
            items_left_out.of(item);
            continue;
        }
        let user = users.of(user) as usize;
        log.taken.resize_with(users.ids.len(), Vec::new);
        log.taken[user].push(items.of(item));
    }
    if users.ids.is_empty() {
        let problem = match log.below_minimum {
            0 => "holds no interactions".to_owned(),
            n => format!("holds no interaction rated high enough: all {n} lie below --min-rating"),
        };
        return Err(BadInput::new(path.display(), problem, "name a log with at least one interaction").into());
    }
    for taken in &mut log.taken {
        let before = taken.len();
        taken.sort_unstable();
        taken.dedup();
        log.repeated += before - taken.len();
    }
    log.users_left_out = users_left_out.ids.iter().filter(|id| !users.numbers.contains_key(*id)).count();
    log.items_left_out = items_left_out.ids.into_iter().filter(|id| !items.numbers.contains_key(id)).collect();
    (log.user_ids, log.item_ids) = (users.ids, items.ids);
    Ok(log)
}

/// A column that was asked for must be there; the default one need not.
fn optional(table: &Table, name: &Option<String>, default: &str, flag: &str) -> Result<Option<usize>> {
    match name {
        Some(name) => table.required(name, flag).map(Some),
        None => Ok(table.column(default)),
    }
}

/// Ids, numbered as they come.
#[derive(Default)]
struct Numbers {
    ids: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Numbers {
    fn of(&mut self, id: &str) -> u32 {
        if let Some(&number) = self.numbers.get(id) {
            return number;
        }
        let number = u32::try_from(self.ids.len()).expect("a file has fewer than 2^32 distinct ids");
        self.ids.push(id.to_owned());
        self.numbers.insert(id.to_owned(), number);
        number
    }
}

const DEFAULT_RATING: &str = "rating";
const DEFAULT_TIMESTAMP: &str = "timestamp";
