//! An insert is all rows or none, and what is read back is what was written.

mod faults;
pub mod round_trip;
mod whole;

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use dagflux_host::{Connection, TableName, WriteOptions};
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

/// Writes batches of one schema and commits.
async fn insert(
    connection: &mut Connection,
    table: &str,
    batches: &[RecordBatch],
    options: WriteOptions,
) -> Result<dagflux_host::Result<u64>> {
    let schema = batches.first().context("no batch")?.schema();
    let write = async {
        let mut sink = connection
            .write(&TableName::new(table), schema, options)
            .await?;
        for batch in batches {
            sink.write(batch).await?;
        }
        Ok(sink.finish().await?.inserted)
    };
    Ok(write.await)
}

async fn count(client: &Client, table: &str) -> Result<String> {
    value(client, &format!("SELECT count(*) FROM {table}")).await
}
