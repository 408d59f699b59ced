//! What the tests ask of errors, and rows to compare with.

use std::fmt::Debug;

use anyhow::Result;
use arrow_array::RecordBatch;
use dagflux_host::{Connection, Error, ErrorKind, ReadOptions, TableName};
use dagflux_test_support::tokio_postgres::{Client, SimpleQueryMessage};

use crate::fixture;

/// The failure in `result`, which has to be of the kind and fit for a person: a sentence of
/// its own, without a full stop, and a next step.
#[track_caller]
pub fn failure<T: Debug>(result: dagflux_host::Result<T>, kind: ErrorKind) -> Error {
    let error = match result {
        Ok(value) => panic!("it succeeded with {value:?}, expected {kind}"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), kind, "{error}");
    let message = error.to_string();
    assert!(!message.trim().is_empty(), "{error:?}");
    assert!(!message.ends_with('.'), "ends in a full stop: {message}");
    let hint = error.hint().unwrap_or_default();
    assert!(!hint.trim().is_empty(), "no next step after: {message}");
    error
}

/// The attribute `name` of an error.
pub fn attribute<'e>(error: &'e Error, name: &str) -> Option<&'e str> {
    let mut attributes = error.attributes().iter();
    let (_, value) = attributes.find(|(known, _)| known == name)?;
    Some(value)
}

/// All rows of a query, or the failure, wherever it shows.
pub async fn query(
    connection: &mut Connection,
    sql: &str,
) -> dagflux_host::Result<Vec<RecordBatch>> {
    fixture::batches(connection.query(sql).await?).await
}

/// All rows of a table, or the failure, wherever it shows.
pub async fn read(
    connection: &mut Connection,
    table: &TableName,
) -> dagflux_host::Result<Vec<RecordBatch>> {
    fixture::batches(connection.read(table, ReadOptions::default()).await?).await
}

/// The first rows of a table, or the failure, wherever it shows.
pub async fn preview(
    connection: &mut Connection,
    table: &TableName,
) -> dagflux_host::Result<Vec<RecordBatch>> {
    fixture::batches(connection.preview(table, 5).await?).await
}

/// Makes sure that the connection can be used.
pub async fn still_works(connection: &mut Connection) {
    let rows = query(connection, "SELECT 1 AS one FROM generate_series(1, 3)").await;
    let rows = rows.expect("the connection works");
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
}

/// All rows of a query of the superuser's as text, beside the product.
pub async fn rows(client: &Client, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let messages = client.simple_query(sql).await?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .map(|row| {
            (0..row.len())
                .map(|at| row.get(at).map(str::to_owned))
                .collect()
        })
        .collect())
}

/// The one value of a query of the superuser's, as text.
pub async fn value(client: &Client, sql: &str) -> Result<String> {
    let rows = rows(client, sql).await?;
    match rows.as_slice() {
        [row] => match row.as_slice() {
            [Some(value)] => Ok(value.clone()),
            _ => anyhow::bail!("{sql} gave {row:?}"),
        },
        _ => anyhow::bail!("{sql} gave {} rows", rows.len()),
    }
}
