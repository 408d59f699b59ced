//! What rows are told apart by.

use arrow_array::{Array, RecordBatch};
use arrow_schema::Schema;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Error, Result};

use super::fault::Fault;
use super::relation::Relation;
use crate::catalog::{columns_of, is_true, required};
use crate::dialect::quoted_list;
use crate::protocol::Violation;
use crate::protocol::backend::TextRow;
use crate::session::Session;

/// A unique index, by the columns it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    columns: Vec<String>,
    primary: bool,
    /// Whether it is looked at with each row, as a conflict has to be.
    immediate: bool,
}

/// Asks for the unique indexes over plain columns and all rows, a row for each column.
///
/// # Errors
/// When a name holds a NUL byte.
pub fn ask(session: &mut Session, schema: &str, table: &str) -> Result<()> {
    let width = match session.version() {
        110_000.. => "i.indnkeyatts",
        _ => "i.indnatts",
    };
    session.ask(
        &format!(
            "SELECT i.indexrelid, a.attname, i.indisprimary, i.indimmediate \
             FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisunique AND i.indisvalid \
             AND i.indpred IS NULL AND i.indexprs IS NULL \
             JOIN pg_catalog.generate_series(0, {width} - 1) AS k(at) ON true \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[k.at] \
             WHERE n.nspname = $1 AND c.relname = $2 \
             ORDER BY i.indisprimary DESC, i.indexrelid, k.at"
        ),
        &[Some(schema), Some(table)],
    )
}

/// The indexes, from the answer.
///
/// # Errors
/// `protocol`.
pub fn indexes(rows: Vec<TextRow>) -> Result<Vec<Index>> {
    let mut found: Vec<(String, Index)> = Vec::new();
    for row in rows {
        let [id, column, primary, immediate] = columns_of(row)?;
        let (id, column) = (required(id)?, required(column)?);
        match found.last_mut() {
            Some((last, index)) if *last == id => index.columns.push(column),
            _ => found.push((
                id,
                Index {
                    columns: vec![column],
                    primary: is_true(&primary),
                    immediate: is_true(&immediate),
                },
            )),
        }
    }
    Ok(found.into_iter().map(|(_, index)| index).collect())
}

/// The columns of the key, and everything that is wrong with it.
pub fn key(
    wanted: &[String],
    indexes: &[Index],
    relation: &Relation,
    arrow: &Schema,
) -> (Vec<String>, Vec<Fault>) {
    let table = relation.sql();
    let mut faults = Vec::new();
    let key = match wanted {
        [] => match indexes.iter().find(|index| index.primary) {
            Some(primary) => primary.columns.clone(),
            None => {
                let fault = Fault::new(
                    ErrorKind::SchemaMismatch,
                    "table",
                    &relation.name,
                    "it has no primary key, and no other key was named",
                );
                faults.push(fault.with_remedy(format!(
                    "name the columns that tell rows apart; or ALTER TABLE {table} ADD PRIMARY KEY (...);"
                )));
                return (Vec::new(), faults);
            }
        },
        wanted => wanted.to_vec(),
    };
    for (at, column) in key.iter().enumerate() {
        if key.iter().take(at).any(|before| before == column) {
            faults.push(Fault::column(
                column,
                format!("\"{column}\" is named twice in the key"),
            ));
        } else if arrow.column_with_name(column).is_none() {
            let fault = Fault::column(column, format!("\"{column}\" of the key is not offered"));
            faults.push(fault.with_remedy("offer every column of the key, or name another key"));
        }
    }
    let same = |index: &&Index| {
        index.columns.len() == key.len() && key.iter().all(|column| index.columns.contains(column))
    };
    let list = || quoted_list(key.iter().map(String::as_str));
    match indexes
        .iter()
        .filter(same)
        .max_by_key(|index| index.immediate)
    {
        Some(index) if index.immediate => {}
        Some(_) => faults.push(
            Fault::new(
                ErrorKind::SchemaMismatch,
                "table",
                &relation.name,
                format!("the unique constraint over ({}) is deferrable", list()),
            )
            .with_remedy(format!("CREATE UNIQUE INDEX ON {table} ({});", list())),
        ),
        None if faults.is_empty() => faults.push(
            Fault::new(
                ErrorKind::SchemaMismatch,
                "table",
                &relation.name,
                format!("no unique index is over exactly ({})", list()),
            )
            .with_remedy(format!("CREATE UNIQUE INDEX ON {table} ({});", list())),
        ),
        None => {}
    }
    (key, faults)
}

/// Fails if a row of the batch has no value in a column of the key: such a row is like no other.
///
/// # Errors
/// `constraint`, naming row and column.
pub fn check_filled(key: &[String], batch: &RecordBatch, before: u64) -> Result<()> {
    for column in key {
        let values = batch
            .column_by_name(column)
            .ok_or_else(|| Violation::new("a batch without a column of the key"))?;
        // A column of the type Null has no bitmap.
        if values.logical_null_count() == 0 {
            continue;
        }
        let nulls = values.logical_nulls();
        let row = nulls
            .and_then(|nulls| nulls.iter().position(|valid| !valid))
            .unwrap_or_default();
        let row = before.saturating_add(row as u64).saturating_add(1);
        return Err(not_filled(column, &row.to_string()));
    }
    Ok(())
}

/// The failure of a row without a value in a column of the key.
pub fn not_filled(column: &str, row: &str) -> Error {
    Error::new(
        ErrorKind::Constraint,
        format!("row {row} has no value in \"{column}\", which is part of the key"),
    )
    .with_hint("give every row a value in the columns of the key; nothing was written")
    .with_attribute("column", column)
    .with_attribute("row", row)
    .with_attribute("value", "null")
}
