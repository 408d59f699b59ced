//! A write is all rows or none, in every mode, and what is read back is what was written.

mod documents;
mod exact;
mod faults;
mod replace;
pub mod round_trip;
mod upsert;
mod whole;

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use dagflux_host::{Connection, TableName, WriteOptions, WriteReport};
use dagflux_test_support::tokio_postgres::Client;

use crate::assertions::value;

/// A batch of columns that may hold nulls.
fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch> {
    let columns = columns.map(|(name, array)| (name, array, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn numbered(from: i64, count: i64) -> Result<RecordBatch> {
    batch([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(from..from + count)),
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(
                (from..from + count).map(|n| format!("row {n}")),
            )),
        ),
    ])
}

/// Writes batches of one schema and commits; how many rows were added.
async fn insert(
    connection: &mut Connection,
    table: &str,
    batches: &[RecordBatch],
    options: WriteOptions,
) -> Result<dagflux_host::Result<u64>> {
    let report = report(connection, table, batches, options).await?;
    Ok(report.map(|report| report.inserted))
}

/// Writes batches of one schema and finishes.
async fn report(
    connection: &mut Connection,
    table: &str,
    batches: &[RecordBatch],
    options: WriteOptions,
) -> Result<dagflux_host::Result<WriteReport>> {
    let schema = batches.first().context("no batch")?.schema();
    let write = async {
        let mut sink = connection
            .write(&TableName::new(table), schema, options)
            .await?;
        for batch in batches {
            sink.write(batch).await?;
        }
        sink.finish().await
    };
    Ok(write.await)
}

async fn count(client: &Client, table: &str) -> Result<String> {
    value(client, &format!("SELECT count(*) FROM {table}")).await
}
