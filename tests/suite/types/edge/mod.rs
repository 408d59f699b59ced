//! A table with a column for every type and the edge values of each: read, written into a
//! copy, and compared inside the server.
//!
//! The `.sql` files say what is in it, and which values Arrow cannot hold. The server counts
//! those, so that the loss ledger is compared with what is there and not with what was read.

mod table;

use anyhow::{Context, Result};
use arrow_array::RecordBatch;
use dagflux_host::{
    Connection, ErrorKind, Loss, LossPolicy, OnLoss, ReadOptions, TableName, WriteMode,
    WriteOptions,
};
use futures_util::TryStreamExt;

use self::table::Table;
use crate::assertions::{attribute, failure, read, still_works};
use crate::fixture;

/// The rows of the table, and the account of what was not carried.
async fn take(
    connection: &mut Connection,
    table: &str,
    losses: LossPolicy,
) -> Result<(Vec<RecordBatch>, Vec<Loss>)> {
    let options = ReadOptions::default().with_losses(losses);
    let mut stream = connection.read(&TableName::new(table), options).await?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        batches.push(batch);
    }
    Ok((batches, stream.losses().to_vec()))
}

async fn write(
    connection: &mut Connection,
    table: &str,
    batches: &[RecordBatch],
    mode: WriteMode,
) -> Result<u64> {
    let schema = batches.first().context("no batch")?.schema();
    let options = WriteOptions::new(mode);
    let mut sink = connection
        .write(&TableName::new(table), schema, options)
        .await?;
    for batch in batches {
        sink.write(batch).await?;
    }
    Ok(sink.finish().await?.inserted)
}

/// Asserts that the ledger has what the server counts, no more and no less.
async fn account(table: &Table<'_>, losses: &[Loss], became: OnLoss) -> Result<()> {
    let mut found = Vec::new();
    for loss in losses {
        assert_eq!(loss.became, became, "{loss:?}");
        let whole = table.text(&loss.column, loss.first_row).await?;
        let example = loss.example.trim_end_matches('…');
        assert!(!example.is_empty(), "{loss:?}");
        assert!(whole.contains(example), "{loss:?} of {whole}");
        let (values, row) = (loss.values.to_string(), loss.first_row.to_string());
        found.push([loss.column.clone(), loss.reason.clone(), values, row]);
    }
    found.sort();
    assert_eq!(found, table.losses().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edge_value_survives() -> Result<()> {
    let database = fixture::database("types_edge").await?;
    let table = Table::create(&database).await?;
    assert!(table.columns.len() >= 60, "{}", table.columns.len());
    let count = table.count("original").await?;
    assert!(count >= 40, "{count} rows");
    table.create_like("copy").await?;

    let mut connection = fixture::connect(&database).await?;
    let text = LossPolicy::new(OnLoss::Text);
    let (batches, losses) = take(&mut connection, "original", text).await?;
    account(&table, &losses, OnLoss::Text).await?;
    let written = write(&mut connection, "copy", &batches, WriteMode::Append).await?;
    assert_eq!(written, count);
    assert_eq!(table.differences("copy").await?, [""; 0]);

    // The types come back as well, from what the fields say of themselves.
    let written = write(&mut connection, "created", &batches, WriteMode::Create).await?;
    assert_eq!(written, count);
    assert_eq!(table.differences("created").await?, [""; 0]);
    assert_eq!(
        table.types("created").await?,
        table.types("original").await?
    );
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_become_null_and_no_others() -> Result<()> {
    let database = fixture::database("types_edge_null").await?;
    let table = Table::create(&database).await?;
    table.create_like("copy").await?;
    table.leave_remainders("remainder_of_original").await?;

    let mut connection = fixture::connect(&database).await?;
    let null = LossPolicy::new(OnLoss::Null);
    let (batches, losses) = take(&mut connection, "original", null).await?;
    account(&table, &losses, OnLoss::Null).await?;
    write(&mut connection, "copy", &batches, WriteMode::Append).await?;
    let differences = table
        .differences_between("remainder_of_original", "copy")
        .await?;
    assert_eq!(differences, [""; 0]);

    write(&mut connection, "created", &batches, WriteMode::Create).await?;
    let differences = table
        .differences_between("remainder_of_original", "created")
        .await?;
    assert_eq!(differences, [""; 0]);
    assert_eq!(
        table.types("created").await?,
        table.types("original").await?
    );

    // The choice for a column goes before that for all.
    let mixed = LossPolicy::new(OnLoss::Null).with_column("price", OnLoss::Text);
    let (_, losses) = take(&mut connection, "original", mixed).await?;
    for loss in losses {
        let text = loss.column == "price";
        assert_eq!(loss.became == OnLoss::Text, text, "{loss:?}");
    }
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_fails_the_read() -> Result<()> {
    let database = fixture::database("types_edge_fail").await?;
    let table = Table::create(&database).await?;
    let mut connection = fixture::connect(&database).await?;
    let original = TableName::new("original");
    for name in table.lossy().await? {
        let stream = connection
            .read(
                &original,
                ReadOptions::default().with_columns([name.as_str()]),
            )
            .await?;
        let error = failure(fixture::batches(stream).await, ErrorKind::Value);
        assert_eq!(attribute(&error, "column"), Some(name.as_str()));
        let (row, whole) = table.first_loss(&name).await?;
        assert_eq!(attribute(&error, "row"), Some(row.as_str()), "{name}");
        // Of a value with parts, the part that does not fit.
        let value = attribute(&error, "value").unwrap_or_default();
        assert!(!value.is_empty(), "{name}");
        // Moments are shown in UTC.
        let part_of =
            |whole: &str| whole.trim_end_matches("+00") == value || whole.starts_with(['{', '(']);
        assert!(
            part_of(&whole) && whole.contains(value),
            "{name}: {value} of {whole}"
        );
        for word in [name.as_str(), row.as_str(), value] {
            assert!(error.to_string().contains(word), "{error}");
        }
    }
    // What fits is not in the way.
    for name in ["flag", "words", "too_wide", "exact", "double"] {
        let options = ReadOptions::default().with_columns([name]);
        let stream = connection.read(&original, options).await?;
        fixture::batches(stream).await?;
    }
    // The whole table fails, too.
    let whole = read(&mut connection, &original).await;
    failure(whole, ErrorKind::Value);
    still_works(&mut connection).await;
    Ok(())
}
