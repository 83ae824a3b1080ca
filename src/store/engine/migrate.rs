//! The formats of the store: which one a file has, and how an older one becomes the present one.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

/// What is kept about the store itself, by name. The engine's own rows are `format` and `commits`.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

const FORMAT_ROW: &str = "format";
const COMMITS_ROW: &str = "commits";

/// How a store comes to format `to` from the one before, in one transaction: wholly or not at all.
#[derive(Debug)]
pub(super) struct Migration {
    /// The format after it.
    pub(super) to: u32,
    /// What it does; the engine notes the new format.
    pub(super) run: fn(&WriteTransaction) -> Result<(), redb::Error>,
}

/// The migrations there are, oldest first, one for each format after the first.
pub(super) const MIGRATIONS: &[Migration] = &[];

/// The format in which a store is written that has been through all of `migrations`.
pub(super) fn known(migrations: &[Migration]) -> u32 {
    migrations.last().map_or(1, |last| last.to)
}

/// The format of the file; `None` when it has none, as no store of ours would.
pub(super) fn format(look: &ReadTransaction) -> Result<Option<u32>, redb::Error> {
    let meta = look.open_table(META)?;
    let row = meta.get(FORMAT_ROW)?;
    Ok(row.and_then(|row| Some(u32::from_be_bytes(row.value().try_into().ok()?))))
}

/// Notes the format of the content.
pub(in crate::store) fn set_format(change: &WriteTransaction, format: u32) -> Result<(), redb::Error> {
    change.open_table(META)?.insert(FORMAT_ROW, format.to_be_bytes().as_slice())?;
    Ok(())
}

/// How many changes the store has taken: tells after a failure whether the last one is in it.
pub(super) fn commits(look: &ReadTransaction) -> Result<u64, redb::Error> {
    let meta = look.open_table(META)?;
    let row = meta.get(COMMITS_ROW)?;
    Ok(row.and_then(|row| Some(u64::from_be_bytes(row.value().try_into().ok()?))).unwrap_or(0))
}

/// Counts the change that is being made, and gives its number.
pub(super) fn count(change: &WriteTransaction) -> Result<u64, redb::Error> {
    let mut meta = change.open_table(META)?;
    let before =
        meta.get(COMMITS_ROW)?.and_then(|row| Some(u64::from_be_bytes(row.value().try_into().ok()?))).unwrap_or(0);
    let number = before + 1;
    meta.insert(COMMITS_ROW, number.to_be_bytes().as_slice())?;
    Ok(number)
}
