//! What a connection is used for, from the login to the last statement, once through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use dagflux_host::{
    ConnectOptions, Connection, ErrorKind, TableName, WriteMode, WriteOptions, WriteReport,
};
use dagflux_test_support::tokio_postgres::Client;

use super::{Way, sample};
use crate::assertions::{failure, query, still_works, value};
use crate::fixture;

/// How long a server may take to begin on a machine that has other things to do.
const EVENTUALLY: Duration = Duration::from_secs(20);

/// Numbered rows with names.
pub fn numbered(from: i64, count: i64, name: &str) -> Result<RecordBatch> {
    let columns: [(&str, ArrayRef); 2] = [
        (
            "id",
            Arc::new(Int64Array::from_iter_values(from..from + count)),
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(
                (from..from + count).map(|n| format!("{name} {n}")),
            )),
        ),
    ];
    let columns = columns.map(|(name, array)| (name, array, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// Writes one batch.
pub async fn write(
    connection: &mut Connection,
    table: &str,
    batch: &RecordBatch,
    mode: WriteMode,
) -> dagflux_host::Result<WriteReport> {
    let table = TableName::in_schema("public", table);
    let options = WriteOptions::new(mode);
    let mut sink = connection.write(&table, batch.schema(), options).await?;
    sink.write(batch).await?;
    sink.finish().await
}

/// All of it, in a database that [`sample::make`] was run in; `admin` looks on from beside.
/// Returns the rows of the table of all types.
pub async fn all(way: &Way, admin: &Client) -> Result<RecordBatch> {
    let rows = reading(way).await.context("reading")?;
    writing(way, admin).await.context("writing")?;
    cancelling(way, admin).await.context("cancelling")?;
    timing_out(way).await.context("timing out")?;
    Ok(rows)
}

/// Discovery and reading.
pub async fn reading(way: &Way) -> Result<RecordBatch> {
    let mut connection = way.connect().await?;
    let tables = connection.tables(Some("public")).await?;
    ensure!(
        tables.iter().any(|table| table.name == "sample"),
        "the table is not listed"
    );
    let columns = connection.columns(Some("public"), Some("sample")).await?;
    let key: Vec<&str> = columns
        .iter()
        .filter(|column| column.primary_key.is_some())
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(key, ["id"]);
    let rows = sample::read(&mut connection).await?;
    connection.close().await?;
    Ok(rows)
}

/// Every mode of writing, and statements of a user's own.
async fn writing(way: &Way, admin: &Client) -> Result<()> {
    let mut connection = way.connect().await?;
    let created = write(
        &mut connection,
        "made",
        &numbered(0, 10, "new")?,
        WriteMode::Create,
    )
    .await?;
    assert_eq!(created.inserted, 10);
    connection
        .execute("ALTER TABLE public.made ADD PRIMARY KEY (id)")
        .await?;
    let appended = write(
        &mut connection,
        "made",
        &numbered(10, 10, "new")?,
        WriteMode::Append,
    )
    .await?;
    assert_eq!(appended.inserted, 10);
    let upsert = write(
        &mut connection,
        "made",
        &numbered(15, 10, "changed")?,
        WriteMode::upsert(["id"]),
    )
    .await?;
    assert_eq!((upsert.inserted, upsert.updated), (5, 5));
    let seen =
        "SELECT count(*) || ' ' || count(*) FILTER (WHERE name LIKE 'changed%') FROM public.made";
    assert_eq!(value(admin, seen).await?, "25 10");
    let replaced = write(
        &mut connection,
        "made",
        &numbered(0, 3, "replaced")?,
        WriteMode::Replace,
    )
    .await?;
    assert_eq!((replaced.inserted, replaced.deleted), (3, 25));
    let outcome = connection
        .execute("UPDATE public.made SET name = 'é' WHERE id < 2")
        .await?;
    assert_eq!(outcome.rows, Some(2));
    // What fails leaves nothing behind, on the connection and in the table.
    let twice = write(
        &mut connection,
        "made",
        &numbered(2, 2, "twice")?,
        WriteMode::Append,
    )
    .await;
    failure(twice, ErrorKind::Constraint);
    still_works(&mut connection).await;
    assert_eq!(value(admin, seen).await?, "3 0");
    connection.execute("DROP TABLE public.made").await?;
    connection.close().await?;
    Ok(())
}

/// A statement is stopped on the server, too.
async fn cancelling(way: &Way, admin: &Client) -> Result<()> {
    let mut connection = way.connect().await?;
    let canceller = connection.canceller();
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                  AND wait_event = 'PgSleep'";
    let sleeping = async |wanted: &str| {
        let began = Instant::now();
        while value(admin, asleep).await? != wanted {
            ensure!(began.elapsed() < EVENTUALLY, "not {wanted} are asleep");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    };
    let sleep = async {
        let rows = connection.query("SELECT pg_sleep(120)").await?;
        fixture::count(rows).await
    };
    let (outcome, cancelled) = tokio::join!(sleep, async {
        sleeping("1").await?;
        canceller.cancel().await?;
        sleeping("0").await
    });
    cancelled?;
    failure(outcome, ErrorKind::Cancelled);
    still_works(&mut connection).await;
    connection.close().await?;
    Ok(())
}

/// A statement's time limit is the server's to keep, for every statement.
pub async fn timing_out(way: &Way) -> Result<()> {
    let options = ConnectOptions::default().with_statement_timeout(Duration::from_millis(200));
    let mut connection = way.attempt_with(options).await?.context("connecting")?;
    for _ in 0..2 {
        let slow = query(&mut connection, "SELECT pg_sleep(120)").await;
        failure(slow, ErrorKind::StatementTimeout);
        let slow = connection.execute("SELECT pg_sleep(120)").await;
        failure(slow, ErrorKind::StatementTimeout);
        still_works(&mut connection).await;
    }
    connection.close().await?;
    Ok(())
}
