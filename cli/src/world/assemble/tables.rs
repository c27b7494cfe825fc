//! Reads the tables of items and users: everything about them except their embeddings.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;

use super::records::{self, Record};
use crate::error::BadInput;

/// The table of items. A field that the file does not have is empty.
#[derive(Debug, Default)]
pub(super) struct ItemTable {
    /// `[I]`
    pub(super) ids: Vec<String>,
    /// `[I]`
    pub(super) names: Vec<String>,
    /// `[I]`
    pub(super) cluster: Vec<u32>,
    /// `[I]`
    pub(super) distance: Vec<f32>,
}

/// The table of users. A field that the file does not have is empty.
#[derive(Debug, Default)]
pub(super) struct UserTable {
    /// `[U]`
    pub(super) ids: Vec<String>,
    /// `[U, K]`
    pub(super) beliefs: Vec<f32>,
    /// K
    pub(super) clusters: usize,
    /// `[U, L]`, items by index.
    pub(super) pretrained: Vec<u32>,
    /// L
    pub(super) pretrained_len: usize,
}

/// Reads the fields `item_id`, `name`, `cluster` and `distance` of `rows` items.
///
/// # Errors
/// If the file cannot be read, has another number of records, or a field is missing in some of them.
pub(super) fn items(path: &Path, rows: usize) -> Result<ItemTable> {
    let mut items = ItemTable::default();
    let mut num_read = 0;
    records::read(path, &["item_id", "name", "cluster", "distance"], |record| {
        push_value(record, "item_id", num_read, &mut items.ids, record.text("item_id")?.map(Cow::into_owned))?;
        push_value(record, "name", num_read, &mut items.names, record.text("name")?.map(Cow::into_owned))?;
        push_value(record, "cluster", num_read, &mut items.cluster, cluster(record)?)?;
        push_value(record, "distance", num_read, &mut items.distance, record.number("distance")?)?;
        num_read += 1;
        Ok(())
    })?;
    check_count(path, num_read, rows, "items")?;
    Ok(items)
}

/// Reads the fields `user_id`, `beliefs` and `pretrained` of `rows` users. Pre-trained lists name items by their ids.
///
/// # Errors
/// If the file cannot be read, has another number of records, or a field is missing or of another length in some of
/// them.
pub(super) fn users(path: &Path, rows: usize, item_ids: &[String]) -> Result<UserTable> {
    let indices: HashMap<&str, u32> = item_ids.iter().map(String::as_str).zip(0..).collect();
    let mut users = UserTable::default();
    let mut num_read = 0;
    records::read(path, &["user_id", "beliefs", "pretrained"], |record| {
        push_value(record, "user_id", num_read, &mut users.ids, record.text("user_id")?.map(Cow::into_owned))?;
        let beliefs = record.list("beliefs")?.map(|beliefs| {
            beliefs.iter().map(|belief| record.parse_number("beliefs", belief)).collect::<Result<Vec<f32>>>()
        });
        push_row(record, "beliefs", num_read, &mut users.clusters, &mut users.beliefs, beliefs.transpose()?)?;
        let pretrained = record.list("pretrained")?.map(|ids| {
            let index = |id: &str| indices.get(id).copied();
            let unknown =
                |id: &str| record.refuse(&format!("`pretrained` names the item `{id}`, which is unknown"));
            ids.iter().map(|id| index(id).ok_or_else(|| unknown(id))).collect::<Result<Vec<u32>>>()
        });
        push_row(
            record,
            "pretrained",
            num_read,
            &mut users.pretrained_len,
            &mut users.pretrained,
            pretrained.transpose()?,
        )?;
        num_read += 1;
        Ok(())
    })?;
    check_count(path, num_read, rows, "users")?;
    Ok(users)
}

fn cluster(record: &Record<'_>) -> Result<Option<u32>> {
    let Some(text) = record.text("cluster")? else { return Ok(None) };
    match text.parse::<u32>() {
        Ok(cluster) => Ok(Some(cluster)),
        Err(_) => Err(record.refuse(&format!("`cluster` is `{text}`, which is not the index of a cluster"))),
    }
}

/// Appends the value of a field.
///
/// # Errors
/// If only some of the records have the field.
fn push_value<T>(
    record: &Record<'_>,
    field: &str,
    num_read: usize,
    values: &mut Vec<T>,
    value: Option<T>,
) -> Result<()> {
    if value.is_some() != (values.len() == num_read) && num_read > 0 {
        return Err(record.refuse(&format!("`{field}` is missing in some records")));
    }
    values.extend(value);
    Ok(())
}

/// Appends the list of a field.
///
/// # Errors
/// If it has another length than the list of the first record.
fn push_row<T>(
    record: &Record<'_>,
    field: &str,
    num_read: usize,
    len: &mut usize,
    values: &mut Vec<T>,
    row: Option<Vec<T>>,
) -> Result<()> {
    let row = row.unwrap_or_default();
    if num_read == 0 {
        *len = row.len();
    }
    if row.len() != *len {
        let (actual, expected) = (row.len(), *len);
        return Err(record.refuse(&format!("`{field}` has {actual} entries, and the first record has {expected}")));
    }
    values.extend(row);
    Ok(())
}

fn check_count(path: &Path, actual: usize, expected: usize, what: &str) -> Result<()> {
    if actual == expected {
        return Ok(());
    }
    let problem = format!("has {actual} {what}, and there are {expected} embeddings");
    Err(BadInput::new(path.display(), problem, "give one record for each row of the embedding, in its order")
        .into())
}
