//! What is known of items and of users besides their embeddings.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;

use super::records::{self, Record};
use crate::error::BadInput;

/// The items' table; a field that the file does not have is empty.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) ids: Vec<String>,
    pub(super) names: Vec<String>,
    pub(super) cluster: Vec<u32>,
    pub(super) distance: Vec<f32>,
}

/// The users' table; a field that the file does not have is empty.
#[derive(Debug, Default)]
pub(super) struct Users {
    pub(super) ids: Vec<String>,
    /// K in a row, one row a user.
    pub(super) beliefs: Vec<f32>,
    /// The columns of `beliefs`.
    pub(super) clusters: usize,
    /// L in a row, one row a user.
    pub(super) pretrained: Vec<u32>,
    /// The columns of `pretrained`.
    pub(super) list: usize,
}

/// Reads the fields `item_id`, `name`, `cluster` and `distance` of `rows` items.
pub(super) fn items(path: &Path, rows: usize) -> Result<Items> {
    let mut items = Items::default();
    let mut read = 0;
    records::read(path, &["item_id", "name", "cluster", "distance"], |record| {
        all_or_none(record, "item_id", read, &mut items.ids, record.text("item_id")?.map(Cow::into_owned))?;
        all_or_none(record, "name", read, &mut items.names, record.text("name")?.map(Cow::into_owned))?;
        all_or_none(record, "cluster", read, &mut items.cluster, cluster(record)?)?;
        all_or_none(record, "distance", read, &mut items.distance, record.number("distance")?)?;
        read += 1;
        Ok(())
    })?;
    as_many(path, read, rows, "items")?;
    Ok(items)
}

/// Reads the fields `user_id`, `beliefs` and `pretrained` of `rows` users; lists name items by their ids.
pub(super) fn users(path: &Path, rows: usize, item_ids: &[String]) -> Result<Users> {
    let places: HashMap<&str, u32> = item_ids.iter().map(String::as_str).zip(0..).collect();
    let mut users = Users::default();
    let mut read = 0;
    records::read(path, &["user_id", "beliefs", "pretrained"], |record| {
        all_or_none(record, "user_id", read, &mut users.ids, record.text("user_id")?.map(Cow::into_owned))?;
        let beliefs = record.list("beliefs")?.map(|beliefs| {
            beliefs.iter().map(|belief| record.parse_number("beliefs", belief)).collect::<Result<Vec<f32>>>()
        });
        equally_long(record, "beliefs", read, &mut users.clusters, &mut users.beliefs, beliefs.transpose()?)?;
        let pretrained = record.list("pretrained")?.map(|ids| {
            let place = |id: &str| places.get(id).copied();
            let unknown =
                |id: &str| record.refuse(&format!("`pretrained` names the item `{id}`, which is unknown"));
            ids.iter().map(|id| place(id).ok_or_else(|| unknown(id))).collect::<Result<Vec<u32>>>()
        });
        equally_long(record, "pretrained", read, &mut users.list, &mut users.pretrained, pretrained.transpose()?)?;
        read += 1;
        Ok(())
    })?;
    as_many(path, read, rows, "users")?;
    Ok(users)
}

fn cluster(record: &Record<'_>) -> Result<Option<u32>> {
    let Some(text) = record.text("cluster")? else { return Ok(None) };
    match text.parse::<u32>() {
        Ok(cluster) => Ok(Some(cluster)),
        Err(_) => Err(record.refuse(&format!("`cluster` is `{text}`, which is no index of a cluster"))),
    }
}

/// Adds a field's value; either all records have the field, or none.
fn all_or_none<T>(
    record: &Record<'_>,
    field: &str,
    read: usize,
    values: &mut Vec<T>,
    value: Option<T>,
) -> Result<()> {
    if value.is_some() != (values.len() == read) && read > 0 {
        return Err(record.refuse(&format!("`{field}` is there in some records and missing in others")));
    }
    values.extend(value);
    Ok(())
}

/// Adds a row; either all records have one of the same length, or none.
fn equally_long<T>(
    record: &Record<'_>,
    field: &str,
    read: usize,
    length: &mut usize,
    values: &mut Vec<T>,
    row: Option<Vec<T>>,
) -> Result<()> {
    let row = row.unwrap_or_default();
    if read == 0 {
        *length = row.len();
    }
    if row.len() != *length {
        let (found, expected) = (row.len(), *length);
        return Err(record.refuse(&format!("`{field}` has {found} entries where the first record has {expected}")));
    }
    values.extend(row);
    Ok(())
}

fn as_many(path: &Path, found: usize, expected: usize, what: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let problem = format!("has {found} {what} where there are {expected} embeddings");
    Err(BadInput::new(path.display(), problem, "give one record for each row of the embedding, in its order")
        .into())
}
